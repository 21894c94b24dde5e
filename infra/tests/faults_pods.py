"""Faults in pods, in how they are asked and in where they write, each with the rule that is to see it."""

from __future__ import annotations

from infra.checks import disks, pods, probes
from infra.checks.plan import Body, many
from infra.tests.faults import on
from infra.tests.things import Case, Fault, Plan, container, only, pod, spec

CLAIM = "kubernetes_persistent_volume_claim_v1"
INIT = {"name": "first", "image": "redis:7.2.16-bookworm"}


def mount(plan: Plan, name: str, path: str) -> Body:
    """Where a container sees a folder, to change in place."""
    [found] = [it for it in container(plan, name)["volume_mount"] if it["mount_path"] == path]
    assert isinstance(found, dict)
    return found


def unmounted(plan: Plan, name: str, path: str) -> None:
    container(plan, name)["volume_mount"].remove(mount(plan, name, path))


def volume(plan: Plan, name: str, called: str) -> Body:
    [found] = [it for it in many(pod(plan, name)["volume"]) if it["name"] == called]
    return found


def on_the_node(plan: Plan, name: str, called: str) -> None:
    """A folder that ends with the pod instead of a disk."""
    found = volume(plan, name, called)
    found.pop("persistent_volume_claim")
    found["empty_dir"] = {"size_limit": "5Gi"}


def claim_of(plan: Plan, name: str) -> Body:
    return dict(volume(plan, name, "data")["persistent_volume_claim"])


def called_prometheus(claim: Body) -> None:
    """A name does not make a disk one that may be lost."""
    claim["metadata"]["name"] = "prometheus"
    claim.pop("lifecycle")


def no_bucket_by_name(plan: Plan) -> None:
    """A bucket that is named, and is nothing."""
    on_the_node(plan, "worker-cpu", "data")
    container(plan, "worker-cpu")["env"].append({"name": "VIDPROCME_BLOBS", "value": ""})


def probe(name: str, which: str, **words: object) -> Fault:
    return lambda plan: container(plan, name)[f"{which}_probe"].update(words)


def asks(name: str, which: str, **words: object) -> Fault:
    """Another question, in the same rhythm."""

    def fault(plan: Plan) -> None:
        found = container(plan, name)[f"{which}_probe"]
        for kind in ("http_get", "exec", "tcp_socket"):
            found.pop(kind, None)
        found.update(words)

    return fault


def user(key: str, value: str) -> Fault:
    return lambda plan: pod(plan, "redis")["security_context"].update({key: value})


def right(key: str, value: object) -> Fault:
    return lambda plan: container(plan, "server")["security_context"].update({key: value})


