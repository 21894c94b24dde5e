"""What infra/ starts in its pods is what this vidprocme understands: read from the plans that its own tests keep."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import click
import pytest

from vidprocme.cli.main import root
from vidprocme.config import Settings, load

INFRA = Path(__file__).resolve().parent.parent / "infra"
SNAPSHOTS = INFRA / "tests" / "snapshots"
STACKS = ("local", "gcp-house")


def containers(stack: str) -> list[dict[str, Any]]:
    """Containers of vidprocme's own image."""
    plan = json.loads((SNAPSHOTS / f"{stack}.json").read_text(encoding="utf-8"))
    pods = [it["spec"]["template"]["spec"] for it in plan["resource"]["kubernetes_deployment_v1"].values()]
    return [container for pod in pods for container in pod["container"] if "vidprocme" in container["image"]]


def numbers(name: str) -> dict[str, int]:
    """Whole numbers that a file of infra/ gives names to. Read, not imported: its own packages are not here."""
    tree = ast.parse((INFRA / name).read_text(encoding="utf-8"))
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and type(node.value.value) is int
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def understand(words: list[str]) -> None:
    """Parses a call, and runs nothing.

    Raises:
        click.ClickException: there is no such verb or option.
    """
    with click.Context(root) as above:
        command = root.get_command(above, words[0])
        if command is None:
            raise click.UsageError(f"no verb {words[0]}")
        command.make_context(words[0], words[1:], parent=above)


def probes(container: dict[str, Any]) -> list[list[str]]:
    found = [
        container.get(f"{kind}_probe", {}).get("exec", {}).get("command")
        for kind in ("startup", "liveness", "readiness")
    ]
    return [words for words in found if words]


@pytest.mark.parametrize("stack", STACKS)
def test_the_verbs_and_options_exist(stack: str) -> None:
    ours = containers(stack)
    assert {container["args"][0] for container in ours} == {"up", "worker"}
    for container in ours:
        assert "command" not in container  # the image's entry point stays: tini, then vidprocme
        understand(container["args"])
        for program, *words in probes(container):
            assert program == "vidprocme"
            understand(words)


def test_a_verb_or_option_that_is_not_there_is_seen() -> None:
    for words in (["serve"], ["up", "--no-pools"], ["worker", "--gpus", "1"], ["alive", "--for", "3"]):
        with pytest.raises(click.ClickException):
            understand(words)


@pytest.mark.parametrize("stack", STACKS)
def test_the_variables_are_settings_that_can_be(stack: str) -> None:
    for container in containers(stack):
        given = {it["name"]: it["value"] for it in container["env"] if it["name"].startswith("VIDPROCME_")}

        settings = load(environment={"HOME": "/tmp", **given})

        assert set(given) <= {f"VIDPROCME_{name.upper()}" for name in type(settings).__dataclass_fields__}
        assert str(settings.data) == "/data" and settings.redis_url.startswith("redis://")


def test_what_infra_repeats_is_what_vidprocme_says() -> None:
    """infra/ is synthesized where vidprocme is not installed, so it has these defaults a second time."""
    said = numbers("lib/settings.py")
    defaults = {name: field.default for name, field in Settings.__dataclass_fields__.items()}

    assert (said["PORT"], said["LEASE_S"] * 1000) == (defaults["port"], defaults["lease_ms"])
    for stack in STACKS:
        told = {it["name"] for container in containers(stack) for it in container["env"]}
        assert not told & {"VIDPROCME_PORT", "VIDPROCME_LEASE_MS"}
