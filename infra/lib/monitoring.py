"""Prometheus, Alertmanager and Grafana as plain Deployments, fed with the files in monitoring/."""

from __future__ import annotations

from dataclasses import dataclass

from constructs import Construct

from infra.lib import pods, workloads
from infra.lib.ground import Namespace
from infra.lib.monitoring_files import Files
from infra.lib.pods import Container, Mount, Pod
from infra.lib.settings import Monitoring as Settings
from infra.lib.settings import Size

PROMETHEUS, ALERTMANAGER, GRAFANA = "prometheus", "alertmanager", "grafana"
NOBODY, GRAFANA_USER = 65534, 472  # `USER` in the official images
PORTS = {PROMETHEUS: 9090, ALERTMANAGER: 9093, GRAFANA: 3000}
DASHBOARDS = "/var/lib/grafana/dashboards"


@dataclass(frozen=True, slots=True)
class Place:
    """Where it stands."""

    space: Namespace
    storage_class: str


class Monitoring(Construct):
    def __init__(self, scope: Construct, place: Place, settings: Settings, files: Files) -> None:
        super().__init__(scope, "monitoring")
        _Prometheus(self, place, settings, files)
        _Alertmanager(self, place, settings, files)
        _Grafana(self, place, settings, files)


class _Prometheus(Construct):
    """Measurements lie on a disk. They can be lost without harm to the work, so nothing forbids to remove it."""

    def __init__(self, scope: Construct, place: Place, settings: Settings, files: Files) -> None:
        super().__init__(scope, PROMETHEUS)
        port, namespace = PORTS[PROMETHEUS], place.space.name
        config = workloads.config_map(
            self, f"{PROMETHEUS}-config", files.prometheus, namespace=namespace, component=PROMETHEUS
        )
        disk = workloads.claim(
            self,
            PROMETHEUS,
            namespace=namespace,
            component=PROMETHEUS,
            gib=settings.disk_gib,
            storage_class=place.storage_class,
            protect=False,
        )
        container = Container(
            name=PROMETHEUS,
            image=settings.prometheus,
            size=Size(100, 1024, 1000),
            args=(
                "--config.file=/etc/prometheus/prometheus.yml",
                "--storage.tsdb.path=/prometheus",
                f"--storage.tsdb.retention.time={settings.keep_days}d",
                # It deletes before the disk is full, which it would not survive.
                f"--storage.tsdb.retention.size={settings.disk_gib * 8 // 10}GB",
            ),
            port=("http", port),
            startup=pods.http("/-/ready", port, every_s=5, failures=60),
            liveness=pods.http("/-/healthy", port),
            readiness=pods.http("/-/ready", port),
            mounts=(Mount("config", "/etc/prometheus", read_only=True), Mount("data", "/prometheus")),
        )
        volumes = (pods.config_files("config", config), pods.claimed("data", disk))
        workloads.deployment(
            self,
            PROMETHEUS,
            namespace=namespace,
            component=PROMETHEUS,
            pod=Pod(container, NOBODY, volumes, grace_s=60),
            recreate=True,
            annotations=workloads.changed_with(files.prometheus),
        )
        workloads.service(self, PROMETHEUS, namespace=namespace, component=PROMETHEUS, port=port)
        place.space.allow(PROMETHEUS, port, (GRAFANA,))


class _Alertmanager(Construct):
    """Silences and what was sent lie in its pod: after a restart a firing alert is told once more."""

    def __init__(self, scope: Construct, place: Place, settings: Settings, files: Files) -> None:
        super().__init__(scope, ALERTMANAGER)
        port, namespace = PORTS[ALERTMANAGER], place.space.name
        config = workloads.config_map(
            self, f"{ALERTMANAGER}-config", files.alertmanager, namespace=namespace, component=ALERTMANAGER
        )
        container = Container(
            name=ALERTMANAGER,
            image=settings.alertmanager,
            size=Size(50, 128, 500),
            args=(
                "--config.file=/etc/alertmanager/alertmanager.yml",
                "--storage.path=/alertmanager",
                "--cluster.listen-address=",  # one of it: no gossip, and no port for it
            ),
            port=("http", port),
            liveness=pods.http("/-/healthy", port),
            readiness=pods.http("/-/ready", port),
            mounts=(Mount("config", "/etc/alertmanager", read_only=True), Mount("data", "/alertmanager")),
        )
        volumes = (pods.config_files("config", config), pods.empty_dir("data", 256))
        workloads.deployment(
            self,
            ALERTMANAGER,
            namespace=namespace,
            component=ALERTMANAGER,
            pod=Pod(container, NOBODY, volumes),
            recreate=True,
            annotations=workloads.changed_with(files.alertmanager),
        )
        workloads.service(self, ALERTMANAGER, namespace=namespace, component=ALERTMANAGER, port=port)
        place.space.allow(ALERTMANAGER, port, (PROMETHEUS,))


class _Grafana(Construct):
    """Everything in it comes from files, so it has no disk. It is reached by a port-forward; nothing in the cluster calls it."""

    def __init__(self, scope: Construct, place: Place, settings: Settings, files: Files) -> None:
        super().__init__(scope, GRAFANA)
        port, namespace = PORTS[GRAFANA], place.space.name
        maps = {
            "datasources": ("/etc/grafana/provisioning/datasources", files.datasources),
            "providers": ("/etc/grafana/provisioning/dashboards", files.providers),
            "dashboards": (DASHBOARDS, files.dashboards),
        }
        mounts = [Mount("data", "/var/lib/grafana"), Mount("tmp", "/tmp")]
        volumes = [pods.empty_dir("data", 512), pods.empty_dir("tmp", 128)]
        for name, (path, content) in maps.items():
            made = workloads.config_map(self, f"{GRAFANA}-{name}", content, namespace=namespace, component=GRAFANA)
            mounts.append(Mount(name, path, read_only=True))
            volumes.append(pods.config_files(name, made))
        container = Container(
            name=GRAFANA,
            image=settings.grafana,
            size=Size(100, 512, 1000),
            env={
                # Whoever reaches the page may look, and nobody may change anything: what it shows comes from files.
                "GF_AUTH_ANONYMOUS_ENABLED": "true",
                "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
                "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
                # Nothing is sent anywhere, and nothing is fetched.
                "GF_ANALYTICS_REPORTING_ENABLED": "false",
                "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
                "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
                "GF_PLUGINS_PREINSTALL_DISABLED": "true",
                "GF_USERS_ALLOW_SIGN_UP": "false",
                "GF_LOG_MODE": "console",
            },
            port=("http", port),
            startup=pods.http("/api/health", port, every_s=5, failures=36),
            liveness=pods.http("/api/health", port, every_s=20),
            readiness=pods.http("/api/health", port),
            mounts=tuple(mounts),
        )
        workloads.deployment(
            self,
            GRAFANA,
            namespace=namespace,
            component=GRAFANA,
            pod=Pod(container, GRAFANA_USER, tuple(volumes)),
            annotations=workloads.changed_with(files.datasources, files.providers, files.dashboards),
        )
        workloads.service(self, GRAFANA, namespace=namespace, component=GRAFANA, port=port)
