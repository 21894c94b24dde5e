"""Settings: each layer beats the one below it, and a wrong one is named with its layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vidprocme.config import Settings, load
from vidprocme.core.errors import BadWish


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder without a settings file."""
    monkeypatch.chdir(tmp_path)


def file(tmp_path: Path, text: str) -> dict[str, str]:
    """A settings file, and the environment that names it."""
    path = tmp_path / "some.toml"
    path.write_text(text)
    return {"HOME": str(tmp_path), "VIDPROCME_CONFIG": str(path)}


def test_without_anything_it_is_the_defaults_in_the_platforms_folder(tmp_path: Path) -> None:
    settings = load(environment={"HOME": str(tmp_path)})

    assert settings == Settings(data=tmp_path / ".local" / "share" / "vidprocme")
    assert load(environment={"HOME": "/h", "XDG_DATA_HOME": "/x"}).data == Path("/x/vidprocme")


def test_flags_beat_the_environment_beats_the_file_beats_the_defaults(tmp_path: Path) -> None:
    env = file(tmp_path, 'cores = 2\nport = 1000\nhost = "0.0.0.0"\nlease_ms = 900\n')
    settings = load(
        {"cores": 4, "port": None},
        {**env, "VIDPROCME_CORES": "3", "VIDPROCME_BEAT_MS": "300", "VIDPROCME_PORT": "2000"},
    )

    assert (settings.cores, settings.port, settings.host) == (4, 2000, "0.0.0.0")
    # Two layers that only together make sense.
    assert (settings.lease_ms, settings.beat_ms, settings.presence_ms) == (900, 300, Settings().presence_ms)


def test_the_current_folders_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "vidprocme.toml").write_text("sim_gpus = 2\n")

    assert load(environment={"HOME": "/h"}).sim_gpus == 2


def test_an_empty_variable_is_not_given() -> None:
    assert load(environment={"HOME": "/h", "VIDPROCME_CORES": ""}).cores == 0


def test_the_data_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    assert load({"data": "here"}, {"HOME": "/h"}).data == tmp_path / "here"
    assert load(environment={"HOME": "/h", "VIDPROCME_DATA": "~/there"}).data == tmp_path / "home" / "there"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("cores", "many"),
        ("cores", "2.5"),
        ("cores", "-1"),
        ("port", "70000"),
        ("port", "-1"),
        ("keep_warm_percent", "101"),
        ("spread_bins", "urgent, soon"),
        ("nice", "20"),
        ("nice", "-1"),
        ("beat_ms", "0"),
        ("beat_ms", "15000"),
        ("lease_ms", "-5"),
        ("presence_ms", "1000"),
        ("config", "/nowhere/vidprocme.toml"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str) -> None:
    with pytest.raises(BadWish) as caught:
        load(environment={"HOME": "/h", f"VIDPROCME_{variable.upper()}": value})

    assert caught.value.code == "CONFIG_INVALID" and caught.value.hint
    assert variable in caught.value.message.lower()


@pytest.mark.parametrize(
    "text",
    [
        "cores = 2.7",
        "cores = true",
        'cores = "two"',
        "cores = [2]",
        'host = ["127.0.0.1"]',
        "host = 5",
        "data = 5",
        "colour = 'red'",
        "[pool]\ncores = 2",
        "cores = ",
        "\udcff",
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    env = file(tmp_path, "")
    Path(env["VIDPROCME_CONFIG"]).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadWish) as caught:
        load(environment=env)

    assert caught.value.code == "CONFIG_INVALID" and env["VIDPROCME_CONFIG"] in caught.value.message


@pytest.mark.parametrize("flags", [{"colour": "red"}, {"cores": "x"}, {"cores": 1.5}])
def test_a_wrong_flag_is_named(flags: dict[str, Any]) -> None:
    with pytest.raises(BadWish) as caught:
        load(flags, {"HOME": "/h"})

    assert "the command line" in caught.value.message
