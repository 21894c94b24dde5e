"""The cluster: private nodes, a control plane that asks IAM who is calling, and two pools of nodes."""

from __future__ import annotations

from cdktn import TerraformResourceLifecycle
from cdktn_provider_google import container_cluster as gke
from constructs import Construct

from infra.gcp.identity import Identity
from infra.gcp.network import PODS, SERVICES, Network
from infra.gcp.settings import Gcp


class Cluster(Construct):
    """`name` is a reference; nodes come from the pools (gcp/nodes.py), not from the cluster itself."""

    def __init__(self, scope: Construct, settings: Gcp, network: Network, who: Identity) -> None:
        super().__init__(scope, "cluster")
        made = gke.ContainerCluster(
            self,
            "cluster",
            name=settings.name,
            location=settings.region,
            node_locations=list(settings.zones),
            network=network.network,
            subnetwork=network.subnet,
            networking_mode="VPC_NATIVE",
            ip_allocation_policy=gke.ContainerClusterIpAllocationPolicy(
                cluster_secondary_range_name=PODS, services_secondary_range_name=SERVICES
            ),
            private_cluster_config=gke.ContainerClusterPrivateClusterConfig(enable_private_nodes=True),
            control_plane_endpoints_config=_by_name_only(),
            datapath_provider="ADVANCED_DATAPATH",  # Dataplane V2: network policies are obeyed
            workload_identity_config=gke.ContainerClusterWorkloadIdentityConfig(
                workload_pool=f"{settings.project}.svc.id.goog"
            ),
            release_channel=gke.ContainerClusterReleaseChannel(channel=settings.channel),
            maintenance_policy=_at_night(),
            enable_shielded_nodes=True,
            enable_legacy_abac=False,
            deletion_protection=settings.protect,
            logging_config=gke.ContainerClusterLoggingConfig(enable_components=["SYSTEM_COMPONENTS", "WORKLOADS"]),
            monitoring_config=_monitoring(),
            addons_config=gke.ContainerClusterAddonsConfig(
                gce_persistent_disk_csi_driver_config=gke.ContainerClusterAddonsConfigGcePersistentDiskCsiDriverConfig(
                    enabled=True
                )
            ),
            security_posture_config=gke.ContainerClusterSecurityPostureConfig(
                mode="BASIC", vulnerability_mode="VULNERABILITY_DISABLED"
            ),
            # The pool that comes with a cluster cannot be changed later: it is made with one node, and removed.
            remove_default_node_pool=True,
            initial_node_count=1,
            node_config=gke.ContainerClusterNodeConfig(
                service_account=who.nodes,
                shielded_instance_config=gke.ContainerClusterNodeConfigShieldedInstanceConfig(
                    enable_secure_boot=True, enable_integrity_monitoring=True
                ),
            ),
            lifecycle=TerraformResourceLifecycle(prevent_destroy=settings.protect, ignore_changes=["node_config"]),
        )
        self.name = made.name


def _by_name_only() -> gke.ContainerClusterControlPlaneEndpointsConfig:
    """Callers come by the DNS endpoint, where IAM is asked before a packet reaches the cluster; it has no public address."""
    return gke.ContainerClusterControlPlaneEndpointsConfig(
        dns_endpoint_config=gke.ContainerClusterControlPlaneEndpointsConfigDnsEndpointConfig(
            allow_external_traffic=True
        ),
        ip_endpoints_config=gke.ContainerClusterControlPlaneEndpointsConfigIpEndpointsConfig(enabled=False),
    )


def _at_night() -> gke.ContainerClusterMaintenancePolicy:
    """Upgrades restart nodes, and with them Redis: in the nights before Saturday and Sunday, UTC."""
    return gke.ContainerClusterMaintenancePolicy(
        recurring_window=gke.ContainerClusterMaintenancePolicyRecurringWindow(
            start_time="2026-01-03T00:00:00Z", end_time="2026-01-03T06:00:00Z", recurrence="FREQ=WEEKLY;BYDAY=SA,SU"
        )
    )


def _monitoring() -> gke.ContainerClusterMonitoringConfig:
    """The cluster's own health. Google's managed Prometheus is off: the house brings one, with its alerts."""
    return gke.ContainerClusterMonitoringConfig(
        enable_components=["SYSTEM_COMPONENTS"],
        managed_prometheus=gke.ContainerClusterMonitoringConfigManagedPrometheus(enabled=False),
    )
