"""What differs between the stacks, and by which setting."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from infra import unpack
from infra.checks.every import wrongs
from infra.checks.plan import many, one, resources, workloads
from infra.gcp.settings import Gcp
from infra.lib.reading import read
from infra.local.settings import Local
from infra.main import EXAMPLE, LOCAL, accept, main
from infra.synth import Plans, synth
from infra.tests.things import container, only, pod


def test_locally_server_and_workers_share_one_disk(plans: Plans) -> None:
    claims = {
        name: [
            it["persistent_volume_claim"]["claim_name"]
            for it in pod(plans["local"], name)["volume"]
            if "persistent_volume_claim" in it
        ]
        for name in ("server", "worker-cpu")
    }
    assert claims["server"] == claims["worker-cpu"] != []


def test_in_the_cloud_a_worker_has_a_bucket_and_no_disk(plans: Plans) -> None:
    worker = pod(plans["gcp-house"], "worker-cpu")
    env = {it["name"]: it.get("value") for it in container(plans["gcp-house"], "worker-cpu")["env"]}
    bucket = only(plans["gcp-ground"], "google_storage_bucket")["name"]

    assert not [it for it in worker["volume"] if "persistent_volume_claim" in it]
    assert env["VIDPROCME_BLOBS"] == f"gs://{bucket}"


def test_the_account_of_the_pods_is_the_one_that_may_use_the_bucket(plans: Plans) -> None:
    """From the pod to the bucket: each link names the next."""
    house, ground = plans["gcp-house"], plans["gcp-ground"]
    account = only(house, "kubernetes_service_account_v1")["metadata"]
    address = account["annotations"]["iam.gke.io/gcp-service-account"]
    tie = only(house, "google_service_account_iam_member")
    app = only(ground, "google_service_account", "app")
    member = only(ground, "google_storage_bucket_iam_member")

    assert address == f"{app['account_id']}@my-project.iam.gserviceaccount.com"
    assert tie["service_account_id"].endswith(address)
    assert tie["member"] == f"serviceAccount:my-project.svc.id.goog[vidprocme/{account['name']}]"
    assert member["role"] == "roles/storage.objectUser"
    [app_key] = [key for key, _ in resources(ground, "google_service_account") if "app" in key]
    assert member["member"] == f"${{google_service_account.{app_key}.member}}"


def test_the_secret_is_for_the_workload_alone(plans: Plans) -> None:
    members = [body for _, body in resources(plans["gcp-house"], "google_secret_manager_secret_iam_member")]

    assert [(it["role"], it["member"]) for it in members] == [
        ("roles/secretmanager.secretAccessor", "serviceAccount:vidprocme-app@my-project.iam.gserviceaccount.com")
    ]


def test_the_model_server_goes_where_the_gpus_are(plans: Plans) -> None:
    node = one(only(plans["gcp-ground"], "google_container_node_pool", "gpu")["node_config"])
    wanted = pod(plans["gcp-house"], "model-server")
    [taint] = many(node["taint"])
    [toleration] = many(wanted["toleration"])

    assert (toleration["key"], toleration["value"]) == (taint["key"], taint["value"])
    assert (toleration["effect"], taint["effect"]) == ("NoSchedule", "NO_SCHEDULE")
    # The pool's label is what the pod asks for: the pool is scaled up for it.
    assert wanted["node_selector"].items() <= node["labels"].items()
    assert container(plans["gcp-house"], "model-server")["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_state_lies_where_the_settings_say(plans: Plans) -> None:
    assert plans["gcp-ground"]["terraform"]["backend"] == {
        "gcs": {"bucket": "my-project-terraform", "prefix": "vidprocme/ground"}
    }
    assert plans["gcp-house"]["terraform"]["backend"]["gcs"]["prefix"] == "vidprocme/house"
    assert plans["local"]["terraform"]["backend"] == {"local": {"path": "../../../state/kind-vidprocme.tfstate"}}


def test_providers_are_pinned(plans: Plans) -> None:
    for name, plan in plans.items():
        versions = {key: it["version"] for key, it in plan["terraform"]["required_providers"].items()}
        assert versions and all(version[0].isdigit() for version in versions.values()), (name, versions)


def test_sharing_a_gpu_and_leaving_things_out(tmp_path: Path) -> None:
    """Other settings than the examples': shared GPUs, no protection, no monitoring, no model server; the rules hold."""
    gcp, local = read(Gcp, EXAMPLE), read(Local, LOCAL)
    assert gcp.gpus is not None
    bare = replace(gcp.house, model_server=None, monitoring=None)
    shared = replace(gcp, gpus=replace(gcp.gpus, shared_by=4), house=bare, protect=False, state=None)

    plans = synth(tmp_path, local=replace(local, house=replace(local.house, monitoring=None)), gcp=shared)

    assert {name: wrongs(plan, for_keeps=False) for name, plan in plans.items()} == {
        "local": [],
        "gcp-ground": [],
        "gcp-house": [],
    }
    assert wrongs(plans["gcp-house"], for_keeps=True) != []
    [accelerator] = one(only(plans["gcp-ground"], "google_container_node_pool", "gpu")["node_config"])[
        "guest_accelerator"
    ]
    assert one(accelerator["gpu_sharing_config"]) == {
        "gpu_sharing_strategy": "TIME_SHARING",
        "max_shared_clients_per_gpu": 4,
    }
    assert {workload.name for workload in workloads(plans["gcp-house"])} == {"redis", "server", "worker-cpu"}
    shutil.rmtree(tmp_path)


def test_the_program_writes_what_terraform_reads(tmp_path: Path) -> None:
    assert (
        main(
            [
                "local",
                "--context",
                "k3d-here",
                "--storage-class",
                "local-path",
                "--kubeconfig",
                "/k.yaml",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    text = (tmp_path / "stacks" / "local" / "cdk.tf.json").read_text()

    assert '"k3d-here"' in text and '"local-path"' in text and '"/k.yaml"' in text and "kind-vidprocme" not in text
    assert '"../../../state/k3d-here.tfstate"' in text  # the name by which scripts/cluster_down.sh removes it


def test_a_stack_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpc", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: there is no stack 'gpc', only local and gcp.\n"


def test_a_protected_cloud_wants_a_bucket_for_its_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the file of settings to the exit status: with a state in a file, deploy.yml would lose it with its machine."""
    text = EXAMPLE.read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(re.sub(r"\[state\]\nbucket = .*\n", "", text))
    assert mine.read_text() != text

    assert main(["gcp", "--gcp", str(mine), "--out", str(tmp_path / "out")]) == 1

    assert capsys.readouterr().err.count("name a bucket under [state]") == 2
    assert not list((tmp_path / "out").rglob("cdk.tf.json"))


def test_a_plan_that_breaks_a_rule_is_told_and_gone(
    plans: Plans, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stacks" / "local" / "cdk.tf.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    assert accept(tmp_path, "local", plans["local"], LOCAL, for_keeps=False) and file.exists()
    assert " resources from settings.local.toml in " in capsys.readouterr().out

    container(plans["local"], "server").update(image="vidprocme:latest")

    assert not accept(tmp_path, "local", plans["local"], LOCAL, for_keeps=False)
    assert not file.exists()
    assert "error: local: server/server: image 'vidprocme:latest' must not be latest" in capsys.readouterr().err


def test_unpacking_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    unpack.main()

    assert list(tmp_path.iterdir()) == []
