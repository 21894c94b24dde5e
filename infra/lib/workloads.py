"""The Kubernetes objects that every part of the house is made of, each by one call."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from cdktn_provider_kubernetes import config_map_v1, deployment_v1, persistent_volume_claim_v1, secret_v1, service_v1
from constructs import Construct

from infra.lib.labels import labels, selector
from infra.lib.pods import Pod
from infra.lib.structs import Data, make, name_of


def deployment(
    scope: Construct,
    name: str,
    *,
    namespace: str,
    component: str,
    pod: Pod,
    replicas: int = 1,
    pool: str = "",
    recreate: bool = False,
    wait: bool = True,
    annotations: Mapping[str, str] | None = None,
) -> None:
    """A Deployment.

    Args:
        recreate: the old pod goes before the new one comes: for a disk or lock that only one may hold.
        wait: whether `apply` waits until its pods are ready.
    """
    spec: Data = {
        "replicas": str(replicas),
        "revision_history_limit": 3,
        "selector": {"match_labels": selector(component, pool)},
        "strategy": {"type": "Recreate" if recreate else "RollingUpdate"},
        "template": {
            "metadata": {"labels": labels(component, pool), "annotations": dict(annotations or {})},
            "spec": pod.data(),
        },
    }
    make(
        deployment_v1,
        "DeploymentV1",
        scope,
        "deployment",
        {
            "metadata": {"name": name, "namespace": namespace, "labels": labels(component, pool)},
            "spec": spec,
            "wait_for_rollout": wait,
        },
    )


def service(scope: Construct, name: str, *, namespace: str, component: str, port: int, unready: bool = False) -> None:
    """A name inside the cluster for a component's pods.

    Args:
        unready: it names pods that are not ready too.
    """
    make(
        service_v1,
        "ServiceV1",
        scope,
        "service",
        {
            "metadata": {"name": name, "namespace": namespace, "labels": labels(component)},
            "spec": {
                "type": "ClusterIP",
                **({"publish_not_ready_addresses": True} if unready else {}),
                "selector": selector(component),
                "port": [{"name": "main", "port": port, "target_port": str(port), "protocol": "TCP"}],
            },
        },
    )


def config_map(scope: Construct, name: str, files: Mapping[str, str], *, namespace: str, component: str) -> str:
    """Files for pods to mount, as they are. Returns the map's name."""
    # "${" and "%{" would be Terraform's to fill in; doubled, they stand for themselves.
    literal = {name: text.replace("${", "$${").replace("%{", "%%{") for name, text in files.items()}
    metadata = {"name": name, "namespace": namespace, "labels": labels(component)}
    return name_of(make(config_map_v1, "ConfigMapV1", scope, name, {"metadata": metadata, "data": literal}))


def secret(scope: Construct, name: str, values: Mapping[str, str], *, namespace: str, component: str) -> str:
    """Values that are references, so that none stands in the plan. Returns the Secret's name."""
    metadata = {"name": name, "namespace": namespace, "labels": labels(component)}
    return name_of(make(secret_v1, "SecretV1", scope, "secret", {"metadata": metadata, "data": dict(values)}))


def claim(
    scope: Construct, name: str, *, namespace: str, component: str, gib: int, storage_class: str, protect: bool
) -> str:
    """A disk for the pods of one node (ReadWriteOnce). Returns the claim's name.

    Args:
        protect: Terraform refuses to remove it.
    """
    made = make(
        persistent_volume_claim_v1,
        "PersistentVolumeClaimV1",
        scope,
        "claim",
        {
            "metadata": {"name": name, "namespace": namespace, "labels": labels(component)},
            "spec": {
                "access_modes": ["ReadWriteOnce"],
                "storage_class_name": storage_class,
                "resources": {"requests": {"storage": f"{gib}Gi"}},
            },
            # The disk is made when the first pod that wants it has its node: to wait for it here would wait for ever.
            "wait_until_bound": False,
        },
        protect=protect,
    )
    return name_of(made)


def changed_with(*files: Mapping[str, str]) -> dict[str, str]:
    """An annotation that changes with the files, so that pods which read them once are started again."""
    digest = hashlib.sha256()
    for name, text in sorted(pair for mapping in files for pair in mapping.items()):
        digest.update(f"{name}\0{text}\0".encode())
    return {"vidprocme.dev/files": digest.hexdigest()[:16]}
