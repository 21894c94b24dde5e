"""Pools of nodes: one with CPUs that is always there, one with GPUs that is empty while nobody asks for one."""

from __future__ import annotations

from typing import Any

from cdktn_provider_google import container_node_pool as pool
from constructs import Construct

from infra.gcp.identity import Identity
from infra.gcp.settings import Gcp, GpuPool

# What a token may be used for at all; what the account may do is IAM's to say, and it may do next to nothing (gcp/identity.py).
# Google's advice for an account of one's own (GKE: "Access scopes").
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
GPU_LABEL = {"vidprocme.dev/gpu": "true"}
GPU_TAINT = ("nvidia.com/gpu", "present")


class Nodes(Construct):
    def __init__(self, scope: Construct, settings: Gcp, cluster: str, who: Identity) -> None:
        super().__init__(scope, "nodes")
        common: dict[str, Any] = {
            "cluster": cluster,
            "location": settings.region,
            "node_locations": list(settings.zones),
        }
        pool.ContainerNodePool(
            self,
            "cpu",
            name="cpu",
            **common,
            autoscaling=pool.ContainerNodePoolAutoscaling(
                total_min_node_count=settings.nodes.least,
                total_max_node_count=settings.nodes.most,
                location_policy="BALANCED",
            ),
            management=_looked_after(),
            upgrade_settings=_one_more_first(),
            node_config=_node(
                settings,
                who,
                machine=settings.nodes.machine,
                disk_gib=settings.nodes.disk_gib,
                spot=settings.nodes.spot,
            ),
        )
        if settings.gpus is not None:
            self._gpus(settings, settings.gpus, common, who)

    def _gpus(self, settings: Gcp, gpus: GpuPool, common: dict[str, Any], who: Identity) -> None:
        sharing = pool.ContainerNodePoolNodeConfigGuestAcceleratorGpuSharingConfig(
            gpu_sharing_strategy="TIME_SHARING", max_shared_clients_per_gpu=gpus.shared_by
        )
        accelerator = pool.ContainerNodePoolNodeConfigGuestAccelerator(
            type=gpus.accelerator,
            count=gpus.per_node,
            gpu_driver_installation_config=pool.ContainerNodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfig(
                gpu_driver_version=gpus.driver
            ),
            gpu_sharing_config=sharing if gpus.shared_by > 1 else None,
        )
        key, value = GPU_TAINT
        pool.ContainerNodePool(
            self,
            "gpu",
            name="gpu",
            **common,
            initial_node_count=0,
            autoscaling=pool.ContainerNodePoolAutoscaling(
                total_min_node_count=0, total_max_node_count=gpus.most, location_policy="ANY"
            ),
            management=_looked_after(),
            # GPUs are scarce: an upgrade takes a node away first instead of asking for one more.
            upgrade_settings=pool.ContainerNodePoolUpgradeSettings(max_surge=0, max_unavailable=1),
            node_config=_node(
                settings,
                who,
                machine=gpus.machine,
                disk_gib=gpus.disk_gib,
                spot=gpus.spot,
                labels=GPU_LABEL,
                guest_accelerator=[accelerator],
                taint=[pool.ContainerNodePoolNodeConfigTaint(key=key, value=value, effect="NO_SCHEDULE")],
            ),
        )


def _looked_after() -> pool.ContainerNodePoolManagement:
    return pool.ContainerNodePoolManagement(auto_repair=True, auto_upgrade=True)


def _one_more_first() -> pool.ContainerNodePoolUpgradeSettings:
    return pool.ContainerNodePoolUpgradeSettings(max_surge=1, max_unavailable=0)


def _node(
    settings: Gcp, who: Identity, *, machine: str, disk_gib: int, **more: Any
) -> pool.ContainerNodePoolNodeConfig:
    return pool.ContainerNodePoolNodeConfig(
        machine_type=machine,
        disk_type="pd-balanced",
        disk_size_gb=disk_gib,
        image_type="COS_CONTAINERD",
        service_account=who.nodes,
        oauth_scopes=SCOPES,
        resource_labels={"app": settings.name},
        metadata={"disable-legacy-endpoints": "true"},
        # Pods see their own identity and nothing of the node's.
        workload_metadata_config=pool.ContainerNodePoolNodeConfigWorkloadMetadataConfig(mode="GKE_METADATA"),
        shielded_instance_config=pool.ContainerNodePoolNodeConfigShieldedInstanceConfig(
            enable_secure_boot=True, enable_integrity_monitoring=True
        ),
        **more,
    )
