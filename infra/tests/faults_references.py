"""Faults in what a plan consists of and in what ties its parts together, each with the rule that is to see it."""

from __future__ import annotations

from infra.checks import kinds, names, references
from infra.checks.plan import Body, many, one
from infra.tests.faults import on
from infra.tests.things import Case, Fault, Plan, container, only, pod, spec

DEPLOYMENT, SET, SERVICE = "kubernetes_deployment_v1", "kubernetes_stateful_set_v1", "kubernetes_service_v1"
CONFIG, CLAIM = "kubernetes_config_map_v1", "kubernetes_persistent_volume_claim_v1"


def added(kind: str) -> Fault:
    return lambda plan: plan["resource"].update({kind: {"x": {}}})


def without(kind: str) -> Fault:
    return lambda plan: plan["resource"].pop(kind)


def variable(plan: Plan, name: str, called: str) -> Body:
    [found] = [it for it in many(container(plan, name)["env"]) if it["name"] == called]
    return found


def untold(plan: Plan, name: str, called: str) -> object:
    return container(plan, name)["env"].remove(variable(plan, name, called))


def elsewhere(kind: str, name: str) -> Fault:
    return lambda plan: one(only(plan, kind, name)["metadata"]).update(namespace="default")


def named(name: str, key: str, word: str) -> Fault:
    """A literal where a reference was."""

    def fault(plan: Plan) -> None:
        [found] = [it for it in many(pod(plan, name)["volume"]) if key in it][:1]
        found[key][word] = "nope"

    return fault


def by_its_id(plan: Plan) -> None:
    """Terraform's id of a claim is its namespace and name, and no name."""
    [found] = [it["persistent_volume_claim"] for it in many(pod(plan, "server")["volume"]) if it["name"] == "data"]
    found["claim_name"] = found["claim_name"].replace(".metadata.0.name", ".id")


def renamed(kind: str, name: str) -> Fault:
    return lambda plan: one(only(plan, kind, name)["metadata"]).update(name=f"{name}-2")


def service(plan: Plan, name: str) -> Body:
    return one(only(plan, SERVICE, name)["spec"])


def of_nobody(plan: Plan) -> None:
    """Named after what it picks, and there is no such pod."""
    service(plan, "redis")["selector"]["app.kubernetes.io/component"] = "nobody"
    one(only(plan, SERVICE, "redis")["metadata"])["name"] = "nobody"


HOUSE_HAS_NOT = (
    "kubernetes_job_v1",
    "kubernetes_ingress_v1",
    "kubernetes_service",
    "kubernetes_deployment",
    "kubernetes_cluster_role_binding_v1",
    "kubernetes_horizontal_pod_autoscaler_v2",
    "helm_release",
    "google_service_account_key",
)
GROUND_HAS_NOT = ("google_compute_firewall", "google_service_account_key", "google_organization_iam_member")
KIND_FAULTS = (
    *(Case(kinds.kinds_are_known, "gcp-house", added(kind), f"{kind} is no kind") for kind in HOUSE_HAS_NOT),
    *(Case(kinds.kinds_are_known, "gcp-ground", added(kind), f"{kind} is no kind") for kind in GROUND_HAS_NOT),
    Case(kinds.kinds_are_known, "local", added("google_storage_bucket"), "google_storage_bucket is no kind"),
    Case(kinds.kinds_are_known, "gcp-house", lambda p: p["data"].update(external={}), "data.external is no kind"),
    Case(kinds.kinds_are_known, "local", lambda p: p["provider"].update(helm=[{}]), "no stack has the providers helm"),
    Case(kinds.kinds_are_known, "local", lambda p: p.update(module={"x": {}}), "a part module"),
    *(
        Case(
            kinds.kinds_are_known,
            "local",
            on(lambda p, trick: only(p, "kubernetes_network_policy_v1", "default-deny").update({trick: 0}), trick),
            f"has a {trick}",
        )
        for trick in ("provisioner", "connection", "count", "for_each")
    ),
    Case(kinds.the_house_is_whole, "local", without(SET), "0 of redis"),
    Case(kinds.the_house_is_whole, "local", without(DEPLOYMENT), "0 of server"),
    Case(kinds.the_house_is_whole, "local", without(DEPLOYMENT), "no worker"),
    Case(
        kinds.the_house_is_whole,
        "local",
        lambda p: p["resource"][SET].update(more=only(p, SET, "redis")),
        "2 of redis",
    ),
    Case(
        kinds.the_house_is_whole,
        "local",
        lambda p: spec(p, "grafana")["template"]["metadata"]["labels"].update({"app.kubernetes.io/component": "x"}),
        "grafana is no part of the house",
    ),
)

