"""Tables as they are published become nouns; anything else is answered in a sentence with the line."""

from __future__ import annotations

import pytest

from vidprocme.core.errors import BadWish
from vidprocme.scheduler.nodes import NodeSpec, Shape
from vidprocme.simulator.trace import parse_nodes, parse_tasks, synthetic

NODES = """sn,cpu_milli,memory_mib,gpu,model
openb-node-0000,64000,262144,2,P100
openb-node-0001,94000,131072,0,
"""
PODS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
openb-pod-0000,12000,16384,1,1000,,LS,Running,0,12537496,0
openb-pod-0001,6000,12288,1,460,V100M16|V100M32,LS,Running,427061,12902960,427061
openb-pod-0002,88000,327680,8,1000,,Burstable,Failed,1,2,
openb-pod-0003,1000,2048,0,0,,BE,Succeeded,1,2,1
"""


def test_nodes() -> None:
    assert parse_nodes(NODES.splitlines(keepends=True)) == [
        NodeSpec("openb-node-0000", 64_000, 262_144, 2, "P100"),
        NodeSpec("openb-node-0001", 94_000, 131_072, 0, ""),
    ]


def test_pods() -> None:
    assert parse_tasks(PODS.splitlines(keepends=True)) == [
        Shape(12_000, 16_384, 1, 1000),
        Shape(6_000, 12_288, 1, 460, frozenset({"V100M16", "V100M32"})),
        Shape(88_000, 327_680, 8, 1000),
        Shape(1_000, 2_048),
    ]


def test_lines_without_newlines_and_with_windows_ends_read_the_same() -> None:
    assert parse_tasks(PODS.splitlines()) == parse_tasks(line + "\r\n" for line in PODS.splitlines())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacks sn, cpu_milli"),
        ("hello\nworld\n", "lacks sn, cpu_milli"),
        ("sn,cpu_milli,memory_mib,gpu\nn,1,1,1\n", "lacks model"),
        ("sn,cpu_milli,memory_mib,gpu,model\n", "no lines"),
        ("sn,cpu_milli,memory_mib,gpu,model\nn,1,1,1,T4\nm,many,1,1,T4\n", 'Line 3 of the node table has "many"'),
        ("sn,cpu_milli,memory_mib,gpu,model\nn,1,-1,1,T4\n", 'has "-1" as memory_mib'),
        ("sn,cpu_milli,memory_mib,gpu,model\nn,1\n", 'Line 2 of the node table has "" as memory_mib'),
        ("\ufffdPNG\x00\n\x00\x01\n", "lacks sn"),
        ('sn,cpu_milli,memory_mib,gpu,model\nn,"' + "1" * 200_000 + '",1,1,T4\n', "cannot be read"),
    ],
)
def test_something_else_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(BadWish) as caught:
        parse_nodes(text.splitlines(keepends=True))

    assert caught.value.code == "BAD_TRACE"
    assert says in caught.value.message
    assert caught.value.hint


def test_the_built_in_trace_is_the_same_for_the_same_seed() -> None:
    assert synthetic(7) == synthetic(7)
    assert synthetic(7) != synthetic(8)


def test_the_built_in_trace_has_every_sort_of_pod() -> None:
    _, pods = synthetic(7)

    assert any(not pod.gpus for pod in pods)
    assert any(0 < pod.gpu_milli < 1000 for pod in pods)
    assert any(pod.gpus > 1 for pod in pods)
    assert any(pod.models for pod in pods)
