"""Faults in what must not be seen and not be changed, each with the rule that is to see it."""

from __future__ import annotations

from infra.checks import data
from infra.tests.faults import on
from infra.tests.things import Case, container, only

FAULTS = (
    Case(data.texts_are_texts, "local", lambda p: container(p, "server").update(name=str(object())), "object at"),
    Case(data.texts_are_texts, "local", lambda p: container(p, "server").update(name="${TfToken[TOKEN.1]}"), "TfToken"),
    Case(
        data.no_secret_in_clear,
        "local",
        lambda p: only(p, "kubernetes_secret_v1", "redis")["data"].update(password="hunter2"),
        "password in clear",
    ),
    Case(
        data.no_secret_in_clear,
        "gcp-house",
        lambda p: only(p, "google_secret_manager_secret_version").update(secret_data="hunter2"),
        "in clear",
    ),
    Case(
        data.no_secret_in_clear,
        "local",
        lambda p: container(p, "grafana")["env"].append({"name": "GF_SECURITY_ADMIN_PASSWORD", "value": "admin"}),
        "in clear",
    ),
    Case(
        data.no_secret_in_clear,
        "local",
        lambda p: container(p, "server")["env"].append({"name": "X", "value": "redis://:hunter2@redis:6379/0"}),
        "password in an address",
    ),
    Case(
        data.no_secret_in_clear,
        "local",
        lambda p: p.update(locals={"key": "-----BEGIN RSA PRIVATE " + "KEY-----"}),
        "private key",
    ),
    *(
        Case(
            data.no_secret_in_clear,
            "local",
            on(lambda p, text: only(p, "kubernetes_secret_v1", "redis")["data"].update(password=text), text),
            "password in clear",
        )
        for text in ("hunter2${random_password.x.result}", "${random_password.x.result}hunter2", "${var.x}")
    ),
    Case(
        data.no_secret_in_clear,
        "local",
        lambda p: only(p, "kubernetes_secret_v1", "redis").update(binary_data={"k": "aHVudGVyMg=="}),
        "binary_data",
    ),
    Case(
        data.files_are_literal,
        "local",
        lambda p: only(p, "kubernetes_config_map_v1", "redis-config")["data"].update(x="a ${b}"),
        "redis-config/x",
    ),
)
