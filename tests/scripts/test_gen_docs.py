from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from scripts import gen_docs
from vidprocme.core.job import TRANSITIONS, JobState, TaskState, job_state


def test_the_committed_pages_are_current() -> None:
    assert gen_docs.outdated(gen_docs.ROOT) == [], "run python -m scripts.gen_docs and commit the page"


def test_every_arrow_and_no_other_is_on_the_page() -> None:
    page = gen_docs.states_page()
    for start, end in product(TaskState, TaskState):
        drawn = f"    {start} --> {end}\n" in page
        told = f"| `{start}` | `{end}` | " in page
        assert drawn == told == (end in TRANSITIONS[start]), (start, end)
    assert set(gen_docs.REASONS) == {(start, end) for start, ends in TRANSITIONS.items() for end in ends}


def test_the_examples_show_every_state_of_a_job() -> None:
    assert {job_state(counts) for counts in gen_docs.JOB_EXAMPLES} == set(JobState)


def test_check_names_a_page_that_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gen_docs.main(["--check"], tmp_path) == 1
    assert "docs/states.md is not current" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

    assert gen_docs.main([], tmp_path) == 0 and gen_docs.main(["--check"], tmp_path) == 0
    page = tmp_path / "docs" / "states.md"
    page.write_text(page.read_text().replace("blocked", "stuck", 1))
    assert gen_docs.main(["--check"], tmp_path) == 1
