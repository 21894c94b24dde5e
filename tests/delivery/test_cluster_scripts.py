"""The scripts around a cluster on this machine: they speak of the same one, and remove none by a slip.

kind, k3d, kubectl and Terraform cannot be had here; stand-ins note what they were asked, and say which clusters there are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ("cluster_up.sh", "cluster_down.sh", "cluster_smoke.sh", "cluster_logs.sh")
NOTES = '#!/bin/sh\necho "$(basename "$0") $*" >> "$ASKED"\n'
PROGRAMS = {
    "kind": 'case "$1 $2" in "get clusters") [ -z "$DOWN" ] || { echo "no daemon" >&2; exit 1; }\n'
    '  [ -n "$STANDING" ] && echo "$STANDING" || echo "No kind clusters found." >&2 ;;\nesac\n',
    "k3d": 'case "$1 $2" in "cluster list") [ -z "$DOWN" ] || { echo "no daemon" >&2; exit 1; }\n'
    '  for name in $STANDING; do echo "$name   1/1       0/0      true"; done ;;\nesac\n',
    "docker": 'case "$1" in info) echo "$SIZE" ;; esac\n',
    "kubectl": 'case "$*" in *port-forward*) sleep 30 & trap "kill $!" TERM; wait ;; esac\n',
    "tofu": 'case "$*" in *"output -raw namespace"*) echo vidprocme ;; esac\n',
    "curl": "",
    "python": "",
}
MAKEFILE = 'infra-synth:\n\t@echo "synth $(STACK) $(ARGS)" >> "$(ASKED)"\n'
LARGE, SMALL = f"8 {16 << 30}", f"4 {6 << 30}"
STATES = ("kind-vidprocme", "kind-other", "k3d-vidprocme")


@dataclass(frozen=True)
class Tree:
    root: Path

    def run(self, script: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.root),
            "ASKED": str(self.root / "asked"),
            "STANDING": "",
            "DOWN": "",
            "SIZE": LARGE,
        }
        command = [str(self.root / "scripts" / script), *words]
        return subprocess.run(
            command,
            env={**env, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def asked(self) -> list[str]:
        """The calls, each with the program's name."""
        file = self.root / "asked"
        return file.read_text().splitlines() if file.exists() else []

    def states(self) -> set[str]:
        return {file.stem for file in (self.root / "infra" / "state").glob("*.tfstate")}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for folder in ("bin", "scripts", "infra/state", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for script in (*SCRIPTS, "cluster_names.sh"):
        shutil.copy(ROOT / "scripts" / script, tmp_path / "scripts")
    for name, text in PROGRAMS.items():
        file = tmp_path / (".venv/bin" if name == "python" else "bin") / name
        file.write_text(NOTES + text)
        file.chmod(0o755)
    (tmp_path / ".venv" / "base.stamp").touch()
    (tmp_path / "Makefile").write_text(MAKEFILE)
    shutil.copy(ROOT / "infra" / "settings.local.toml", tmp_path / "infra")
    for name in STATES:
        (tmp_path / "infra" / "state" / f"{name}.tfstate").touch()
    return Tree(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_help_and_nothing_else(tree: Tree, script: str) -> None:
    for word in ("--help", "-h"):
        done = tree.run(script, word, STANDING="vidprocme")

        assert done.returncode == 0 and f"scripts/{script}" in done.stdout and "set -" not in done.stdout
    assert tree.asked() == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_unknown_word_is_told_how(tree: Tree, script: str) -> None:
    done = tree.run(script, "--yess", STANDING="vidprocme")

    assert done.returncode == 2 and "unknown word '--yess'" in done.stderr and f"scripts/{script}" in done.stderr
    assert tree.asked() == [] and tree.states() == set(STATES)


@pytest.mark.parametrize("script", SCRIPTS)
def test_another_maker_of_clusters_is_refused(tree: Tree, script: str) -> None:
    done = tree.run(script, "--yes", CLUSTER_WITH="minikube")

    assert done.returncode == 1 and "must be kind or k3d" in done.stderr and tree.asked() == []


def test_nothing_is_removed_without_a_yes(tree: Tree) -> None:
    """Also where nobody sits at a terminal."""
    done = tree.run("cluster_down.sh", STANDING="vidprocme")

    assert done.returncode == 1 and "say --yes" in done.stderr
    assert tree.asked() == [] and tree.states() == set(STATES)


@pytest.mark.parametrize(
    ("with_", "delete"), [("kind", "kind delete cluster --name vidprocme"), ("k3d", "k3d cluster delete vidprocme")]
)
def test_a_cluster_goes_with_its_own_state(tree: Tree, with_: str, delete: str) -> None:
    done = tree.run("cluster_down.sh", "--yes", CLUSTER_WITH=with_, STANDING="other\nvidprocme")

    assert done.returncode == 0, done.stderr
    assert tree.asked()[-1] == delete
    assert tree.states() == set(STATES) - {f"{with_}-vidprocme"}


@pytest.mark.parametrize("with_", ["kind", "k3d"])
@pytest.mark.parametrize("standing", ["", "other\nvidprocme2"])
def test_a_cluster_that_is_not_there_is_an_error_and_keeps_its_state(tree: Tree, with_: str, standing: str) -> None:
    done = tree.run("cluster_down.sh", "--yes", CLUSTER_WITH=with_, STANDING=standing)

    assert done.returncode == 1 and f"no {with_} cluster vidprocme. There is: {standing or 'none'}" in done.stderr
    assert not [call for call in tree.asked() if "delete" in call] and tree.states() == set(STATES)


@pytest.mark.parametrize("with_", ["kind", "k3d"])
@pytest.mark.parametrize(("script", "words"), [("cluster_down.sh", ["--yes"]), ("cluster_up.sh", [])])
def test_who_cannot_say_what_stands_changes_nothing(tree: Tree, with_: str, script: str, words: list[str]) -> None:
    done = tree.run(script, *words, CLUSTER_WITH=with_, STANDING="vidprocme", DOWN="yes")

    assert done.returncode == 1 and f"{with_} cannot say which clusters there are: no daemon" in done.stderr
    assert not [call for call in tree.asked() if "delete" in call or "create" in call] and tree.states() == set(STATES)


@pytest.mark.parametrize("with_", ["kind", "k3d"])
def test_a_cluster_is_made_once(tree: Tree, with_: str) -> None:
    made = tree.run("cluster_up.sh", CLUSTER_WITH=with_)
    first = tree.asked()
    again = tree.run("cluster_up.sh", CLUSTER_WITH=with_, STANDING="vidprocme")

    assert made.returncode == again.returncode == 0, made.stderr + again.stderr
    assert len([call for call in first if "cluster" in call and "create" in call]) == 1
    assert not [call for call in tree.asked()[len(first) :] if "create" in call]
    assert any("apply" in call for call in first) and "init -input=false -upgrade -reconfigure" in " ".join(first)


@pytest.mark.parametrize(
    ("variables", "context"),
    [
        ({}, "kind-vidprocme"),
        ({"CLUSTER": "mine"}, "kind-mine"),
        ({"CLUSTER": "mine", "CLUSTER_WITH": "k3d"}, "k3d-mine"),
    ],
)
def test_all_speak_of_the_same_cluster(tree: Tree, variables: dict[str, str], context: str) -> None:
    for script in ("cluster_up.sh", "cluster_smoke.sh", "cluster_logs.sh"):
        done = tree.run(script, **variables)
        assert done.returncode == 0, done.stderr

    asked = tree.asked()
    synth = [call for call in asked if call.startswith("synth")]
    kubectl = [call for call in asked if call.startswith("kubectl")]
    assert f"--context {context} " in synth[0]
    assert len(kubectl) > 3 and all(f"--context {context} " in call for call in kubectl)


def test_a_context_of_elsewhere_may_be_named(tree: Tree) -> None:
    assert tree.run("cluster_smoke.sh", "gke_p_r_vidprocme", "films").returncode == 0
    assert tree.run("cluster_logs.sh", "gke_p_r_vidprocme", "films").returncode == 0

    kubectl = [call for call in tree.asked() if call.startswith("kubectl")]
    assert kubectl and all("--context gke_p_r_vidprocme --namespace films" in call for call in kubectl)
    assert any(call.startswith("python -m scripts.smoke http://127.0.0.1:18484") for call in tree.asked())


def test_a_smoke_without_its_environment_says_how_it_is_made(tree: Tree) -> None:
    (tree.root / ".venv" / "base.stamp").unlink()

    done = tree.run("cluster_smoke.sh")

    assert done.returncode == 1 and "make .venv/base.stamp" in done.stderr and tree.asked() == []


def test_a_machine_that_is_too_small_is_told(tree: Tree) -> None:
    small, large = tree.run("cluster_up.sh", SIZE=SMALL), tree.run("cluster_up.sh", SIZE=LARGE)

    assert small.returncode == large.returncode == 0
    assert "docker has 4 cores and 6144 MiB of memory" in small.stderr and "stay Pending" in small.stderr
    assert "warning" not in large.stderr
