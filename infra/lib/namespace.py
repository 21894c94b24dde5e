"""The namespace, and who may speak to whom in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cdktn_provider_kubernetes import namespace_v1, network_policy_v1, service_account_v1
from constructs import Construct

from infra.lib.labels import COMPONENT, labels, selector
from infra.lib.structs import Data, make, name_of

ACCOUNT = "vidprocme"  # the service account of server and workers


class Namespace(Construct):
    """A namespace that takes no pod which is not as restricted as Kubernetes' own standard wants, and whose pods hear nobody.

    `name` is a reference: what uses it is made after the namespace.
    """

    def __init__(self, scope: Construct, name: str, account_annotations: Mapping[str, str]) -> None:
        """
        Args:
            account_annotations: what ties the workload's service account to an identity outside the cluster.
        """
        super().__init__(scope, "namespace")
        standard = "pod-security.kubernetes.io"
        levels = {f"{standard}/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
        metadata: Data = {"name": name, "labels": levels}
        self.name = name_of(make(namespace_v1, "NamespaceV1", self, "namespace", {"metadata": metadata}))
        metadata = {
            "name": ACCOUNT,
            "namespace": self.name,
            "labels": labels("account"),
            "annotations": dict(account_annotations),
        }
        account: Data = {"metadata": metadata, "automount_service_account_token": False}
        self.account = name_of(make(service_account_v1, "ServiceAccountV1", self, "account", account))
        self._policy("default-deny", {"pod_selector": {}, "policy_types": ["Ingress"]})

    def allow(self, component: str, port: int, senders: Sequence[str] = (), *, anybody: bool = False) -> None:
        """Lets components of the namespace reach one port of another. The node's own probes are always let in.

        Args:
            anybody: every pod of the namespace.
        """
        peers: list[Data] = [{"pod_selector": {}}] if anybody else [_component(sender) for sender in senders]
        self._policy(
            f"to-{component}",
            {
                "pod_selector": {"match_labels": selector(component)},
                "policy_types": ["Ingress"],
                "ingress": [{"from": peers, "ports": [{"port": str(port), "protocol": "TCP"}]}],
            },
        )

    def silence(self, component: str) -> None:
        """A component that answers and never calls: no packet leaves it on its own account."""
        self._policy(
            f"from-{component}", {"pod_selector": {"match_labels": selector(component)}, "policy_types": ["Egress"]}
        )

    def _policy(self, name: str, spec: Data) -> None:
        data = {"metadata": {"name": name, "namespace": self.name}, "spec": spec}
        make(network_policy_v1, "NetworkPolicyV1", self, name, data)


def _component(name: str) -> Data:
    return {"pod_selector": {"match_labels": {COMPONENT: name}}}
