from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from vidprocme.core.errors import BadWish
from vidprocme.monitor import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_line_is_one_json_object() -> None:
    out = io.StringIO()
    logs.set_up("info", "json", out)
    log = logs.logger("vidprocme.dispatch")

    log.info("claimed %s\nand more", "ü", place="gpu0", job="job_1")
    logging.getLogger("vidprocme.transcoder").warning("plain %d", 3, extra={"chunk": 7})
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("it broke", thing=object())

    first, second, third = lines(out)
    assert (first["event"], first["place"], first["job"]) == ("claimed ü\nand more", "gpu0", "job_1")
    assert (first["level"], first["logger"]) == ("info", "vidprocme.dispatch") and first["time"].endswith("Z")
    assert (second["event"], second["chunk"], second["level"]) == ("plain 3", 7, "warning")
    assert "ValueError: broken" in third["exception"] and third["thing"].startswith("<object")


def test_what_a_line_is_about_rides_on_every_logger() -> None:
    out = io.StringIO()
    logs.set_up("info", "json", out)

    with logs.about(job="job_1"):
        with logs.about(task="job_1:probe:0", attempt="t1"):
            logs.logger("a").info("inside")
            logging.getLogger("b").info("also inside")
        logs.logger("a").info("job only")
    logs.logger("a").info("outside")

    said = [{key: line.get(key) for key in ("job", "task", "attempt")} for line in lines(out)]
    inside = {"job": "job_1", "task": "job_1:probe:0", "attempt": "t1"}
    nothing = {"job": None, "task": None, "attempt": None}
    assert said == [inside, inside, {**nothing, "job": "job_1"}, nothing]


def test_what_is_below_the_level_is_dropped() -> None:
    out = io.StringIO()
    logs.set_up("WARNING", "json", out)
    for name in ("debug", "info", "warning", "error"):
        getattr(logs.logger("x"), name)(name)
        getattr(logging.getLogger("y"), name)(name)
    assert [line["event"] for line in lines(out)] == ["warning", "warning", "error", "error"]


def test_the_last_set_up_counts_and_follows_old_loggers() -> None:
    first, second = io.StringIO(), io.StringIO()
    log = logs.logger("x")
    logs.set_up("info", "json", first)
    log.info("one")
    logs.set_up("info", "console", second)
    log.info("two", place="gpu0")

    assert [line["event"] for line in lines(first)] == ["one"]
    assert "two" in second.getvalue() and "place=gpu0" in second.getvalue()
    assert "\x1b" not in second.getvalue()  # no colours where nobody looks
    assert second.getvalue().count("\n") == 1


def test_a_traceback_for_a_person_shows_no_values() -> None:
    out = io.StringIO()
    logs.set_up("info", "console", out)
    password = "hunter2"
    try:
        raise ValueError(len(password))
    except ValueError:
        logs.logger("x").exception("it broke")
    assert "ValueError: 7" in out.getvalue() and "hunter2" not in out.getvalue()


@pytest.mark.parametrize(
    ("level", "style", "code"),
    [("loud", "json", "BAD_LOG_LEVEL"), ("info", "xml", "BAD_LOG_STYLE"), ("", "json", "BAD_LOG_LEVEL")],
)
def test_a_wrong_wish_is_told(level: str, style: str, code: str) -> None:
    with pytest.raises(BadWish) as caught:
        logs.set_up(level, style)
    assert caught.value.code == code and caught.value.hint


def test_a_command_that_does_not_log_pays_nothing() -> None:
    code = "import sys, vidprocme.monitor.logs, vidprocme.monitor.doctor, vidprocme.monitor.health; print(sorted({'structlog', 'rich', 'prometheus_client'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_lines_go_to_stderr_and_leave_stdout_alone() -> None:
    code = "from vidprocme.monitor import logs; logs.set_up(); logs.logger('x').info('hello'); print('data')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "data\n" and json.loads(done.stderr)["event"] == "hello"
