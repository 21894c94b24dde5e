"""The first of the two stacks: what the house stands on. It has no pod in it, so that the second can be planned against a
cluster that exists (Terraform wants to know a provider's address before it plans)."""

from __future__ import annotations

from cdktn import GcsBackend, ITerraformDependable, LocalBackend, TerraformOutput, TerraformStack
from cdktn_provider_google.project_service import ProjectService
from cdktn_provider_google.provider import GoogleProvider
from constructs import Construct

from infra.gcp.cluster import Cluster
from infra.gcp.identity import Identity
from infra.gcp.network import Network
from infra.gcp.nodes import Nodes
from infra.gcp.settings import Gcp
from infra.gcp.storage import Blobs, Images

NAME = "gcp-ground"
SERVICES = ("artifactregistry", "cloudresourcemanager", "compute", "container", "iam", "secretmanager", "storage")


class GroundStack(TerraformStack):
    def __init__(self, scope: Construct, settings: Gcp) -> None:
        super().__init__(scope, NAME)
        keep_state(self, settings, "ground")
        GoogleProvider(
            self,
            "google",
            project=settings.project,
            region=settings.region,
            default_labels={"app": settings.name, "managed-by": "terraform"},
        )
        used: list[ITerraformDependable] = [
            # Another part of the project may use them too.
            ProjectService(self, f"api-{name}", service=f"{name}.googleapis.com", disable_on_destroy=False)
            for name in SERVICES
        ]
        network = Network(self, settings, used)
        who = Identity(self, settings, used)
        Blobs(self, settings, who, used)
        Images(self, settings, who, used)
        cluster = Cluster(self, settings, network, who)
        Nodes(self, settings, cluster.name, who)
        TerraformOutput(self, "bucket", value=f"gs://{settings.bucket}")
        TerraformOutput(
            self, "image", value=f"{settings.region}-docker.pkg.dev/{settings.project}/{settings.name}/vidprocme"
        )
        TerraformOutput(
            self,
            "kubectl",
            value=f"gcloud container clusters get-credentials {settings.name} --location {settings.region} "
            f"--project {settings.project} --dns-endpoint",
        )


def keep_state(stack: TerraformStack, settings: Gcp, part: str) -> None:
    """In the bucket that the settings name. Without one Terraform keeps it in a file beside the plan: for a look only."""
    if settings.state is not None:
        GcsBackend(stack, bucket=settings.state.bucket, prefix=f"{settings.state.prefix}/{part}")
        return
    LocalBackend(stack, path=f"../../../state/gcp-{part}.tfstate")
