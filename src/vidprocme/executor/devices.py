"""What this machine can run attempts on: its cores, and its model places."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from vidprocme.core.resources import Place, PlaceKind, Resources


def cores() -> int:
    """Cores this process may use: a container's or taskset's share, not the machine's; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    # Rounded down: an encoder that is throttled for a part of every period holds its frames back for all of it.
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cpu_quota(root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> float | None:
    """Cores that the control groups of this process grant (`docker run --cpus`, a pod's limits); None: no limit.

    Both versions are read, from our group upwards, since any of them may be the tighter one, and since a container may see its
    own group as the root: cpu.max (quota and period, microseconds), and cpu.cfs_quota_us with cpu.cfs_period_us of version 1.
    """
    quotas = (_quota(group, old=old) for group, old in control_groups("cpu", root, mine))
    return min((quota for quota in quotas if quota is not None), default=None)


def control_groups(
    controller: str, root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")
) -> list[tuple[Path, bool]]:
    """Folders of this process's control groups that limit `controller`, from its own upwards, each with whether it is of
    version 1."""
    try:
        lines = mine.read_text().splitlines()
    except OSError:
        return []
    found = []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and controller not in controllers.split(","):
            continue
        tree = root / controller if controllers else root
        group = PurePosixPath("/" + path.lstrip("/"))
        found += [(tree / str(one).lstrip("/"), bool(controllers)) for one in (group, *group.parents)]
    return found


def _quota(group: Path, *, old: bool) -> float | None:
    """Of one group; None: no limit ("max", -1), or no such group to be seen from in here."""
    try:
        if old:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        else:
            quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None


def local_places(node: str, *, cpu_cores: int, sim_gpus: int, server_slots: int) -> tuple[Place, ...]:
    """The places of one machine.

    One CPU place for files and ffmpeg. `sim_gpus` simulated GPUs (their models run on the CPU), or else one model place on
    the CPU. `server_slots` requests at once to OpenAI-style servers that the person named.
    """
    places = [Place(f"{node}/cpu", node, PlaceKind.CPU, Resources(cpu_milli=cpu_cores * 1000), slots=cpu_cores)]
    if sim_gpus:
        whole = Resources(gpu_milli=1000, gpus=1)
        places += [Place(f"{node}/gpu:{i}", node, PlaceKind.GPU, whole) for i in range(sim_gpus)]
    else:
        places.append(Place(f"{node}/cpu-model", node, PlaceKind.CPU_MODEL, Resources()))
    places += [Place(f"{node}/server:{i}", node, PlaceKind.SERVER, Resources()) for i in range(server_slots)]
    return tuple(places)
