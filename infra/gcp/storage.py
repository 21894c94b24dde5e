"""The bucket of blobs, and the registry of images."""

from __future__ import annotations

from collections.abc import Sequence

from cdktn import ITerraformDependable, TerraformResourceLifecycle
from cdktn_provider_google import storage_bucket
from cdktn_provider_google.artifact_registry_repository import (
    ArtifactRegistryRepository,
    ArtifactRegistryRepositoryDockerConfig,
)
from cdktn_provider_google.artifact_registry_repository_iam_member import ArtifactRegistryRepositoryIamMember
from cdktn_provider_google.storage_bucket_iam_member import StorageBucketIamMember
from constructs import Construct

from infra.gcp.identity import Identity
from infra.gcp.settings import Gcp


class Blobs(Construct):
    """Content by its hash: a name never gets other content, so old versions would be kept of nothing.

    What can go wrong is a deletion, and against that there is soft delete: for some days everything can be brought back,
    also from a program that was told to delete it all. Which blobs are still wanted only vidprocme knows, so no rule
    deletes by age.
    """

    def __init__(self, scope: Construct, settings: Gcp, who: Identity, after: Sequence[ITerraformDependable]) -> None:
        super().__init__(scope, "blobs")
        bucket = storage_bucket.StorageBucket(
            self,
            "bucket",
            name=settings.bucket,
            location=settings.region,
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            force_destroy=False,
            depends_on=after,
            versioning=storage_bucket.StorageBucketVersioning(enabled=False),
            soft_delete_policy=storage_bucket.StorageBucketSoftDeletePolicy(
                retention_duration_seconds=settings.blobs.undelete_days * 86400
            ),
            lifecycle_rule=[
                # What a killed upload left: it has no name yet, and costs.
                storage_bucket.StorageBucketLifecycleRule(
                    action=storage_bucket.StorageBucketLifecycleRuleAction(type="AbortIncompleteMultipartUpload"),
                    condition=storage_bucket.StorageBucketLifecycleRuleCondition(age=2),
                )
            ],
            lifecycle=TerraformResourceLifecycle(prevent_destroy=settings.protect),
        )
        # Reads, writes and deletes objects of this bucket; cannot change the bucket, or who may use it.
        StorageBucketIamMember(self, "app", bucket=bucket.name, role="roles/storage.objectUser", member=who.app_member)


class Images(Construct):
    """A registry for vidprocme's image. The nodes read it; somebody who may writes it."""

    def __init__(self, scope: Construct, settings: Gcp, who: Identity, after: Sequence[ITerraformDependable]) -> None:
        super().__init__(scope, "images")
        repository = ArtifactRegistryRepository(
            self,
            "repository",
            repository_id=settings.name,
            location=settings.region,
            format="DOCKER",
            depends_on=after,
            description="Images of vidprocme",
            # A tag stays what it was when it was deployed.
            docker_config=ArtifactRegistryRepositoryDockerConfig(immutable_tags=True),
        )
        ArtifactRegistryRepositoryIamMember(
            self,
            "nodes",
            repository=repository.name,
            location=settings.region,
            role="roles/artifactregistry.reader",
            member=who.nodes_member,
        )
