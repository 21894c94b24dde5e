"""How Kubernetes asks pods whether they are alive and ready, and when it kills them for their answer."""

from __future__ import annotations

from infra.checks.plan import Body, Plan, many, one, workloads

KINDS = ("http_get", "tcp_socket", "exec")
# Whether a pod is alive never depends on others: /readyz says no while Redis is away, and a restart would not bring it back. Nor does
# Redis die of a full disk, where PING is answered by MISCONF, and `redis-cli -e` makes that a failure: a socket is enough there.
ALIVE = {
    "server": ("http_get", "/healthz"),
    "worker": ("exec", "vidprocme alive"),
    "redis": ("tcp_socket", ""),
    "prometheus": ("http_get", "/-/healthy"),
    "alertmanager": ("http_get", "/-/healthy"),
    "grafana": ("http_get", "/api/health"),
}
READY = {"server": ("http_get", "/readyz"), "worker": ("exec", "vidprocme alive")}
SLOW_STARTERS = ("server", "worker", "redis", "model-server", "prometheus", "grafana")
LEAST_PATIENCE_S = 20  # a machine that swaps, or an image that is pulled beside it, holds a process for seconds
LEAST_START_S = 60


def containers_are_asked(plan: Plan) -> list[str]:
    """Is it alive, is it ready, by what its component has for it. Not for containers that run before the others, which end."""
    wrong = []
    for workload in workloads(plan):
        for container in many(workload.pod.get("container")):
            where = f"{workload.name}/{container['name']}"
            wanted = {"liveness_probe": ALIVE.get(workload.component), "readiness_probe": READY.get(workload.component)}
            for name, question in wanted.items():
                probe = one(container.get(name))
                if not probe:
                    wrong.append(f"{where} has no {name}")
                elif question is not None and _question(probe) != question:
                    wrong.append(f"{where} is asked {' '.join(_question(probe))} by its {name}: {' '.join(question)}")
    return wrong


def probes_reach_the_program(plan: Plan) -> list[str]:
    """Each probe asks in one way, at a port that the container opens, or by a program that is in its image."""
    wrong = []
    for workload in workloads(plan):
        for container in many(workload.pod.get("container")):
            opened = {str(port["container_port"]) for port in many(container.get("port"))}
            for name in ("startup_probe", "liveness_probe", "readiness_probe"):
                probe, where = one(container.get(name)), f"{workload.name}/{container['name']}: {name}"
                if probe and len(set(probe) & {*KINDS, "grpc"}) != 1:
                    wrong.append(f"{where} must ask in one way")
                asked = [str(one(probe[kind]).get("port")) for kind in KINDS[:2] if kind in probe]
                wrong += [f"{where} asks at port {port}, which is not opened" for port in asked if port not in opened]
                program = one(probe.get("exec")).get("command", ["redis-cli"])[:1]
                if program not in (["vidprocme"], ["redis-cli"]):
                    wrong.append(f"{where} runs {program}")
    return wrong


def probes_are_patient(plan: Plan) -> list[str]:
    """A slow moment kills nobody, and whoever starts slowly is not asked yet whether it is alive."""
    wrong = []
    for workload in workloads(plan):
        for container in many(workload.pod.get("container")):
            where = f"{workload.name}/{container['name']}"
            if patience_s(one(container.get("liveness_probe"))) < LEAST_PATIENCE_S:
                wrong.append(f"{where} is killed after less than {LEAST_PATIENCE_S} s of silence")
            if workload.component in SLOW_STARTERS and patience_s(one(container.get("startup_probe"))) < LEAST_START_S:
                wrong.append(f"{where} has less than {LEAST_START_S} s to start")
            for name in ("startup_probe", "liveness_probe", "readiness_probe"):
                # A second is Kubernetes' own choice where nothing is said; a program that starts takes longer.
                if name in container and int(one(container[name]).get("timeout_seconds", 1)) < 5:
                    wrong.append(f"{where}: {name} waits less than 5 s for an answer")
    return wrong


def _question(probe: Body) -> tuple[str, str]:
    kind = next((it for it in KINDS if it in probe), "")
    asked = one(probe.get(kind))
    return kind, " ".join(asked["command"]) if "command" in asked else str(asked.get("path", ""))


def patience_s(probe: Body) -> int:
    """Seconds until a container that does not answer is killed; 0 where nothing is asked. Kubernetes' own numbers: 10 s, 3."""
    return int(probe.get("period_seconds", 10)) * int(probe.get("failure_threshold", 3)) if probe else 0
