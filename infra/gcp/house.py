"""The second stack: the house in the cluster that the first one made, and the keys to what is outside of it."""

from __future__ import annotations

from cdktn import Fn, TerraformOutput, TerraformResourceLifecycle, TerraformStack
from cdktn_provider_google import secret_manager_secret as secret
from cdktn_provider_google.data_google_client_config import DataGoogleClientConfig
from cdktn_provider_google.data_google_container_cluster import DataGoogleContainerCluster
from cdktn_provider_google.provider import GoogleProvider
from cdktn_provider_google.secret_manager_secret_iam_member import SecretManagerSecretIamMember
from cdktn_provider_google.secret_manager_secret_version import SecretManagerSecretVersion
from cdktn_provider_google.service_account_iam_member import ServiceAccountIamMember
from cdktn_provider_kubernetes.provider import KubernetesProvider
from cdktn_provider_random.provider import RandomProvider
from constructs import Construct

from infra.gcp.ground import keep_state
from infra.gcp.nodes import GPU_LABEL, GPU_TAINT
from infra.gcp.settings import Gcp
from infra.lib.house import House, Site
from infra.lib.namespace import ACCOUNT
from infra.lib.settings import PORT

NAME = "gcp-house"


class HouseStack(TerraformStack):
    def __init__(self, scope: Construct, settings: Gcp) -> None:
        super().__init__(scope, NAME)
        keep_state(self, settings, "house")
        GoogleProvider(self, "google", project=settings.project, region=settings.region)
        RandomProvider(self, "random")
        self._reach_the_cluster(settings)
        key, value = GPU_TAINT
        house = House(
            self,
            settings.house,
            Site(
                storage_class=settings.storage_class,
                blobs=f"gs://{settings.bucket}",
                protect=settings.protect,
                account_annotations={"iam.gke.io/gcp-service-account": settings.account("app")},
                gpu_labels=GPU_LABEL,
                gpu_tolerations=({"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"},),
            ),
        )
        self._let_the_pods_be_the_account(settings)
        self._keep_the_password(settings, house.redis.password)
        forward = f"kubectl -n {settings.house.namespace} port-forward service/server {PORT}"
        TerraformOutput(self, "open", value=forward)

    def _reach_the_cluster(self, settings: Gcp) -> None:
        """By the cluster's DNS endpoint, with a token of whoever runs Terraform; it lives an hour and is in no state."""
        me = DataGoogleClientConfig(self, "me")
        cluster = DataGoogleContainerCluster(self, "cluster", name=settings.name, location=settings.region)
        endpoints = Fn.lookup_nested(
            cluster.fqn, ["control_plane_endpoints_config", 0, "dns_endpoint_config", 0, "endpoint"]
        )
        KubernetesProvider(self, "kubernetes", host=f"https://{endpoints}", token=me.access_token)

    def _let_the_pods_be_the_account(self, settings: Gcp) -> None:
        """Pods of one service account in one namespace, and nobody else, may act as the workload's account."""
        who = f"{settings.project}.svc.id.goog[{settings.house.namespace}/{ACCOUNT}]"
        ServiceAccountIamMember(
            self,
            "pods",
            service_account_id=f"projects/{settings.project}/serviceAccounts/{settings.account('app')}",
            role="roles/iam.workloadIdentityUser",
            member=f"serviceAccount:{who}",
        )

    def _keep_the_password(self, settings: Gcp, password: str) -> None:
        """Redis' password where it outlives the cluster. Pods get it as a Kubernetes Secret, since vidprocme reads its
        environment; the mounted secrets of GKE's add-on are files, and want a resource that only a running cluster knows."""
        made = secret.SecretManagerSecret(
            self,
            "redis-password",
            secret_id=f"{settings.name}-redis-password",
            replication=secret.SecretManagerSecretReplication(
                user_managed=secret.SecretManagerSecretReplicationUserManaged(
                    replicas=[secret.SecretManagerSecretReplicationUserManagedReplicas(location=settings.region)]
                )
            ),
            deletion_protection=settings.protect,
            lifecycle=TerraformResourceLifecycle(prevent_destroy=settings.protect),
        )
        SecretManagerSecretVersion(
            self,
            "redis-password-version",
            secret=made.id,
            secret_data=password,
            deletion_policy="ABANDON" if settings.protect else "DELETE",
        )
        SecretManagerSecretIamMember(
            self,
            "redis-password-app",
            secret_id=made.secret_id,
            role="roles/secretmanager.secretAccessor",
            member=f"serviceAccount:{settings.account('app')}",
        )
