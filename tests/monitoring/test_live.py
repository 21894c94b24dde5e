"""The rules and the dashboard against a live server, with a real Prometheus and Alertmanager. One story, many questions."""

from __future__ import annotations

import pytest

from monitoring import dashboard
from tests.monitoring.files import names
from tests.monitoring.story import Story, tell
from tests.monitoring.test_live_disk import DISK
from tests.monitoring.watching import promtool
from vidprocme.monitor.table import TABLE

pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.slow,
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("story"))


def test_a_good_day_is_silent(story: Story) -> None:
    assert story.fired_on_a_good_day == set()


def test_promtool_finds_nothing_wrong_with_a_live_page(story: Story) -> None:
    done = promtool("check", "metrics", text=story.metrics)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "vidprocme_jobs_total" in story.metrics


def test_promtool_would_find_something(story: Story) -> None:
    assert promtool("check", "metrics", text=story.metrics.replace("vidprocme_jobs_total", "jobs")).returncode != 0


def test_a_good_day_shows_the_whole_table_but_errors(story: Story) -> None:
    """Also what pools report (places, reasons, warm models, decisions) is there, from a pool that runs."""
    missing = [entry.name for entry in TABLE if f"\n{entry.name}" not in story.metrics.replace("# TYPE ", "")]

    assert missing == ["vidprocme_attempt_errors_total"]


@pytest.mark.parametrize("alert", [name for name in names() if name not in DISK])
def test_every_alert_reaches_alertmanager_when_its_fault_is_there(story: Story, alert: str) -> None:
    told = story.told.get(alert)

    assert told is not None, f"Alertmanager was never told of {alert}; it was told of {sorted(story.told)}"

    assert told["annotations"]["runbook"] == f"docs/operating.md#{alert.lower()}"
    assert "{{" not in told["annotations"]["summary"] and "<" not in told["annotations"]["summary"]
    assert told["receivers"] == [{"name": "people"}]


def test_a_queue_that_is_away_keeps_the_others_quiet(story: Story) -> None:
    assert story.inhibited and story.inhibited["status"]["state"] == "suppressed"


def test_the_trial_of_the_runbook_reaches_those_who_are_told(story: Story) -> None:
    trial = story.told["Trial"]

    assert trial["receivers"] == [{"name": "people"}] and trial["status"]["state"] == "active"
    assert {"job", "severity"} <= set(trial["labels"]), "without them it is in no group that others are in"


def test_a_missing_pool_is_told_once(story: Story) -> None:
    """What waits for it says nothing new."""
    assert story.waits and story.waits["status"]["state"] == "suppressed"


def test_the_first_row_says_what_the_alerts_say(story: Story) -> None:
    good, alone, gone = (story.verdicts[moment] for moment in ("good day", "no pool", "no queue"))

    assert good == {"Server": 1, "Queue": 1, "Pools at work": 1, "Dead letters": 0, "Longest wait": 0, "Alerts": 0}
    assert alone["Pools at work"] == 0 and alone["Longest wait"] > 1 and alone["Alerts"] > 1
    assert alone["Dead letters"] > 0
    assert set(gone) == {"Server", "Queue", "Alerts"} and gone["Queue"] == 0, "nobody knows of pools without Redis"


def test_a_code_that_came_once_is_among_the_errors(story: Story) -> None:
    """Its series was not there before, so `increase` would not see it."""
    assert ("probe", "NOT_A_VIDEO") in story.codes, story.codes


@pytest.mark.parametrize(
    ("title", "expression"),
    dashboard.queries(),
    ids=[f"{n}-{title}" for n, (title, _) in enumerate(dashboard.queries())],
)
def test_every_panel_draws_something(story: Story, title: str, expression: str) -> None:
    assert story.panels[title, expression] > 0
