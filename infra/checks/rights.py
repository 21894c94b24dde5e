"""Who may do what on Google Cloud: what this table says, and nothing else."""

from __future__ import annotations

from infra.checks.plan import Body, Plan, object_name, one, referred, resources

ACCOUNT = "google_service_account"
PODS = "kubernetes_service_account_v1"
IDENTITY = "iam.gke.io/gcp-service-account"
# Which kind of grant gives which role to whom: the accounts for nodes and for the app, and pods that may act as the latter.
# On the project as a whole only what a node must have.
RIGHTS = {
    "google_project_iam_member": ("roles/container.defaultNodeServiceAccount", "nodes"),
    "google_artifact_registry_repository_iam_member": ("roles/artifactregistry.reader", "nodes"),
    "google_storage_bucket_iam_member": ("roles/storage.objectUser", "app"),
    "google_secret_manager_secret_iam_member": ("roles/secretmanager.secretAccessor", "app"),
    "google_service_account_iam_member": ("roles/iam.workloadIdentityUser", "pods"),
}


def rights_are_the_table(plan: Plan) -> list[str]:
    """A grant of another kind is none of ours: some replace what others gave (`_binding`, `_policy`)."""
    wrong = []
    for kind in plan.get("resource", {}):
        if not {"iam", "acl"} & set(kind.split("_")):
            continue
        if kind not in RIGHTS:
            wrong.append(f"{kind} gives rights that no rule knows")
            continue
        role, who = RIGHTS[kind]
        for name, body in resources(plan, kind):
            if body.get("role") != role:
                wrong.append(f"{name} gives {body.get('role')}, and not {role}")
            if not _is_member(plan, body, who):
                wrong.append(f"{name} gives {body.get('role')} to {body.get('member')}, who is not ours ({who})")
    return wrong


def pods_are_the_account(plan: Plan) -> list[str]:
    """Pods of one service account in one namespace, and nobody else, may act as the app's account."""
    if not {"google", "kubernetes"} <= set(plan.get("provider", {})):
        return []
    grants = [body for _, body in resources(plan, "google_service_account_iam_member")]
    app = _app(plan)
    project = app.partition("@")[2].removesuffix(".iam.gserviceaccount.com")
    whole = f"projects/{project}/serviceAccounts/{app}"
    if not app.endswith(f"-app@{project}.iam.gserviceaccount.com"):
        return [f"the pods' service account names {app!r}, which is not the app's"]
    right = len(grants) == 1 and grants[0].get("service_account_id") == whole
    return [] if right else [f"the pods may not act as {app}, or as others too"]


def is_account(plan: Plan, text: object, who: str, attribute: str) -> bool:
    """Is it a reference to the account for `nodes` or for the `app`, which the plan makes?"""
    return str(referred(plan, text, ACCOUNT, attribute).get("account_id", "")).endswith(f"-{who}")


def _is_member(plan: Plan, body: Body, who: str) -> bool:
    member = body.get("member")
    if who == "pods":
        project = one(one(plan.get("provider")).get("google")).get("project")
        pods = {(_namespace(plan, it), object_name(it)) for _, it in resources(plan, PODS)}
        return member in {f"serviceAccount:{project}.svc.id.goog[{namespace}/{name}]" for namespace, name in pods}
    if PODS in plan.get("resource", {}):
        return who == "app" and member == f"serviceAccount:{_app(plan)}"
    return is_account(plan, member, who, "member")


def _namespace(plan: Plan, body: Body) -> str:
    said = one(body.get("metadata")).get("namespace")
    return object_name(referred(plan, said, "kubernetes_namespace_v1"))


def _app(plan: Plan) -> str:
    """The address of the account that the pods' own account stands for."""
    found = [one(one(it.get("metadata")).get("annotations")).get(IDENTITY) for _, it in resources(plan, PODS)]
    return str(found[0]) if len(found) == 1 else ""