REFERENCE_FAULTS = (
    Case(
        references.selectors_fit,
        "local",
        lambda p: spec(p, "server")["selector"]["match_labels"].update(x="y"),
        "does not pick its own",
    ),
    Case(
        references.selectors_fit,
        "local",
        lambda p: spec(p, "server")["selector"]["match_labels"].pop("app.kubernetes.io/component"),
        "server picks the pods of",
    ),
    Case(
        references.selectors_fit,
        "local",
        lambda p: spec(p, "server")["selector"]["match_labels"].clear(),
        "server does not pick its own",
    ),
    Case(references.services_reach_somebody, "local", of_nobody, "nobody picks no pods"),
    Case(
        references.services_reach_somebody,
        "local",
        lambda p: service(p, "redis")["selector"].update(x="y"),
        "picks no pods of that name",
    ),
    Case(references.services_reach_somebody, "local", renamed(SERVICE, "redis"), "redis-2 picks no pods of that name"),
    Case(
        references.services_reach_somebody,
        "local",
        lambda p: service(p, "server")["selector"].update({"app.kubernetes.io/component": "worker"}),
        "picks no pods of that name",
    ),
    Case(
        references.services_reach_somebody,
        "local",
        lambda p: service(p, "server")["port"][0].update(target_port="8080"),
        "does not open",
    ),
    Case(
        references.services_reach_somebody,
        "local",
        lambda p: service(p, "redis")["port"][0].update(port=7000),
        "is called at 7000 and sends to 6379",
    ),
    Case(
        references.services_reach_somebody,
        "local",
        lambda p: service(p, "redis")["port"][0].update(node_port=30000),
        "node_port at its port",
    ),
    Case(
        references.services_reach_somebody,
        "gcp-house",
        lambda p: service(p, "server").update(type="LoadBalancer"),
        "outside the cluster",
    ),
    Case(
        references.services_reach_somebody,
        "gcp-house",
        lambda p: service(p, "server").update(external_ips=["192.0.2.1"]),
        "external_ips",
    ),
    *(
        Case(references.the_server_is_watched, "local", fault, "hides a server that is not ready")
        for fault in (
            lambda p: service(p, "server").pop("publish_not_ready_addresses"),
            lambda p: service(p, "server").update(publish_not_ready_addresses=False),
        )
    ),
    Case(
        references.budgets_pick_somebody,
        "gcp-house",
        lambda p: only(p, "kubernetes_pod_disruption_budget_v1")["spec"]["selector"]["match_labels"].update(x="y"),
        "picks no pods",
    ),
    Case(
        references.budgets_pick_somebody,
        "gcp-house",
        lambda p: only(p, "kubernetes_pod_disruption_budget_v1")["spec"]["selector"]["match_labels"].clear(),
        "picks no pods",
    ),
    Case(references.references_exist, "local", without("random_password"), "random_password"),
    Case(references.references_exist, "gcp-house", lambda p: p.pop("data"), "data.google_container_cluster"),
    Case(references.references_exist, "gcp-ground", without("google_project_service"), "waits for"),
)

