"""The local stack: the house in a cluster of one node, all data on one disk."""

from __future__ import annotations

import re

from cdktn import LocalBackend, TerraformOutput, TerraformStack
from cdktn_provider_kubernetes.provider import KubernetesProvider
from cdktn_provider_random.provider import RandomProvider
from constructs import Construct

from infra.lib.house import House, Site
from infra.local.settings import Local

NAME = "local"
# Relative to the folder where Terraform runs (infra/cdktf.out/stacks/local), which may be thrown away at any time.
STATES = "../../../state"


class LocalStack(TerraformStack):
    def __init__(self, scope: Construct, settings: Local) -> None:
        super().__init__(scope, NAME)
        # One for each cluster: what Terraform knows of one is wrong of another. scripts/cluster_down.sh removes it by this name.
        LocalBackend(self, path=f"{STATES}/{re.sub('[^A-Za-z0-9._-]', '-', settings.context)}.tfstate")
        KubernetesProvider(self, "kubernetes", config_path=settings.kubeconfig, config_context=settings.context)
        RandomProvider(self, "random")
        House(self, settings.house, Site(storage_class=settings.storage_class))
        TerraformOutput(self, "namespace", value=settings.house.namespace)
