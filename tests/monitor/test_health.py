from __future__ import annotations

import json

from vidprocme.monitor.health import Check, disk_check, healthz, pools_check, readyz, redis_check


def test_alive_is_alive() -> None:
    assert healthz().ok and healthz().http_status == 200 and healthz().to_json() == {"ok": True, "parts": {}}


def test_ready_when_every_needed_part_is() -> None:
    good, bad = Check("a", True, "fine"), Check("b", False, "broken")
    optional = Check("c", False, "away", needed=False)

    assert readyz([]).ok and readyz([good]).ok and readyz([good, optional]).ok
    health = readyz([good, bad, optional])
    assert not health.ok and health.http_status == 503
    assert json.loads(json.dumps(health.to_json())) == {
        "ok": False,
        "parts": {
            "a": {"ok": True, "needed": True, "text": "fine"},
            "b": {"ok": False, "needed": True, "text": "broken"},
            "c": {"ok": False, "needed": False, "text": "away"},
        },
    }


def test_facts_are_judged() -> None:
    assert redis_check("unix:/x", None).ok
    away = redis_check("unix:/x", "Redis at unix:/x does not answer: connection refused.")
    assert not away.ok and away.needed and "unix:/x" in away.text and "refused" in away.text

    assert disk_check("/d", 100, 100).ok and not disk_check("/d", 99, 100).ok
    assert (
        "1 MiB free" in disk_check("/d", 1 << 20, 5 << 20).text and "5 MiB" in disk_check("/d", 1 << 20, 5 << 20).text
    )

    assert pools_check(1).ok and not pools_check(0).ok and not pools_check(0, draining=2).ok
    assert not pools_check(0).needed and "vidprocme worker" in pools_check(0).text
