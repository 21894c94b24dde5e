"""Settings in, plans out: the one place where the stacks are put together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra.gcp.settings import Gcp
from infra.local.settings import Local

Plans = dict[str, dict[str, Any]]


def synth(out: Path, *, local: Local | None = None, gcp: Gcp | None = None) -> Plans:
    """Writes `stacks/<name>/cdk.tf.json` below `out` for what is given, and returns the plans by the stacks' names."""
    # The bindings start a node process and take seconds to load: only when there is something to synthesize.
    from cdktn import App

    app = App(outdir=str(out))
    names = []
    if local is not None:
        from infra.local.stack import NAME, LocalStack

        LocalStack(app, local)
        names.append(NAME)
    if gcp is not None:
        from infra.gcp import ground, house

        first = ground.GroundStack(app, gcp)
        house.HouseStack(app, gcp).add_dependency(first)
        names += [ground.NAME, house.NAME]
    app.synth()
    return {name: json.loads((out / "stacks" / name / "cdk.tf.json").read_text(encoding="utf-8")) for name in names}
