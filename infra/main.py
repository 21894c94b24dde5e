"""Synthesizes the stacks and refuses plans that break a rule of the house.

    python -m infra.main                       both, from settings.local.toml and settings.gcp.toml (or its example)
    python -m infra.main local --context NAME  for another cluster than the settings name
    python -m infra.main gcp --gcp FILE

Terraform is run on what lies in infra/cdktf.out/stacks/ afterwards; nothing here reaches any cluster or cloud.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from infra.checks.every import wrongs
from infra.checks.plan import Plan
from infra.gcp.settings import Gcp
from infra.lib.reading import WrongSettings, read
from infra.local.settings import Local
from infra.synth import synth

HERE = Path(__file__).resolve().parent
LOCAL, EXAMPLE, OWN = HERE / "settings.local.toml", HERE / "settings.gcp.example.toml", HERE / "settings.gcp.toml"
STACKS = ("local", "gcp")
WRONG_CALL, REFUSED = 2, 1


def main(argv: list[str]) -> int:
    """0: written. 1: the plan breaks a rule. 2: the settings cannot be."""
    asked = _arguments().parse_args(argv)
    which = asked.which or list(STACKS)
    if unknown := [word for word in which if word not in STACKS]:
        print(f"error: there is no stack {unknown[0]!r}, only {' and '.join(STACKS)}.", file=sys.stderr)
        return WRONG_CALL
    try:
        local = read(Local, asked.local) if "local" in which else None
        gcp = read(Gcp, asked.gcp) if "gcp" in which else None
        if local is not None:
            local = replace(
                local,
                context=asked.context or local.context,
                kubeconfig=asked.kubeconfig or local.kubeconfig,
                storage_class=asked.storage_class or local.storage_class,
            )
        plans = synth(asked.out, local=local, gcp=gcp)
    except WrongSettings as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_CALL
    kept = gcp is not None and gcp.protect
    accepted = [
        accept(asked.out, name, plan, asked.local, for_keeps=False)
        if name == "local"
        else accept(asked.out, name, plan, asked.gcp, for_keeps=kept)
        for name, plan in plans.items()
    ]
    return 0 if all(accepted) else REFUSED


def accept(out: Path, name: str, plan: Plan, settings: Path, *, for_keeps: bool) -> bool:
    """Says what is wrong with a stack's plan. False: something is, and the file is gone, so that nothing can apply it.

    settings: the file that it was made from, which is told.
    """
    folder = out / "stacks" / name
    sentences = wrongs(plan, for_keeps=for_keeps)
    for sentence in sentences:
        print(f"error: {name}: {sentence}", file=sys.stderr)
    if sentences:
        (folder / "cdk.tf.json").unlink()
        return False
    count = sum(len(made) for made in plan["resource"].values())
    print(f"{name}: {count} resources from {settings.name} in {folder}")
    return True


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.main", description="Settings in, Terraform plans out.")
    parser.add_argument("which", nargs="*", metavar="STACK", help="local, gcp; default: both")
    parser.add_argument("--local", type=Path, default=LOCAL, metavar="FILE", help="settings of the local stack")
    parser.add_argument(
        "--gcp", type=Path, default=OWN if OWN.exists() else EXAMPLE, metavar="FILE", help="settings of Google Cloud"
    )
    parser.add_argument("--context", help="the local cluster's context in the kubeconfig")
    parser.add_argument("--kubeconfig", metavar="FILE", help="where that context is written")
    parser.add_argument("--storage-class", help="the local cluster's class of disks")
    parser.add_argument("--out", type=Path, default=HERE / "cdktf.out", metavar="DIR")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
