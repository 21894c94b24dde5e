"""The local stack as it comes fits the machine that scripts/cluster_up.sh asks for: a laptop with 4 cores and 8 GB."""

from __future__ import annotations

import re
from pathlib import Path

from infra.checks.plan import workloads
from infra.synth import Plans

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "cluster_up.sh"
# What a KinD node's own pods ask for, in thousandths of a core and MiB: kubeadm's manifests (API server 250, controller manager
# 200, scheduler 100, etcd 100 and 100 MiB), two of CoreDNS (100, 70 MiB each) and kindnet (100, 50 MiB).
OWN_CPU_MILLI, OWN_MEMORY_MIB = 950, 290
LAPTOP_CORES, LAPTOP_MIB = 4, 7400  # of 8 GB, what a kernel leaves


def asked_for(plans: Plans) -> tuple[int, int]:
    """Thousandths of a core and MiB that the scheduler must find on the node."""
    cpu_milli, memory_mib = OWN_CPU_MILLI, OWN_MEMORY_MIB
    for workload in workloads(plans["local"]):
        for _, container in workload.containers():
            requests = container["resources"]["requests"]
            replicas = int(workload.spec["replicas"])
            cpu_milli += replicas * int(requests["cpu"].removesuffix("m"))
            memory_mib += replicas * int(requests["memory"].removesuffix("Mi"))
    return cpu_milli, memory_mib


def test_it_fits_what_the_script_asks_for_and_that_fits_a_laptop(plans: Plans) -> None:
    text = SCRIPT.read_text()
    wanted = {name: int(number) for name, number in re.findall(r"^(CORES|MEMORY_MIB)=(\d+)$", text, re.MULTILINE)}
    cpu_milli, memory_mib = asked_for(plans)

    assert cpu_milli <= 1000 * wanted["CORES"] and memory_mib <= wanted["MEMORY_MIB"], (cpu_milli, memory_mib)
    assert wanted["CORES"] <= LAPTOP_CORES and wanted["MEMORY_MIB"] <= LAPTOP_MIB
    # No warning where nothing is wrong.
    assert wanted["MEMORY_MIB"] - memory_mib < 1024 and 1000 * wanted["CORES"] - cpu_milli < 1000
