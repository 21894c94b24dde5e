"""Settings of the local stack."""

from __future__ import annotations

from dataclasses import dataclass

from infra.lib.settings import House, need


@dataclass(frozen=True, slots=True)
class Local:
    """A cluster of one node that somebody has made (scripts/cluster_up.sh) and that kubectl knows by a context."""

    house: House
    context: str = "kind-vidprocme"
    kubeconfig: str = "~/.kube/config"
    storage_class: str = "standard"  # KinD's; k3d's is local-path

    def __post_init__(self) -> None:
        need(bool(self.context), "context must name a context of the kubeconfig.")
        need(bool(self.storage_class), "storage_class must name one: `kubectl get storageclass` shows them.")
        server = self.house.model_server
        need(
            server is None or server.gpus == 0, "house.model_server.gpus must be 0: the local node has no GPUs to give."
        )
