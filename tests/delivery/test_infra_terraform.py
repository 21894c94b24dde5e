"""The script around Terraform: what is applied is what was approved.

Terraform itself cannot be had without its registry; a stand-in answers here with a plan and notes what it was asked.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PLAN = "  # google_storage_bucket.blobs will be created\nPlan: 1 to add, 0 to change, 0 to destroy.\n"
TERRAFORM = """#!/bin/sh
echo "$@" >> "$ASKED"
case "$2" in
  show) cat "$SHOWN" ;;
  validate) echo "Success! The configuration is valid." ;;
esac
exit 0
"""
STACKS = ("local", "gcp-ground", "gcp-house")
BUCKET = '{"terraform": {"backend": {"gcs": {"bucket": "b"}}}}'
FILE = '{"terraform": {"backend": {"local": {"path": "x"}}}}'
MAKEFILE = 'infra-synth:\n\t@echo "make synth $(STACK) $(ARGS)" >> "$(ASKED)"\n' + "".join(
    f"\tmkdir -p infra/cdktf.out/stacks/{stack}\n\techo '{BUCKET}' > infra/cdktf.out/stacks/{stack}/cdk.tf.json\n"
    for stack in STACKS
)
SETTINGS = 'project = "p"\n'


@dataclass(frozen=True)
class Tree:
    root: Path

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "ASKED": str(self.root / "asked"),
            "SHOWN": str(self.root / "shown"),
            "GITHUB_OUTPUT": str(self.root / "output"),
        }
        command = [str(self.root / "scripts" / "infra_terraform.sh"), *words]
        return subprocess.run(command, env={**env, **variables}, capture_output=True, text=True, check=False)

    def asked(self) -> list[list[str]]:
        """Verb and words of each call of Terraform, without the folder."""
        return [words[1:] for words in self.calls() if words[0] != "make"]

    def calls(self) -> list[list[str]]:
        return [line.split() for line in (self.root / "asked").read_text().splitlines()]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for name in ("bin", "infra"):
        (tmp_path / name).mkdir()
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "infra_terraform.sh", tmp_path / "scripts")
    # OpenTofu comes first where both are there, as it may be on the machine of the tests.
    (tmp_path / "bin" / "tofu").write_text(TERRAFORM)
    (tmp_path / "bin" / "tofu").chmod(0o755)
    (tmp_path / "infra" / "settings.gcp.toml").write_text(SETTINGS)
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "shown").write_text(PLAN)
    return Tree(tmp_path)


def test_every_stack_is_validated_without_a_backend(tree: Tree) -> None:
    done = tree.run("validate")

    assert done.returncode == 0, done.stderr
    assert [words[0] for words in tree.asked()] == ["init", "validate"] * len(STACKS)
    assert all("-backend=false" in words for words in tree.asked() if words[0] == "init")
    assert done.stdout.count("Success!") == len(STACKS)


def test_a_stack_that_was_not_written_is_an_error(tree: Tree) -> None:
    (tree.root / "Makefile").write_text(
        MAKEFILE.replace("> infra/cdktf.out/stacks/gcp-house/cdk.tf.json", "> /dev/null")
    )

    done = tree.run("validate")

    assert done.returncode != 0 and "wrote no stack gcp-house" in done.stderr


def test_the_approved_plan_is_applied(tree: Tree) -> None:
    planned = tree.run("plan", "gcp-house", VIDPROCME_GCP_SETTINGS='project = "p"')
    sha256 = hashlib.sha256(PLAN.encode()).hexdigest()

    assert planned.returncode == 0 and PLAN in planned.stdout
    assert (tree.root / "output").read_text() == f"sha256={sha256}\n"
    assert (tree.root / "infra" / "settings.gcp.toml").read_text() == 'project = "p"\n'
    assert "-lock=false" in next(words for words in tree.asked() if words[0] == "plan")

    applied = tree.run("apply", "gcp-house", sha256)

    assert applied.returncode == 0, applied.stderr
    assert [words for words in tree.calls() if words[0] == "make"] == [
        ["make", "synth", "gcp", "--gcp=infra/settings.gcp.toml"]
    ] * 2
    assert tree.asked()[-1][0] == "apply" and tree.asked()[-1][-1] == "plan.tfplan"


def test_another_plan_than_the_approved_one_is_not_applied(tree: Tree) -> None:
    approved = hashlib.sha256(PLAN.encode()).hexdigest()
    (tree.root / "shown").write_text(PLAN.replace("0 to destroy", "1 to destroy"))

    done = tree.run("apply", "gcp-house", approved)

    assert done.returncode == 1 and "not the one that was approved" in done.stderr
    assert "apply" not in [words[0] for words in tree.asked()]


@pytest.mark.parametrize("words", [("plan", "gcp-house"), ("apply", "gcp-house", "0")])
def test_the_example_is_neither_planned_nor_applied(tree: Tree, words: tuple[str, ...]) -> None:
    (tree.root / "infra" / "settings.gcp.toml").unlink()

    done = tree.run(*words)

    assert done.returncode == 1 and "there is no infra/settings.gcp.toml" in done.stderr
    assert not (tree.root / "asked").exists()


def test_a_state_in_a_file_may_be_planned_and_not_applied(tree: Tree) -> None:
    (tree.root / "Makefile").write_text(MAKEFILE.replace(BUCKET, FILE))
    approved = hashlib.sha256(PLAN.encode()).hexdigest()
    assert tree.run("plan", "gcp-ground").returncode == 0

    before = len(tree.asked())
    done = tree.run("apply", "gcp-ground", approved)

    assert done.returncode == 1 and "the settings have no [state]" in done.stderr
    assert tree.asked()[before:] == []


@pytest.mark.parametrize("words", [("plan", "local"), ("apply", "gpc-house", "0")])
def test_a_stack_that_is_not_on_google_cloud_is_refused(tree: Tree, words: tuple[str, ...]) -> None:
    done = tree.run(*words)

    assert done.returncode == 1 and f"'{words[1]}' is no stack to {words[0]}" in done.stderr
    assert not (tree.root / "asked").exists()


def test_terraform_is_taken_where_there_is_no_tofu(tree: Tree) -> None:
    for name in ("bash", "sed", "make", "sha256sum", "cut", "cat", "tr", "grep", "dirname", "mkdir", "sh"):
        found = shutil.which(name)
        assert found is not None
        (tree.root / "bin" / name).symlink_to(found)
    alone = {"PATH": str(tree.root / "bin")}
    (tree.root / "bin" / "tofu").rename(tree.root / "bin" / "terraform")

    assert tree.run("validate", **alone).returncode == 0

    (tree.root / "bin" / "terraform").unlink()
    done = tree.run("validate", **alone)
    assert done.returncode == 1 and "terraform is missing, and so is tofu" in done.stderr


def test_help_is_help(tree: Tree) -> None:
    done = tree.run("--help")

    assert (
        done.returncode == 0 and "infra_terraform.sh apply STACK SHA256" in done.stdout and "set -" not in done.stdout
    )


@pytest.mark.parametrize("words", [(), ("plan",), ("apply", "gcp"), ("destroy", "gcp"), ("validate", "gcp")])
def test_a_wrong_call_is_told_how(tree: Tree, words: tuple[str, ...]) -> None:
    done = tree.run(*words)

    assert done.returncode == 2 and "infra_terraform.sh apply STACK SHA256" in done.stderr
    assert not (tree.root / "asked").exists()
