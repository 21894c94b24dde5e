"""Faults on Google Cloud, each with the rule that is to see it."""

from __future__ import annotations

from infra.checks import cloud, rights
from infra.checks.plan import one
from infra.tests.faults import on
from infra.tests.things import Case, Fault, Plan, only

BUCKET, CLUSTER = "google_storage_bucket", "google_container_cluster"
POOL, MEMBER = "google_container_node_pool", "google_storage_bucket_iam_member"
POOL_OF = "my-project.svc.id.goog"  # of identities of pods


def gives(role: str) -> Fault:
    return lambda plan: only(plan, MEMBER).update(role=role)


def lacks(key: str) -> Fault:
    return lambda plan: only(plan, CLUSTER).pop(key)


def gpus_beside_any_machine(plan: Plan) -> None:
    node = only(plan, POOL, "gpu")["node_config"]
    node.update(machine_type="n1-standard-8")
    node.pop("taint")


FAULTS = (
    Case(
        cloud.buckets_are_closed,
        "gcp-ground",
        lambda p: only(p, BUCKET).update(public_access_prevention="inherited"),
        "made public",
    ),
    Case(
        cloud.buckets_are_closed,
        "gcp-ground",
        lambda p: only(p, BUCKET).update(uniform_bucket_level_access=False),
        "single objects",
    ),
    Case(cloud.nobody_is_everybody, "gcp-ground", lambda p: only(p, MEMBER).update(member="allUsers"), "allUsers"),
    Case(
        cloud.nobody_is_everybody,
        "gcp-ground",
        lambda p: p["resource"].update(google_storage_bucket_iam_binding={"x": {"members": ["allAuthenticatedUsers"]}}),
        "allAuthenticatedUsers",
    ),
    *(
        Case(rights.rights_are_the_table, "gcp-ground", gives(role), f"gives {role}, and not")
        for role in ("roles/editor", "roles/owner", "roles/storage.admin", "roles/storage.legacyBucketOwner", "roles/*")
    ),
    *(
        Case(
            rights.rights_are_the_table,
            stack,
            on(lambda p, kind, role: only(p, kind).update(role=role), kind, role),
            f"gives {role}, and not",
        )
        for stack, kind, role in (
            ("gcp-ground", "google_project_iam_member", "roles/storage.objectUser"),
            ("gcp-ground", "google_artifact_registry_repository_iam_member", "roles/artifactregistry.writer"),
            ("gcp-house", "google_secret_manager_secret_iam_member", "roles/secretmanager.secretVersionManager"),
            ("gcp-house", "google_service_account_iam_member", "roles/iam.serviceAccountTokenCreator"),
        )
    ),
    *(
        Case(
            rights.rights_are_the_table,
            stack,
            on(lambda p, kind, member: only(p, kind).update(member=member), kind, member),
            f"to {member}, who is not ours",
        )
        for stack, kind, member in (
            ("gcp-ground", MEMBER, "domain:example.com"),
            ("gcp-ground", MEMBER, "serviceAccount:"),
            ("gcp-ground", "google_project_iam_member", "user:stranger@example.com"),
            ("gcp-ground", "google_artifact_registry_repository_iam_member", "principalSet://goog/public:all"),
            ("gcp-house", "google_secret_manager_secret_iam_member", "serviceAccount:other@x.iam.gserviceaccount.com"),
            ("gcp-house", "google_service_account_iam_member", "principalSet://pool/*"),
            ("gcp-house", "google_service_account_iam_member", f"serviceAccount:{POOL_OF}[default/default]"),
            ("gcp-house", "google_service_account_iam_member", f"serviceAccount:{POOL_OF}[vidprocme/default]"),
            ("gcp-house", "google_service_account_iam_member", "serviceAccount:other.svc.id.goog[vidprocme/vidprocme]"),
        )
    ),
    Case(
        rights.rights_are_the_table,
        "gcp-ground",
        lambda p: only(p, MEMBER).update(member=only(p, "google_project_iam_member")["member"]),
        "who is not ours (app)",
    ),
    *(
        Case(
            rights.rights_are_the_table, "gcp-ground", on(lambda p, kind: p["resource"].update({kind: {}}), kind), kind
        )
        for kind in ("google_project_iam_binding", "google_storage_bucket_acl", "google_organization_iam_member")
    ),
    Case(
        rights.pods_are_the_account,
        "gcp-house",
        lambda p: only(p, "google_service_account_iam_member").update(
            service_account_id="projects/x/serviceAccounts/y"
        ),
        "may not act as",
    ),
    Case(
        rights.pods_are_the_account,
        "gcp-house",
        lambda p: p["resource"].pop("google_service_account_iam_member"),
        "may not act as",
    ),
    *(
        Case(
            rights.pods_are_the_account,
            "gcp-house",
            on(
                lambda p, said: one(only(p, "kubernetes_service_account_v1")["metadata"]).update(annotations=said), said
            ),
            "which is not the app's",
        )
        for said in ({}, {"iam.gke.io/gcp-service-account": "vidprocme-nodes@my-project.iam.gserviceaccount.com"})
    ),
    Case(
        cloud.nodes_are_ours,
        "gcp-ground",
        lambda p: only(p, POOL, "cpu")["node_config"].pop("service_account"),
        "another account",
    ),
    Case(
        cloud.nodes_are_ours,
        "gcp-ground",
        lambda p: only(p, POOL, "gpu")["node_config"].pop("workload_metadata_config"),
        "see the node's identity",
    ),
    Case(
        cloud.nodes_are_ours,
        "gcp-ground",
        lambda p: only(p, POOL, "gpu")["node_config"].pop("shielded_instance_config"),
        "boots",
    ),
    *(
        Case(
            cloud.nodes_are_ours,
            "gcp-ground",
            on(lambda p, account: only(p, POOL, "cpu")["node_config"].update(service_account=account), account),
            "another account",
        )
        for account in ("123-compute@developer.gserviceaccount.com", "vidprocme-nodes@x.iam.gserviceaccount.com")
    ),
    Case(
        cloud.nodes_are_ours,
        "gcp-ground",
        lambda p: only(p, POOL, "cpu").update(network_config={"enable_private_nodes": False}),
        "public addresses",
    ),
    Case(cloud.nodes_are_ours, "gcp-ground", lambda p: only(p, POOL, "cpu").pop("management"), "looked after"),
    *(
        Case(
            cloud.nodes_are_ours,
            "gcp-ground",
            on(lambda p, key: only(p, POOL, "cpu")["management"].update({key: False}), key),
            "looked after",
        )
        for key in ("auto_repair", "auto_upgrade")
    ),
    Case(cloud.nodes_are_ours, "gcp-ground", lambda p: only(p, POOL, "cpu").update(node_count=100), "has no limit"),
    Case(cloud.nodes_are_ours, "gcp-ground", lambda p: only(p, POOL, "cpu").pop("autoscaling"), "has no limit"),
    Case(
        cloud.gpus_may_be_none,
        "gcp-ground",
        lambda p: only(p, POOL, "gpu")["autoscaling"].update(total_min_node_count=1),
        "always has GPUs",
    ),
    Case(
        cloud.gpus_may_be_none,
        "gcp-ground",
        lambda p: only(p, POOL, "gpu")["autoscaling"].update(min_node_count=1),
        "always has GPUs",
    ),
    Case(cloud.gpus_may_be_none, "gcp-ground", gpus_beside_any_machine, "need no GPU"),
    Case(cloud.gpus_may_be_none, "gcp-ground", lambda p: only(p, POOL, "gpu").update(node_count=1), "always has GPUs"),
    Case(cloud.gpus_may_be_none, "gcp-ground", lambda p: only(p, POOL, "gpu").pop("initial_node_count"), "always has"),
    Case(
        cloud.gpus_may_be_none, "gcp-ground", lambda p: only(p, POOL, "gpu")["node_config"].pop("taint"), "need no GPU"
    ),
    Case(
        cloud.gpus_may_be_none,
        "gcp-ground",
        lambda p: only(p, POOL, "gpu")["node_config"]["taint"][0].update(effect="PREFER_NO_SCHEDULE"),
        "need no GPU",
    ),
    *(
        Case(
            cloud.gpus_may_be_none,
            "gcp-ground",
            on(lambda p, family: only(p, POOL, "cpu")["node_config"].update(machine_type=f"{family}x-8"), family),
            "always has GPUs",
        )
        for family in ("a2-", "a3-", "a4-", "a4x-", "g2-", "g4-")
    ),
    *(
        Case(cloud.the_cluster_is_closed, "gcp-ground", on(lambda p, said: only(p, CLUSTER).update(said), said), says)
        for said, says in (
            ({"enable_legacy_abac": True}, "rights beside"),
            ({"master_auth": {"client_certificate_config": {"issue_client_certificate": True}}}, "certificates"),
            ({"location": "us-central1"}, "where its subnet lies"),
            ({"private_cluster_config": {"enable_private_nodes": False}}, "nodes have public"),
            (
                {"control_plane_endpoints_config": {"ip_endpoints_config": {"enabled": True}}},
                "control plane has a public",
            ),
        )
    ),
    *(
        Case(cloud.the_cluster_is_closed, "gcp-ground", lacks(key), says)
        for key, says in (
            ("private_cluster_config", "nodes have public"),
            ("control_plane_endpoints_config", "control plane has a public"),
            ("workload_identity_config", "identity"),
            ("datapath_provider", "policies"),
            ("enable_shielded_nodes", "shielded"),
            ("release_channel", "upgraded"),
            ("networking_mode", "subnet"),
            ("node_config", "another account"),
        )
    ),
    Case(
        cloud.services_come_first,
        "gcp-ground",
        lambda p: only(p, "google_compute_network").pop("depends_on"),
        "google_compute_router",
    ),
    Case(cloud.services_come_first, "gcp-ground", lambda p: only(p, BUCKET).pop("depends_on"), "google_storage_bucket"),
    Case(cloud.data_is_kept, "gcp-ground", lambda p: only(p, CLUSTER).update(deletion_protection=False), "destroyed"),
    Case(cloud.data_is_kept, "gcp-ground", lambda p: only(p, BUCKET).pop("lifecycle"), "destroyed"),
    Case(cloud.data_is_kept, "gcp-ground", lambda p: only(p, BUCKET).update(force_destroy=True), "destroyed"),
    Case(cloud.data_is_kept, "gcp-ground", lambda p: only(p, BUCKET).pop("soft_delete_policy"), "is gone"),
    Case(
        cloud.data_is_kept,
        "gcp-ground",
        lambda p: only(p, BUCKET)["lifecycle_rule"].append({"action": {"type": "Delete"}}),
        "moves or deletes by age",
    ),
    Case(
        cloud.data_is_kept,
        "gcp-ground",
        lambda p: only(p, BUCKET)["lifecycle_rule"].append({"action": {"type": "SetStorageClass"}}),
        "moves or deletes by age",
    ),
    Case(
        cloud.data_is_kept,
        "gcp-house",
        lambda p: only(p, "google_secret_manager_secret").update(deletion_protection=False),
        "destroyed",
    ),
    Case(cloud.state_is_kept, "gcp-ground", lambda p: p["terraform"].pop("backend"), "under [state]"),
    *(
        Case(
            cloud.state_is_kept,
            stack,
            lambda p: p["terraform"].update(backend={"local": {"path": "x"}}),
            "file on this machine",
        )
        for stack in ("gcp-ground", "gcp-house")
    ),
)
