"""Settings that both stacks share: the house itself, whatever it stands on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from infra.lib.reading import WrongSettings

# Both are vidprocme's own defaults, and no pod is told others (tests/test_infra.py holds them equal). Pools keep a task so long
# without a beat (VIDPROCME_LEASE_MS); a pod that is asked to go gets at least as long.
LEASE_S = 15
PORT = 8484
MODEL_SERVER = "model-server"  # its Service

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")  # a DNS label, short enough to be followed by a suffix
_TAGGED = re.compile(r"[a-z0-9][a-z0-9._/-]*(:[0-9]+/[a-z0-9._/-]+)?:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})")
_DIGESTED = re.compile(r"[a-z0-9][A-Za-z0-9._/:-]*@sha256:[0-9a-f]{64}")


def need(holds: bool, sentence: str) -> None:
    """
    Raises:
        WrongSettings: it does not hold.
    """
    if not holds:
        raise WrongSettings(sentence)


def need_name(what: str, name: str) -> None:
    need(
        _NAME.fullmatch(name) is not None,
        f"{what} = {name!r} must be a name of small letters, digits and dashes that begins with a letter (at most 40).",
    )


def why_not_an_image(reference: str) -> str:
    """What is wrong with an image's reference; "" when it names one image for good (a tag that is not latest, or a digest)."""
    if _DIGESTED.fullmatch(reference):
        return ""
    tagged = _TAGGED.fullmatch(reference)
    if tagged is None:
        return f"{reference!r} must name a tag or a digest: name:1.2.3 or name@sha256:..."
    if tagged["tag"] == "latest":
        return f"{reference!r} must not be latest: what runs would depend on the day it was pulled."
    return ""


@dataclass(frozen=True, slots=True)
class Size:
    """What one container is promised, and the most it gets. Memory is promised whole: what is over it is killed.

    cpu_milli: 1000 = one core. cpu_limit_milli: 0: the same.
    """

    cpu_milli: int
    memory_mib: int
    cpu_limit_milli: int = 0

    def __post_init__(self) -> None:
        need(self.cpu_milli > 0, f"cpu_milli = {self.cpu_milli} must be above 0.")
        need(self.memory_mib > 0, f"memory_mib = {self.memory_mib} must be above 0.")
        need(
            self.cpu_limit_milli == 0 or self.cpu_limit_milli >= self.cpu_milli,
            f"cpu_limit_milli = {self.cpu_limit_milli} is below cpu_milli = {self.cpu_milli}.",
        )


@dataclass(frozen=True, slots=True)
class Redis:
    """The one durable truth about work. maxmemory_mib: where it refuses writes, far below where it would be killed."""

    image: str
    size: Size = Size(250, 1536, 1000)
    maxmemory_mib: int = 768
    disk_gib: int = 10

    def __post_init__(self) -> None:
        need(not (why := why_not_an_image(self.image)), f"image {why}")
        # A rewrite of the append-only file forks: pages written meanwhile are there twice.
        need(
            0 < self.maxmemory_mib <= self.size.memory_mib * 6 // 10,
            f"maxmemory_mib = {self.maxmemory_mib} must be above 0 and at most 60 % of size.memory_mib = "
            f"{self.size.memory_mib}: the rest is for the rewrite of its file.",
        )
        need(self.disk_gib * 1024 >= 4 * self.maxmemory_mib, "disk_gib must hold four times maxmemory_mib.")


@dataclass(frozen=True, slots=True)
class Pool:
    """One kind of worker pods.

    cores: for attempts; promised and limited. sim_gpus: model places whose models run on the CPU. scratch_gib: room of
    one pod for attempts that run. data_gib: for its index and caches, where it has no disk. drain_s: how long a pod that is to go may finish what runs.
    """

    name: str
    replicas: int = 1
    cores: int = 2
    memory_mib: int = 4096
    sim_gpus: int = 0
    scratch_gib: int = 20
    data_gib: int = 5
    drain_s: int = 120

    def __post_init__(self) -> None:
        need_name("name", self.name)
        need(self.replicas >= 0, f"replicas = {self.replicas} must not be negative.")
        need(self.cores > 0, f"cores = {self.cores} must be above 0.")
        need(
            self.memory_mib >= 1024,
            f"memory_mib = {self.memory_mib} must be at least 1024: ffmpeg and an engine run there.",
        )
        need(0 <= self.sim_gpus <= 64, f"sim_gpus = {self.sim_gpus} must be from 0 to 64.")
        need(self.scratch_gib > 0, f"scratch_gib = {self.scratch_gib} must be above 0.")
        need(self.data_gib > 0, f"data_gib = {self.data_gib} must be above 0.")
        need(
            self.drain_s >= LEASE_S,
            f"drain_s = {self.drain_s} is below the lease of {LEASE_S} s: a pod that goes would be killed in its work.",
        )


