"""Settings of the Google Cloud stacks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network

from infra.lib.reading import WrongSettings
from infra.lib.settings import House, need, need_name

# Google's rules for names: projects, and buckets (a narrower form than is allowed: no points).
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class State:
    """Where Terraform keeps what it knows: a bucket made by hand, before anything else, with versions and without readers."""

    bucket: str
    prefix: str = "vidprocme"

    def __post_init__(self) -> None:
        need(_BUCKET.fullmatch(self.bucket) is not None, f"bucket = {self.bucket!r} is not a bucket's name.")


@dataclass(frozen=True, slots=True)
class Network:
    """Private ranges, which must not meet others that are peered with this network."""

    nodes: str = "10.10.0.0/20"
    pods: str = "10.20.0.0/14"
    services: str = "10.30.0.0/20"

    def __post_init__(self) -> None:
        ranges = {}
        for name in ("nodes", "pods", "services"):
            text = getattr(self, name)
            try:
                ranges[name] = IPv4Network(text)
            except ValueError:
                need(False, f"{name} = {text!r} is not a range like 10.10.0.0/20.")
            need(ranges[name].is_private, f"{name} = {text} is not a private range.")
        names = sorted(ranges)
        for left, right in ((a, b) for a in names for b in names if a < b):
            need(
                not ranges[left].overlaps(ranges[right]),
                f"{left} = {ranges[left]} and {right} = {ranges[right]} overlap.",
            )


@dataclass(frozen=True, slots=True)
class NodePool:
    """Machines for server and workers. least, most: nodes in all zones together."""

    machine: str = "e2-standard-4"
    least: int = 1
    most: int = 4
    disk_gib: int = 100
    spot: bool = False

    def __post_init__(self) -> None:
        need(bool(self.machine), "machine must name a machine type.")
        need(1 <= self.least <= self.most, f"least = {self.least} and most = {self.most} must be 1 <= least <= most.")
        need(self.disk_gib >= 30, f"disk_gib = {self.disk_gib} must be at least 30: images and scratch lie there.")


@dataclass(frozen=True, slots=True)
class GpuPool:
    """Machines with GPUs, none while nobody asks for one.

    per_node: GPUs of a machine. shared_by: pods that share one GPU by time, without a wall between their memories; 1: none
    does. driver: which of GKE's drivers is installed, DEFAULT or LATEST.
    """

    accelerator: str
    machine: str
    per_node: int = 1
    most: int = 1
    shared_by: int = 1
    disk_gib: int = 200
    spot: bool = False
    driver: str = "DEFAULT"

    def __post_init__(self) -> None:
        need(self.accelerator.startswith("nvidia-"), f"accelerator = {self.accelerator!r} must be one like nvidia-l4.")
        need(bool(self.machine), "machine must name a machine type that takes the accelerator.")
        need(self.per_node >= 1, f"per_node = {self.per_node} must be at least 1.")
        need(self.most >= 1, f"most = {self.most} must be at least 1; leave the table out to have no GPU pool.")
        need(1 <= self.shared_by <= 48, f"shared_by = {self.shared_by} must be from 1 to 48, which is GKE's most.")
        need(self.driver in ("DEFAULT", "LATEST"), f"driver = {self.driver!r} must be DEFAULT or LATEST.")

    @property
    def most_per_pod(self) -> int:
        """GPUs that one pod can have: of a shared one no more than its share, which is GKE's rule."""
        return 1 if self.shared_by > 1 else self.per_node


@dataclass(frozen=True, slots=True)
class Bucket:
    """The bucket of blobs. name: "": made from project and name. undelete_days: how long what was deleted can come back."""

    name: str = ""
    undelete_days: int = 7

    def __post_init__(self) -> None:
        need(not self.name or _BUCKET.fullmatch(self.name) is not None, f"name = {self.name!r} is not a bucket's name.")
        need(
            7 <= self.undelete_days <= 90,
            f"undelete_days = {self.undelete_days} must be from 7 to 90, Google's limits.",
        )


@dataclass(frozen=True, slots=True)
class Gcp:
    """A project that exists and has billing; everything in it is made here.

    region: of everything. zones: of the nodes; disks live in one zone, so the first release names one. protect: cluster,
    bucket, disks and passwords cannot be destroyed by Terraform. channel: how eagerly GKE is upgraded.
    """

    project: str
    region: str
    zones: tuple[str, ...]
    house: House
    name: str = "vidprocme"
    protect: bool = True
    channel: str = "REGULAR"
    storage_class: str = "premium-rwo"  # GKE's own class for SSDs
    state: State | None = None
    network: Network = Network()
    nodes: NodePool = NodePool()
    gpus: GpuPool | None = None
    blobs: Bucket = Bucket()

    def __post_init__(self) -> None:
        need(_PROJECT.fullmatch(self.project) is not None, f"project = {self.project!r} is not a project's id.")
        need_name("name", self.name)
        need(len(self.name) <= 20, f"name = {self.name!r} must have at most 20 letters: accounts are named after it.")
        need(bool(self.zones), "zones must name at least one zone.")
        for zone in self.zones:
            need(zone.startswith(f"{self.region}-"), f"zones: {zone} does not lie in region = {self.region}.")
        need(
            self.channel in ("RAPID", "REGULAR", "STABLE", "EXTENDED"),
            f"channel = {self.channel!r} must be RAPID, REGULAR, STABLE or EXTENDED.",
        )
        self._need_gpus_for_the_model_server()

    def _need_gpus_for_the_model_server(self) -> None:
        server = self.house.model_server
        if server is None or server.gpus == 0:
            return
        if self.gpus is None:
            raise WrongSettings("house.model_server wants GPUs, and there is no table gpus.")
        need(
            server.gpus <= self.gpus.most_per_pod,
            f"house.model_server.gpus = {server.gpus}, and one pod can have {self.gpus.most_per_pod} "
            "(per_node, or 1 where a GPU is shared, which is GKE's rule).",
        )

    @property
    def bucket(self) -> str:
        return self.blobs.name or f"{self.project}-{self.name}-blobs"

    def account(self, who: str) -> str:
        """The address of one of our service accounts: `nodes`, `app`."""
        return f"{self.name}-{who}@{self.project}.iam.gserviceaccount.com"
