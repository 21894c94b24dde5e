"""Which job `vidprocme describe` means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.things import submit
from vidprocme.cli.describe import find
from vidprocme.cli.folders import claim
from vidprocme.core.errors import BadWish
from vidprocme.wiring import House


@pytest.mark.parametrize("by_name", [False, True])
def test_a_video_of_several_tenants_is_asked_for_by_its_job(house: House, tmp_path: Path, by_name: bool) -> None:
    alone = submit(house, tmp_path, "alone.mp4", tenant="zoo")
    ours, theirs = (submit(house, tmp_path, tenant=tenant) for tenant in ("default", "zoo"))
    given = "goat.mp4" if by_name else str(tmp_path / "goat.mp4")

    with pytest.raises(BadWish, match=f"2 tenants: {ours} of default, {theirs} of zoo") as caught:
        find(house, given)

    assert caught.value.code == "JOB_AMBIGUOUS" and ours != theirs
    assert find(house, ours).job.id == ours and find(house, str(tmp_path / "alone.mp4")).job.id == alone
    folder = claim(tmp_path / "out", "goat", find(house, theirs).job.source.sha256)
    (folder / "result.json").write_text(json.dumps({"job": theirs}))
    assert find(house, given, tmp_path / "out").job.id == theirs
