"""Prometheus, Alertmanager and Grafana as plain Deployments, fed with the files in monitoring/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from constructs import Construct

from infra.lib import pods, workloads
from infra.lib.monitoring_files import texts
from infra.lib.namespace import Namespace
from infra.lib.pods import Container, Mount, Pod
from infra.lib.settings import Monitoring as Settings
from infra.lib.settings import Size
from infra.lib.structs import Data

PROMETHEUS, ALERTMANAGER, GRAFANA = "prometheus", "alertmanager", "grafana"
USERS = {PROMETHEUS: 65534, ALERTMANAGER: 65534, GRAFANA: 472}  # `USER` in the official images
PORTS = {PROMETHEUS: 9090, ALERTMANAGER: 9093, GRAFANA: 3000}
DASHBOARDS = "/var/lib/grafana/dashboards"
PROVISIONING = "grafana/provisioning"  # in monitoring/, and in /etc of the container
GRAFANA_ENV = {
    "PROMETHEUS_URL": f"http://{PROMETHEUS}:{PORTS[PROMETHEUS]}",  # Grafana puts it into its datasource
    # Whoever reaches the page may look, and nobody may change anything: what it shows comes from files.
    "GF_AUTH_ANONYMOUS_ENABLED": "true",
    "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
    "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{DASHBOARDS}/vidprocme.json",
    # Nothing is sent anywhere, and nothing is fetched.
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_LOG_MODE": "console",
}


class Monitoring(Construct):
    def __init__(self, scope: Construct, space: Namespace, settings: Settings, *, storage_class: str) -> None:
        super().__init__(scope, "monitoring")
        self._space = space
        place = Construct(self, PROMETHEUS)
        # Measurements can be lost without harm to the work, so nothing forbids to remove their disk.
        disk = workloads.claim(
            place,
            PROMETHEUS,
            namespace=space.name,
            component=PROMETHEUS,
            gib=settings.disk_gib,
            storage_class=storage_class,
            protect=False,
        )
        self._run(
            place,
            _prometheus(settings),
            {"config": ("/etc/prometheus", texts("prometheus.yml", "rules.yml"))},
            (pods.claimed("data", disk),),
            caller=GRAFANA,
        )
        # Silences and what was sent lie in its pod: after a restart a firing alert is told once more.
        self._run(
            Construct(self, ALERTMANAGER),
            _alertmanager(settings),
            {"config": ("/etc/alertmanager", texts("alertmanager.yml"))},
            (pods.empty_dir("data", 256),),
            caller=PROMETHEUS,
        )
        # Everything in it comes from files, so it has no disk. It is reached by a port-forward; nothing in the cluster calls it.
        self._run(
            Construct(self, GRAFANA),
            _grafana(settings),
            {
                "datasources": (
                    f"/etc/{PROVISIONING}/datasources",
                    texts(f"{PROVISIONING}/datasources/prometheus.yml"),
                ),
                "providers": (f"/etc/{PROVISIONING}/dashboards", texts(f"{PROVISIONING}/dashboards/vidprocme.yml")),
                "dashboards": (DASHBOARDS, texts("grafana/dashboards/vidprocme.json")),
            },
            (pods.empty_dir("data", 512), pods.empty_dir("tmp", 128)),
        )

    def _run(
        self,
        scope: Construct,
        container: Container,
        files: Mapping[str, tuple[str, Mapping[str, str]]],
        volumes: tuple[Data, ...],
        *,
        caller: str = "",
    ) -> None:
        """One component, named as its container is: ConfigMaps, Deployment, Service.

        Args:
            files: what each ConfigMap holds: the folder where it is mounted, and the texts in it.
            volumes: of the container's own mounts.
            caller: the one component that may speak to it.
        """
        name, namespace, port = container.name, self._space.name, PORTS[container.name]
        maps = {
            volume: workloads.config_map(scope, f"{name}-{volume}", held, namespace=namespace, component=name)
            for volume, (_, held) in files.items()
        }
        mounts = (Mount(volume, folder, read_only=True) for volume, (folder, _) in files.items())
        container = replace(container, port=("http", port), mounts=(*container.mounts, *mounts))
        volumes += tuple(pods.config_files(volume, made) for volume, made in maps.items())
        workloads.deployment(
            scope,
            name,
            namespace=namespace,
            component=name,
            pod=Pod(container, USERS[name], volumes, grace_s=60),
            recreate=True,  # one at a time: two would want the same disk, and nobody misses a page for a minute
            annotations=workloads.changed_with(*(held for _, held in files.values())),
        )
        workloads.service(scope, name, namespace=namespace, component=name, port=port)
        if caller:
            self._space.allow(name, port, (caller,))


def _prometheus(settings: Settings) -> Container:
    port = PORTS[PROMETHEUS]
    return Container(
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
        startup=pods.http("/-/ready", port, every_s=5, failures=60),
        liveness=pods.http("/-/healthy", port),
        readiness=pods.http("/-/ready", port),
        mounts=(Mount("data", "/prometheus"),),
    )


def _alertmanager(settings: Settings) -> Container:
    port = PORTS[ALERTMANAGER]
    return Container(
        name=ALERTMANAGER,
        image=settings.alertmanager,
        size=Size(50, 128, 500),
        args=(
            "--config.file=/etc/alertmanager/alertmanager.yml",
            "--storage.path=/alertmanager",
            "--cluster.listen-address=",  # one of it: no gossip, and no port for it
        ),
        liveness=pods.http("/-/healthy", port),
        readiness=pods.http("/-/ready", port),
        mounts=(Mount("data", "/alertmanager"),),
    )


def _grafana(settings: Settings) -> Container:
    port = PORTS[GRAFANA]
    return Container(
        name=GRAFANA,
        image=settings.grafana,
        size=Size(100, 512, 1000),
        env=GRAFANA_ENV,
        startup=pods.http("/api/health", port, every_s=5, failures=36),
        liveness=pods.http("/api/health", port, every_s=20),
        readiness=pods.http("/api/health", port),
        mounts=(Mount("data", "/var/lib/grafana"), Mount("tmp", "/tmp")),
    )