NAME_FAULTS = (
    *(
        Case(
            names.all_is_in_one_namespace, "gcp-house", elsewhere(kind, name), f"{kind} {name} is not in the namespace"
        )
        for kind, name in (
            ("kubernetes_network_policy_v1", "default-deny"),
            (DEPLOYMENT, "server"),
            (SET, "redis"),
            (SERVICE, "redis"),
            (CLAIM, "data"),
        )
    ),
    Case(names.all_is_in_one_namespace, "local", without("kubernetes_namespace_v1"), "0 namespaces"),
    *(
        Case(names.pods_name_what_is_there, "gcp-house", named(name, key, word), f"{name}: the volume")
        for name, key, word in (
            ("server", "persistent_volume_claim", "claim_name"),
            ("redis", "config_map", "name"),
            ("redis", "secret", "secret_name"),
        )
    ),
    *(
        Case(
            names.pods_name_what_is_there,
            "gcp-house",
            on(
                lambda p, word: variable(p, "server", "REDIS_PASSWORD")["value_from"]["secret_key_ref"].update(word),
                word,
            ),
            "REDIS_PASSWORD is",
        )
        for word in ({"key": "passwort"}, {"name": "redis"})
    ),
    Case(names.pods_name_what_is_there, "local", by_its_id, "server: the volume data"),
    Case(
        names.pods_name_what_is_there,
        "local",
        lambda p: container(p, "server")["volume_mount"][-1].update(sub_path="model.json"),
        "mounts model.json, which is no file",
    ),
    Case(
        names.pods_have_their_account, "gcp-house", lambda p: pod(p, "worker-cpu").pop("service_account_name"), "bucket"
    ),
    Case(
        names.pods_have_their_account,
        "gcp-house",
        lambda p: pod(p, "server").update(service_account_name="default"),
        "server is without",
    ),
    Case(
        names.pods_have_their_account,
        "gcp-house",
        lambda p: pod(p, "grafana").update(service_account_name=pod(p, "server")["service_account_name"]),
        "grafana has the account",
    ),
    Case(names.addresses_are_services, "local", renamed(SERVICE, "redis"), "redis:6379, which is no Service"),
    Case(names.addresses_are_services, "local", renamed(SERVICE, "redis"), "redis has no Service of its name"),
    Case(
        names.addresses_are_services,
        "gcp-house",
        lambda p: variable(p, "server", "VIDPROCME_REDIS_URL").update(value="redis://:$(REDIS_PASSWORD)@redis:7000/0"),
        "redis:7000, which is no Service",
    ),
    Case(
        names.addresses_are_services,
        "gcp-house",
        lambda p: only(p, CONFIG, "models")["data"].update({"models.json": '"http://model-server:80/v1"'}),
        "models/models.json names model-server:80",
    ),
    Case(
        names.pods_share_the_work,
        "gcp-house",
        lambda p: untold(p, "worker-cpu", "VIDPROCME_BLOBS"),
        "different VIDPROCME_BLOBS",
    ),
    Case(
        names.pods_share_the_work,
        "gcp-house",
        lambda p: [untold(p, name, "VIDPROCME_BLOBS") for name in ("server", "worker-cpu")],
        "is no bucket",
    ),
    Case(
        names.pods_share_the_work,
        "local",
        lambda p: variable(p, "server", "VIDPROCME_REDIS_URL").update(value="redis://:$(REDIS_PASSWORD)@redis:6379/1"),
        "different VIDPROCME_REDIS_URL",
    ),
    Case(
        names.pods_share_the_work,
        "local",
        lambda p: [
            variable(p, name, "VIDPROCME_REDIS_URL").update(value="redis://redis:6379/0")
            for name in ("server", "worker-cpu")
        ],
        "is not the Redis of the house",
    ),
    Case(
        names.variables_are_filled_in,
        "gcp-house",
        lambda p: container(p, "server")["env"].reverse(),
        "VIDPROCME_REDIS_URL wants REDIS_PASSWORD before it",
    ),
    Case(
        names.variables_are_filled_in,
        "gcp-house",
        lambda p: container(p, "server")["env"].append({"name": "VIDPROCME_DATA", "value": "/tmp"}),
        "told VIDPROCME_DATA twice",
    ),
)
FAULTS = KIND_FAULTS + REFERENCE_FAULTS + NAME_FAULTS
