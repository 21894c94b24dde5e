"""In which order what arrives: the protocol of the FGD study (USENIX ATC 2023).

Shuffle the pods; append pods drawn with replacement until the requests reach 130 % of the cluster's GPUs; place one by
one; nothing departs; what does not fit is dropped and not tried again.
"""

from __future__ import annotations

from collections.abc import Sequence

from vidprocme.core.errors import BadWish
from vidprocme.scheduler.nodes import Shape
from vidprocme.simulator.chance import Chance

INFLATE_PERCENT = 130


def arrivals(pods: Sequence[Shape], capacity_milli: int, chance: Chance, percent: int = INFLATE_PERCENT) -> list[int]:
    """The numbers of the pods (from 0) in order of arrival: as many as it takes to ask for `percent` of the cluster's GPUs.

    Args:
        capacity_milli: GPUs of the cluster in thousandths.

    Raises:
        BadWish: BAD_TRACE, nobody asks for a GPU (it would never end) or the cluster has none.
    """
    if capacity_milli <= 0:
        raise BadWish("BAD_TRACE", "The cluster has no GPU.", "Give a node table with GPUs.")
    if not any(pod.total_gpu_milli for pod in pods):
        raise BadWish("BAD_TRACE", "No pod asks for a GPU.", "Give a pod table with GPU requests.")
    order = list(range(len(pods)))
    chance.shuffle(order)
    wanted = capacity_milli * percent // 100
    asked = sum(pod.total_gpu_milli for pod in pods)
    while asked < wanted:
        number = chance.below(len(pods))
        order.append(number)
        asked += pods[number].total_gpu_milli
    return order
