"""What must not be seen in a plan, and what must not be changed by it."""

from __future__ import annotations

import re

from infra.checks.plan import Plan, many, object_name, one, resources, strings, unknown, workloads

SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|API_?KEY|CREDENTIAL", re.IGNORECASE)
# user:password@ in an address; a password that Kubernetes or Terraform fills in is none.
IN_ADDRESS = re.compile(r"://[^/@\s:]*:(?!\$[({])[^/@\s]+@")
# All of a secret is made by Terraform; beside it stands at most the name that Redis' file gives it.
FILLED_IN = re.compile(r"(requirepass )?\$\{random_password\.[\w-]+\.result\}\n?")
SECRET = frozenset({"//", "data", "metadata", "depends_on", "lifecycle"})
PRIVATE_KEY = re.compile("-----BEGIN [A-Z ]*PRIVATE " + "KEY-----")


def texts_are_texts(plan: Plan) -> list[str]:
    """A reference that was turned into a text by hand stands in the plan as a Python object's name, and means nothing there."""
    return [f"{path} is {text}" for path, text in strings(plan) if re.search(r"<\S+ object at 0x|TfToken", text)]


def no_secret_in_clear(plan: Plan) -> list[str]:
    """Secrets are references that Terraform fills in, whole; variables with telling names come from Secrets."""
    wrong = []
    for _, body in resources(plan, "kubernetes_secret_v1"):
        wrong += [
            f"the Secret {object_name(body)} holds {key} in clear"
            for key, text in one(body.get("data")).items()
            if FILLED_IN.fullmatch(text) is None
        ]
        wrong += [f"the Secret {object_name(body)} has {word}, which no rule knows" for word in unknown(body, SECRET)]
    for name, body in resources(plan, "google_secret_manager_secret_version"):
        if FILLED_IN.fullmatch(str(body.get("secret_data", ""))) is None:
            wrong.append(f"{name} holds its secret in clear")
    for workload in workloads(plan):
        for where, container in workload.containers():
            wrong += [
                f"{where} has {variable['name']} in clear"
                for variable in many(container.get("env"))
                if SECRET_NAME.search(variable["name"]) and variable.get("value")
            ]
    for path, text in strings({key: value for key, value in plan.items() if key != "//"}):
        if IN_ADDRESS.search(text):
            wrong.append(f"{path} holds a password in an address")
        if PRIVATE_KEY.search(text):
            wrong.append(f"{path} holds a private key")
    return wrong


def files_are_literal(plan: Plan) -> list[str]:
    """Dashboards and rules have signs of their own that look like Terraform's: it must not fill them in."""
    return [
        f"{object_name(body)}/{name} holds what Terraform would replace"
        for _, body in resources(plan, "kubernetes_config_map_v1")
        for name, text in body.get("data", {}).items()
        if re.search(r"(?<![$])[$]{|(?<!%)%{", text)
    ]
