"""`python -m benchmarks NAME`: numbers we claim are made here. benchmarks/README.md holds the results."""

from __future__ import annotations

import sys

from benchmarks import (
    api,
    cancel,
    check_placements,
    decide,
    fairness,
    kills,
    lists,
    live,
    pipeline,
    placement,
    queue,
    queueing,
    scale,
    soak,
    upload,
    web,
)

BENCHMARKS = {
    "api": api.main,
    "pipeline": pipeline.main,
    "queue": queue.main,
    "scale": scale.main,
    "kills": kills.main,
    "lists": lists.main,
    "live": live.main,
    "soak": soak.main,
    "cancel": cancel.main,
    "check-placements": check_placements.main,
    "decide": decide.main,
    "placement": placement.main,
    "queueing": queueing.main,
    "fairness": fairness.main,
    "upload": upload.main,
    "web": web.main,
}


def main(argv: list[str]) -> int:
    name, *rest = argv or [""]
    if name not in BENCHMARKS:
        print(f"usage: python -m benchmarks NAME [options]; NAME is one of: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    return BENCHMARKS[name](rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
