"""A pod as plain data, in the words of Terraform's Kubernetes provider, and safe whoever asks for it.

Whatever the caller says, a container is not root, cannot become it, holds no capability, runs under the runtime's seccomp
profile, cannot write to its image, and gets neither the token of its service account nor the namespace's service variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.lib.settings import Size
from infra.lib.structs import Data


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume as one container sees it. sub_path: one file or folder of it only."""

    volume: str
    path: str
    sub_path: str = ""
    read_only: bool = False

    def data(self) -> Data:
        found: Data = {"name": self.volume, "mount_path": self.path, "read_only": self.read_only}
        return {**found, "sub_path": self.sub_path} if self.sub_path else found


@dataclass(frozen=True, slots=True)
class Container:
    """One container. Probes are made by `http`, `run` and `tcp`; `secrets`: variable -> (secret, key)."""

    name: str
    image: str
    size: Size
    liveness: Data
    readiness: Data
    startup: Data | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    secrets: Mapping[str, tuple[str, str]] | None = None
    port: tuple[str, int] | None = None
    mounts: tuple[Mount, ...] = ()
    gpus: int = 0

    def data(self) -> Data:
        # Secrets first: a later variable may hold $(THE_SECRET), which Kubernetes replaces from earlier ones only.
        env: list[Data] = [
            {"name": name, "value_from": {"secret_key_ref": {"name": secret, "key": key}}}
            for name, (secret, key) in (self.secrets or {}).items()
        ]
        env += [{"name": name, "value": value} for name, value in (self.env or {}).items()]
        found: Data = {
            "name": self.name,
            "image": self.image,
            "image_pull_policy": "IfNotPresent",
            "env": env,
            "resources": self._resources(),
            "liveness_probe": self.liveness,
            "readiness_probe": self.readiness,
            "security_context": {
                "allow_privilege_escalation": False,
                "privileged": False,
                "read_only_root_filesystem": True,
                "run_as_non_root": True,
                "capabilities": {"drop": ["ALL"]},
                "seccomp_profile": {"type": "RuntimeDefault"},
            },
            "volume_mount": [mount.data() for mount in self.mounts],
        }
        if self.startup is not None:
            found["startup_probe"] = self.startup
        if self.command:
            found["command"] = list(self.command)
        if self.args:
            found["args"] = list(self.args)
        if self.port is not None:
            found["port"] = [{"name": self.port[0], "container_port": self.port[1]}]
        return found

    def _resources(self) -> Data:
        memory = f"{self.size.memory_mib}Mi"
        limits = {"cpu": f"{self.size.cpu_limit_milli or self.size.cpu_milli}m", "memory": memory}
        if self.gpus:
            limits["nvidia.com/gpu"] = str(self.gpus)  # a GPU is asked for by its limit
        return {"requests": {"cpu": f"{self.size.cpu_milli}m", "memory": memory}, "limits": limits}


@dataclass(frozen=True, slots=True)
class Pod:
    """Containers, their volumes, and as whom they run (a user and group without a name on the node)."""

    container: Container
    user: int
    volumes: tuple[Data, ...] = ()
    service_account: str = ""
    grace_s: int = 30
    node_labels: Mapping[str, str] | None = None
    tolerations: tuple[Data, ...] = ()

    def data(self) -> Data:
        found: Data = {
            "container": [self.container.data()],
            "volume": list(self.volumes),
            "automount_service_account_token": False,
            # A Service named vidprocme would put VIDPROCME_PORT=tcp://... before every pod, and vidprocme reads that name.
            "enable_service_links": False,
            "termination_grace_period_seconds": self.grace_s,
            "security_context": {
                "run_as_non_root": True,
                "run_as_user": str(self.user),
                "run_as_group": str(self.user),
                "fs_group": str(self.user),
                "fs_group_change_policy": "OnRootMismatch",
                "seccomp_profile": {"type": "RuntimeDefault"},
            },
        }
        if self.service_account:
            found["service_account_name"] = self.service_account
        if self.node_labels:
            found["node_selector"] = dict(self.node_labels)
        if self.tolerations:
            found["toleration"] = list(self.tolerations)
        return found


def http(path: str, port: int, *, every_s: int = 10, failures: int = 3, timeout_s: int = 5) -> Data:
    """Asks for a page; 2xx and 3xx are good."""
    return {"http_get": {"path": path, "port": str(port)}, **_rhythm(every_s, failures, timeout_s)}


def run(*command: str, every_s: int = 10, failures: int = 3, timeout_s: int = 5) -> Data:
    """Runs a program in the container; exit status 0 is good."""
    return {"exec": {"command": list(command)}, **_rhythm(every_s, failures, timeout_s)}


def tcp(port: int, *, every_s: int = 10, failures: int = 3, timeout_s: int = 5) -> Data:
    """Opens a connection, and says nothing."""
    return {"tcp_socket": {"port": str(port)}, **_rhythm(every_s, failures, timeout_s)}


def _rhythm(every_s: int, failures: int, timeout_s: int) -> Data:
    return {"period_seconds": every_s, "failure_threshold": failures, "timeout_seconds": timeout_s}


def empty_dir(name: str, size_mib: int) -> Data:
    """A folder on the node's disk that ends with the pod; a pod that writes more than its size is evicted."""
    return {"name": name, "empty_dir": {"size_limit": f"{size_mib}Mi"}}


def config_files(name: str, config_map: str) -> Data:
    return {"name": name, "config_map": {"name": config_map}}


def secret_files(name: str, secret: str) -> Data:
    return {"name": name, "secret": {"secret_name": secret, "default_mode": "0440"}}


def claimed(name: str, claim: str) -> Data:
    return {"name": name, "persistent_volume_claim": {"claim_name": claim}}