@dataclass(frozen=True, slots=True)
class Server:
    """The HTTP server. disk_gib: its index, and uploads on their way in (with the local stack: all data)."""

    size: Size = Size(250, 1024, 2000)
    disk_gib: int = 20

    def __post_init__(self) -> None:
        need(self.disk_gib > 0, f"disk_gib = {self.disk_gib} must be above 0.")


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A server that speaks OpenAI's API with pictures (llama-server, vLLM), for the pools' captions.

    id: the model's name in vidprocme. served_as: its name on that server; "": the only one. command, args: as the image
    wants them; weights lie at /models, on a disk that somebody fills. gpus: whole GPUs of a pod (a share of one counts
    as 1 where GPUs are shared). replicas: 0 keeps everything ready, and no GPU.
    """

    image: str
    id: str
    args: tuple[str, ...]
    command: tuple[str, ...] = ()
    served_as: str = ""
    replicas: int = 0
    gpus: int = 1
    port: int = 8080
    size: Size = Size(2000, 12288, 4000)
    models_gib: int = 50
    health: str = "/health"

    def __post_init__(self) -> None:
        need(not (why := why_not_an_image(self.image)), f"image {why}")
        need_name("id", self.id)
        need(self.id != "demo", "id must not be 'demo': that is the model that comes along.")
        need(self.replicas >= 0, f"replicas = {self.replicas} must not be negative.")
        need(self.gpus >= 0, f"gpus = {self.gpus} must not be negative.")
        need(1024 <= self.port <= 65535, f"port = {self.port} must be from 1024 to 65535: the pod is not root.")
        need(self.models_gib > 0, f"models_gib = {self.models_gib} must be above 0.")
        need(self.health.startswith("/"), f"health = {self.health!r} must be a path that begins with /.")


@dataclass(frozen=True, slots=True)
class Model:
    """A model server that runs elsewhere, and wants no key. url: as pods reach it, up to and with /v1."""

    id: str
    url: str
    served_as: str = ""

    def __post_init__(self) -> None:
        need_name("id", self.id)
        need(self.id != "demo", "id must not be 'demo': that is the model that comes along.")
        need(
            re.fullmatch(r"https?://[^/@\s]+(/\S*)?", self.url) is not None,
            f"url = {self.url!r} must look like http://host:8080/v1, without user and password.",
        )


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Prometheus, Alertmanager and Grafana, with the files in monitoring/."""

    prometheus: str
    alertmanager: str
    grafana: str
    keep_days: int = 15
    disk_gib: int = 10

    def __post_init__(self) -> None:
        for name in ("prometheus", "alertmanager", "grafana"):
            need(not (why := why_not_an_image(getattr(self, name))), f"{name} {why}")
        need(self.keep_days > 0, f"keep_days = {self.keep_days} must be above 0.")
        need(self.disk_gib > 0, f"disk_gib = {self.disk_gib} must be above 0.")


@dataclass(frozen=True, slots=True)
class House:
    """What runs in the namespace. models: servers elsewhere; the one in the namespace, or the first of them, is the default."""

    image: str
    redis: Redis
    pools: tuple[Pool, ...]
    namespace: str = "vidprocme"
    server: Server = Server()
    model_server: ModelServer | None = None
    models: tuple[Model, ...] = ()
    monitoring: Monitoring | None = None
    log_level: str = "info"

    def __post_init__(self) -> None:
        need(not (why := why_not_an_image(self.image)), f"image {why}")
        need_name("namespace", self.namespace)
        need(bool(self.pools), "pools must name at least one.")
        ids = [it.id for it in self.all_models()]
        need(len(set(ids)) == len(ids), f"models must have different ids, and are {', '.join(ids)}.")
        names = [pool.name for pool in self.pools]
        need(len(set(names)) == len(names), f"pools must have different names, and are {', '.join(names)}.")
        need(
            self.log_level in ("debug", "info", "warning", "error"),
            f"log_level = {self.log_level!r} must be debug, info, warning or error.",
        )

    def all_models(self) -> tuple[Model, ...]:
        """What the registry will hold, the default first. A model server without replicas is no model: captions would wait."""
        here = self.model_server
        if here is None or here.replicas == 0:
            return self.models
        return (Model(here.id, f"http://{MODEL_SERVER}:{here.port}/v1", here.served_as), *self.models)
