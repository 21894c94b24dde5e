"""A network of its own: one subnet, no address of a node that the internet knows, a way out by NAT."""

from __future__ import annotations

from collections.abc import Sequence

from cdktn import ITerraformDependable
from cdktn_provider_google.compute_network import ComputeNetwork
from cdktn_provider_google.compute_router import ComputeRouter
from cdktn_provider_google.compute_router_nat import ComputeRouterNat, ComputeRouterNatLogConfig
from cdktn_provider_google.compute_subnetwork import (
    ComputeSubnetwork,
    ComputeSubnetworkLogConfig,
    ComputeSubnetworkSecondaryIpRange,
)
from constructs import Construct

from infra.gcp.settings import Gcp

PODS, SERVICES = "pods", "services"


class Network(Construct):
    """`network` and `subnet` are references by id."""

    def __init__(self, scope: Construct, settings: Gcp, after: Sequence[ITerraformDependable]) -> None:
        """
        Args:
            after: what must be there first.
        """
        super().__init__(scope, "network")
        network = ComputeNetwork(
            self,
            "network",
            name=settings.name,
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            delete_default_routes_on_create=False,
            depends_on=after,
        )
        subnet = ComputeSubnetwork(
            self,
            "subnet",
            name=f"{settings.name}-nodes",
            network=network.id,
            region=settings.region,
            ip_cidr_range=settings.network.nodes,
            secondary_ip_range=[
                ComputeSubnetworkSecondaryIpRange(range_name=PODS, ip_cidr_range=settings.network.pods),
                ComputeSubnetworkSecondaryIpRange(range_name=SERVICES, ip_cidr_range=settings.network.services),
            ],
            # Nodes without public addresses reach Google's own services (bucket, registry) inside the network.
            private_ip_google_access=True,
            log_config=ComputeSubnetworkLogConfig(
                aggregation_interval="INTERVAL_10_MIN", flow_sampling=0.1, metadata="INCLUDE_ALL_METADATA"
            ),
        )
        router = ComputeRouter(self, "router", name=settings.name, network=network.id, region=settings.region)
        # For images from registries that are not Google's.
        ComputeRouterNat(
            self,
            "nat",
            name=settings.name,
            router=router.name,
            region=settings.region,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
            log_config=ComputeRouterNatLogConfig(enable=True, filter="ERRORS_ONLY"),
        )
        self.network, self.subnet = network.id, subnet.id