POD_FAULTS = (
    Case(pods.images_stay, "local", lambda p: container(p, "server").update(image="vidprocme:latest"), "latest"),
    Case(pods.images_stay, "local", lambda p: container(p, "redis").update(image="redis"), "tag or a digest"),
    Case(pods.images_stay, "local", lambda p: pod(p, "redis").update(init_container=[{**INIT, "image": "x"}]), "first"),
    Case(pods.containers_are_bounded, "local", lambda p: container(p, "server").pop("resources"), "server/server"),
    Case(
        pods.containers_are_bounded,
        "gcp-house",
        lambda p: container(p, "redis")["resources"]["limits"].pop("memory"),
        "redis/redis has no limits for memory",
    ),
    *(
        Case(
            pods.containers_are_bounded,
            "local",
            on(lambda p, what: container(p, "redis")["resources"][what].pop("cpu"), what),
            f"redis/redis has no {what} for cpu",
        )
        for what in ("requests", "limits")
    ),
    Case(pods.containers_are_bounded, "local", lambda p: pod(p, "redis").update(init_container=[INIT]), "redis/first"),
    Case(
        pods.containers_are_bounded,
        "local",
        lambda p: pod(p, "worker-cpu")["volume"].append({"name": "more", "empty_dir": {}}),
        "may fill the node's disk",
    ),
    Case(
        pods.containers_are_bounded,
        "gcp-house",
        lambda p: container(p, "worker-cpu")["resources"]["limits"].update(memory="64Mi"),
        "is killed at 64Mi",
    ),
    *(
        Case(
            pods.containers_have_no_rights,
            "local",
            right(key, value),
            says,
        )
        for key, value, says in (
            ("run_as_non_root", False, "root"),
            ("allow_privilege_escalation", True, "gain privileges"),
            ("privileged", True, "is privileged"),
            ("read_only_root_filesystem", False, "write to its image"),
            ("capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "capabilities"),
            ("capabilities", {}, "capabilities"),
            ("seccomp_profile", {"type": "Unconfined"}, "seccomp"),
        )
    ),
    Case(
        pods.containers_have_no_rights, "local", lambda p: pod(p, "redis").update(init_container=[INIT]), "redis/first"
    ),
    Case(pods.pods_are_apart, "local", lambda p: pod(p, "server").pop("automount_service_account_token"), "token"),
    Case(pods.pods_are_apart, "local", lambda p: pod(p, "server").pop("enable_service_links"), "variables"),
    Case(pods.pods_are_apart, "local", lambda p: pod(p, "server")["security_context"].pop("run_as_user"), "root"),
    *(
        Case(pods.pods_are_apart, "local", user(key, value), f"redis names no {key} but root")
        for key in ("run_as_user", "run_as_group", "fs_group")
        for value in ("0", "00")
    ),
    Case(pods.pods_are_apart, "local", right("run_as_user", "0"), "server/server is root: run_as_user = 0"),
    Case(pods.pods_are_apart, "local", right("run_as_group", "0"), "server/server is root: run_as_group = 0"),
    *(
        Case(
            pods.pods_are_plain,
            "local",
            on(lambda p, word: pod(p, "server").update({word: True}), word),
            f"server has {word}",
        )
        for word in ("host_network", "host_pid", "host_ipc", "share_process_namespace")
    ),
    Case(
        pods.pods_are_plain,
        "local",
        lambda p: pod(p, "server")["volume"].append({"name": "x", "host_path": {"path": "/"}}),
        "server/x has host_path",
    ),
    Case(
        pods.pods_are_plain,
        "gcp-house",
        lambda p: container(p, "redis")["port"][0].update(host_port=6379),
        "redis/redis: a port has host_port",
    ),
    Case(
        pods.pods_are_plain,
        "local",
        lambda p: container(p, "server").update(env_from=[{"secret_ref": {"name": "x"}}]),
        "server/server has env_from",
    ),
    Case(
        pods.pods_are_plain,
        "local",
        lambda p: container(p, "server")["env"][0].update(more={"x": 1}),
        "server/server: REDIS_PASSWORD has more",
    ),
    Case(
        pods.workers_may_finish,
        "gcp-house",
        lambda p: pod(p, "worker-cpu").update(termination_grace_period_seconds=14),
        "killed after 14 s",
    ),
    *(
        Case(
            pods.one_writer_a_folder,
            "local",
            on(lambda p, name, said: spec(p, name).update(said), name, said),
            f"{name} may",
        )
        for name in ("server", "prometheus")
        for said in ({"replicas": "2"}, {"strategy": {"type": "RollingUpdate"}})
    ),
    Case(
        pods.gpus_are_reached, "gcp-house", lambda p: pod(p, "model-server").pop("toleration"), "never comes to a GPU"
    ),
    Case(pods.gpus_are_reached, "gcp-house", lambda p: pod(p, "model-server").pop("node_selector"), "never comes"),
    Case(
        pods.gpus_are_reached,
        "gcp-house",
        lambda p: pod(p, "model-server")["toleration"][0].update(effect="NoExecute"),
        "model-server never comes",
    ),
    Case(
        pods.gpus_are_reached,
        "gcp-house",
        lambda p: pod(p, "redis").update(toleration=pod(p, "model-server")["toleration"]),
        "redis may take a place beside a GPU",
    ),
)

PROBE_FAULTS = (
    Case(probes.containers_are_asked, "local", lambda p: container(p, "worker-cpu").pop("liveness_probe"), "liveness"),
    Case(probes.containers_are_asked, "local", lambda p: container(p, "grafana").pop("readiness_probe"), "readiness"),
    *(
        Case(probes.containers_are_asked, "gcp-house", asks(name, which, **{kind: question}), f"{name}/")
        for name, which, kind, question in (
            ("server", "liveness", "http_get", {"path": "/readyz", "port": "8484"}),
            ("server", "readiness", "http_get", {"path": "/healthz", "port": "8484"}),
            ("worker-cpu", "liveness", "exec", {"command": ["false"]}),
            ("worker-cpu", "readiness", "exec", {"command": ["false"]}),
            ("redis", "liveness", "exec", {"command": ["redis-cli", "-e", "ping"]}),
            ("prometheus", "liveness", "http_get", {"path": "/-/ready", "port": "9090"}),
            ("alertmanager", "liveness", "http_get", {"path": "/-/ready", "port": "9093"}),
            ("grafana", "liveness", "http_get", {"path": "/login", "port": "3000"}),
        )
    ),
    *(
        Case(
            probes.probes_reach_the_program,
            "local",
            on(lambda p, which: container(p, "server")[f"{which}_probe"]["http_get"].update(port="9"), which),
            f"{which}_probe asks at port 9",
        )
        for which in ("startup", "liveness", "readiness")
    ),
    Case(
        probes.probes_reach_the_program,
        "local",
        asks("redis", "liveness", tcp_socket=[{"port": "6380"}]),
        "asks at port 6380",
    ),
    Case(probes.probes_reach_the_program, "local", asks("grafana", "liveness"), "must ask in one way"),
    Case(probes.probes_reach_the_program, "local", probe("redis", "liveness", exec={"command": ["x"]}), "in one way"),
    Case(probes.probes_reach_the_program, "local", probe("server", "startup", grpc={"port": 8484}), "in one way"),
    Case(
        probes.probes_reach_the_program,
        "local",
        asks("redis", "readiness", exec={"command": ["sh", "-c", "true"]}),
        "readiness_probe runs ['sh']",
    ),
    Case(
        probes.probes_are_patient,
        "gcp-house",
        probe("worker-cpu", "liveness", period_seconds=6),
        "killed after less than 20 s",
    ),
    Case(
        probes.probes_are_patient, "local", probe("server", "liveness", failure_threshold=1), "server/server is killed"
    ),
    *(
        Case(
            probes.probes_are_patient,
            "gcp-house",
            on(lambda p, name: container(p, name).pop("startup_probe"), name),
            f"{name}/{name.removesuffix('-cpu')} has less than 60 s",
        )
        for name in ("server", "worker-cpu", "redis", "model-server", "prometheus", "grafana")
    ),
    *(
        Case(
            probes.probes_are_patient,
            "local",
            probe("worker-cpu", which, timeout_seconds=1),
            f"{which}_probe waits less than 5 s",
        )
        for which in ("startup", "liveness", "readiness")
    ),
)

WRITTEN = (
    ("redis", "/data"),
    ("server", "/data"),
    ("server", "/tmp"),
    ("worker-cpu", "/data"),
    ("worker-cpu", "/data/scratch"),
    ("worker-cpu", "/tmp"),
    ("model-server", "/tmp"),
    ("prometheus", "/prometheus"),
    ("alertmanager", "/alertmanager"),
    ("grafana", "/var/lib/grafana"),
    ("grafana", "/tmp"),
)
DISK_FAULTS = (
    Case(
        disks.volumes_fit,
        "local",
        lambda p: container(p, "server")["volume_mount"].append({"name": "gone", "mount_path": "/x"}),
        "no volume",
    ),
    Case(disks.volumes_fit, "local", lambda p: container(p, "server")["volume_mount"].pop(), "nowhere"),
    *(
        Case(
            disks.programs_can_write,
            "gcp-house",
            on(lambda p, name, path: unmounted(p, name, path), name, path),
            f"{name} cannot write to {path}",
        )
        for name, path in WRITTEN
    ),
    *(
        Case(
            disks.programs_can_write,
            "gcp-house",
            on(lambda p, word: mount(p, "server", "/data").update(word), word),
            "server cannot write to /data",
        )
        for word in ({"read_only": True}, {"sub_path": "x"})
    ),
    Case(
        disks.programs_can_write,
        "local",
        lambda p: mount(p, "server", "/tmp").update(name="models"),
        "writes to /tmp, which takes no writes",
    ),
    *(
        Case(
            disks.data_outlives_pods,
            "gcp-house",
            on(lambda p, name, called: on_the_node(p, name, called), name, called),
            f"{name}: {path} ends with its pod",
        )
        for name, called, path in (
            ("server", "data", "/data"),
            ("prometheus", "data", "/prometheus"),
            ("model-server", "models", "/models"),
        )
    ),
    Case(
        disks.data_outlives_pods,
        "local",
        lambda p: volume(p, "server", "data")["persistent_volume_claim"].update(claim_name="nope"),
        "server: /data ends with its pod",
    ),
    Case(disks.data_outlives_pods, "local", lambda p: unmounted(p, "redis", "/data"), "redis: /data ends"),
    Case(
        disks.data_outlives_pods, "local", lambda p: on_the_node(p, "worker-cpu", "data"), "not the disk of the server"
    ),
    Case(
        disks.data_outlives_pods,
        "local",
        lambda p: volume(p, "worker-cpu", "data").update(persistent_volume_claim=claim_of(p, "prometheus")),
        "not the disk of the server",
    ),
    Case(disks.data_outlives_pods, "local", no_bucket_by_name, "has no bucket, and not the disk of the server"),
    Case(
        disks.disks_are_apart,
        "local",
        lambda p: volume(p, "prometheus", "data").update(persistent_volume_claim=claim_of(p, "server")),
        "prometheus and server and worker write to one disk",
    ),
    Case(
        disks.disks_are_protected,
        "gcp-house",
        lambda p: only(p, "kubernetes_stateful_set_v1").pop("lifecycle"),
        "may be destroyed",
    ),
    Case(disks.disks_are_protected, "gcp-house", lambda p: only(p, "random_password").pop("lifecycle"), "password"),
    *(
        Case(
            disks.disks_are_protected,
            "gcp-house",
            on(lambda p, name: only(p, CLAIM, name).pop("lifecycle"), name),
            "may be destroyed",
        )
        for name in ("data", "models")
    ),
    Case(disks.disks_are_protected, "gcp-house", lambda p: called_prometheus(only(p, CLAIM, "data")), "data_claim"),
    Case(
        disks.disks_are_protected,
        "gcp-house",
        lambda p: volume(p, "server", "data").update(persistent_volume_claim=claim_of(p, "prometheus")),
        "prometheus_claim",
    ),
)
FAULTS = POD_FAULTS + PROBE_FAULTS + DISK_FAULTS
