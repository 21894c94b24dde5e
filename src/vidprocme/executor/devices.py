"""What this machine can run attempts on: its cores, and its model places."""

from __future__ import annotations

import os

from vidprocme.core.resources import Place, PlaceKind, Resources


def cores() -> int:
    """Cores this process may use (a container's or taskset's share, not the machine's)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
