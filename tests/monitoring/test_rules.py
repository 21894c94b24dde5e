"""The alerts as they are written: complete, tested, and about metrics that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tests.monitoring.files import FOLDER, alerts, names, questions, read
from tests.monitoring.watching import hurried, program, promtool
from vidprocme.api.admission import DISK_RESERVE_BYTES
from vidprocme.cli.main import root
from vidprocme.core.counts import WAIT
from vidprocme.core.job import Bin
from vidprocme.monitor.table import TABLE

RUNBOOK = FOLDER.parent / "docs" / "operating.md"
METRIC = re.compile(r"vidprocme_[a-z_]+")
NAMES = {entry.name for entry in TABLE}


@pytest.mark.parametrize("alert", alerts(), ids=names())
def test_an_alert_says_what_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    words = alert["annotations"]
    assert set(words) == {"summary", "description", "runbook"}
    assert words["summary"].strip().endswith(".") and len(words["description"]) > 100
    assert words["runbook"] == f"docs/operating.md#{alert['alert'].lower()}"
    assert set(METRIC.findall(alert["expr"])) <= NAMES


def test_the_runbook_has_a_heading_for_each_alert() -> None:
    """And none for an alert that is no more."""
    headings = re.findall(r"^### (Vidprocme\w+)$", RUNBOOK.read_text(), re.M)

    assert headings == names()


def test_the_runbook_says_how_soon_each_alert_comes() -> None:
    rows = re.findall(r"^\| (Vidprocme[\w, ]+) \| (\w+) \| (at once|\w+) \|$", RUNBOOK.read_text(), re.M)
    told = {name: (severity, after) for cell, severity, after in rows for name in cell.split(", ")}

    assert told == {rule["alert"]: (rule["labels"]["severity"], rule.get("for", "at once")) for rule in alerts()}


def test_the_runbook_and_the_alerts_name_verbs_that_exist() -> None:
    """What a person is told to type at night must be there."""
    told = RUNBOOK.read_text() + (FOLDER / "rules.yml").read_text()
    named = set(re.findall(r"(?:`|exec server |exec deploy/server -- )vidprocme ([a-z]+)(?: ([a-z]+))?", told))

    assert {("jobs", "retry"), ("jobs", "show"), ("jobs", "ls"), ("doctor", "")} <= named
    for verb, below in named:
        command = root.get_command(click.Context(root), verb)
        assert command is not None, f"vidprocme {verb}"
        assert not below or not isinstance(command, click.Group) or below in command.commands, f"{verb} {below}"


@pytest.mark.parametrize("name", names())
def test_every_alert_has_a_case_that_fires_and_one_that_does_not(name: str) -> None:
    asked = [samples for expression, samples in questions() if f'alertname="{name}"' in expression]

    assert any(asked) and not all(asked)


def test_the_bounds_of_waiting_are_bounds_of_the_histogram() -> None:
    (alert,) = (one for one in alerts() if one["alert"] == "VidprocmeWaitingTooLong")
    bounds = {bin_: int(bound) for bin_, bound in re.findall(r'bin="(\w+)"}\) > (\d+)', alert["expr"])}

    assert set(bounds) == set(Bin)
    assert {bound * WAIT.per_s for bound in bounds.values()} <= set(WAIT.bounds)


def test_the_disk_is_full_when_the_server_says_so() -> None:
    (alert,) = (one for one in alerts() if one["alert"] == "VidprocmeDiskFull")

    assert float(alert["expr"].split("<")[1]) == DISK_RESERVE_BYTES


def test_both_configurations_of_prometheus_are_one() -> None:
    text = (FOLDER / "prometheus.yml").read_text()
    here = text.replace("alertmanager:9093", "127.0.0.1:9093").replace("server:8484", "127.0.0.1:8484")

    assert yaml.safe_load(here) == read("prometheus.hostnet.yml") != read("prometheus.yml")


def test_what_alertmanager_inhibits_exists() -> None:
    text = (FOLDER / "alertmanager.yml").read_text()
    named = set(re.findall(r'alertname!?="(\w+)"', text))

    assert named and named <= set(names())


@pytest.mark.prometheus
@pytest.mark.parametrize("example", ["webhook_configs", "email_configs"])
def test_the_examples_of_who_is_told_can_be_taken_as_they_are(tmp_path: Path, example: str) -> None:
    """Without their `#` they are a receiver, and not Alertmanager itself: in a container 127.0.0.1 is that container."""
    text = (FOLDER / "alertmanager.yml").read_text()
    block = re.search(rf"^    # {example}:\n(?:    #   .*\n)+", text, re.M)
    assert block is not None
    said = text.replace(block[0], block[0].replace("    # ", "    "))
    if example == "email_configs":
        said += "global: {smtp_smarthost: 'mail.example.com:587', smtp_from: vidprocme@example.com}\n"
    (tmp_path / "alertmanager.yml").write_text(said)

    (receiver,) = yaml.safe_load(said)["receivers"]
    assert set(receiver) == {"name", example}
    assert not re.search(r"127\.0\.0\.1|localhost|::1", str(receiver))
    words = [program("amtool"), "check-config", str(tmp_path / "alertmanager.yml")]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_hurrying_changes_nothing_but_how_long() -> None:
    slow, fast = read("rules.yml"), hurried()
    for group in [*slow["groups"], *fast["groups"]]:
        for rule in group["rules"]:
            rule.pop("for", None)

    assert slow == fast


@pytest.mark.prometheus
def test_promtool_and_amtool_accept_what_is_there() -> None:
    for name in ("prometheus.yml", "prometheus.hostnet.yml"):
        done = promtool("check", "config", name)
        assert done.returncode == 0, done.stderr
    done = promtool("test", "rules", "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    checked = subprocess.run(
        [program("amtool"), "check-config", "alertmanager.yml"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.prometheus
@pytest.mark.parametrize("fault", ["vector(0) > 1", "up or vector(1)"], ids=["never", "always"])
@pytest.mark.parametrize("name", names())
def test_the_tests_of_an_alert_can_fail(tmp_path: Path, name: str, fault: str) -> None:
    """An alert that never fires, or always, is noticed."""
    rules = read("rules.yml")
    for rule in rules["groups"][0]["rules"]:
        if rule["alert"] == name:
            rule["expr"] = fault
            rule.pop("for", None)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    (tmp_path / "rules_test.yml").write_text((FOLDER / "rules_test.yml").read_text())

    assert promtool("test", "rules", "rules_test.yml", cwd=tmp_path).returncode == 1
