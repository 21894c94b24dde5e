"""The models that a machine knows: added, found, refused, forgotten."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vidprocme.core.errors import BadWish, Fatal
from vidprocme.vision.llamacpp import LlamaCpp
from vidprocme.vision.openai_http import OpenAiHttp
from vidprocme.vision.registry import DEMO, Registry


@pytest.fixture
def own(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "data")


@pytest.fixture
def pair(own: Registry, tmp_path: Path) -> Path:
    """A folder with a model's two files."""
    folder = tmp_path / "My Model"
    folder.mkdir()
    demo = own.get(DEMO)
    shutil.copy(demo.path, folder / "words-Q8.gguf")
    shutil.copy(demo.mmproj, folder / "mmproj-words-f16.gguf")
    return folder


def refusal(own: Registry, path_or_url: str | Path, **more: str) -> BadWish:
    before = own.all()
    with pytest.raises(BadWish) as caught:
        own.add(str(path_or_url), **more)
    assert own.all() == before
    assert caught.value.message
    return caught.value


def test_the_demo_is_there_and_is_nobodys_default(own: Registry) -> None:
    [demo] = own.all()

    assert demo.id == "demo" and demo.is_demo and "drawn shapes" in demo.label
    assert Path(demo.path).is_file() and Path(demo.mmproj).is_file()
    assert own.default() is None
    assert own.default("demo") == demo


def test_a_folder_a_file_and_a_server(own: Registry, pair: Path) -> None:
    folder = own.add(str(pair))
    file = own.add(str(pair / "words-Q8.gguf"))
    server = own.add("http://127.0.0.1:8080", model="qwen3-vl", api_key_env="MY_KEY")

    assert (folder.id, file.id, server.id) == ("my-model", "words-q8", "qwen3-vl")
    assert folder.path == file.path == str(pair / "words-Q8.gguf")
    assert folder.mmproj == str(pair / "mmproj-words-f16.gguf")
    assert folder.weights_sha256 == own.get(DEMO).weights_sha256
    assert folder.estimated_bytes > 2_000_000 and server.estimated_bytes == 0
    assert (server.url, server.on_server, folder.on_server) == ("http://127.0.0.1:8080/v1", True, False)
    assert Registry(pair.parent / "data").all() == own.all() == [own.get(DEMO), folder, file, server]
    assert own.default() == folder
    assert own.default("qwen3-vl") == server


def test_adding_it_again_changes_nothing(own: Registry, pair: Path) -> None:
    first = own.add(str(pair))

    assert own.add(str(pair)) == first
    assert len(own.all()) == 2


def test_a_taken_name_is_refused(own: Registry, pair: Path) -> None:
    own.add(str(pair), name="eyes")

    assert refusal(own, "http://127.0.0.1:1/v1", name="eyes").code == "MODEL_EXISTS"
    assert refusal(own, pair, name="demo").code == "MODEL_EXISTS"


def test_forgetting_keeps_the_files(own: Registry, pair: Path) -> None:
    own.add(str(pair))
    own.remove("my-model")

    assert [model.id for model in own.all()] == ["demo"]
    assert (pair / "words-Q8.gguf").exists()
    with pytest.raises(BadWish):
        own.remove("demo")
    with pytest.raises(Fatal):
        own.remove("my-model")


def test_an_unknown_model_names_those_there_are(own: Registry, pair: Path) -> None:
    own.add(str(pair))

    for call in (own.get, own.default, lambda name: own.describer(name, 1)):
        with pytest.raises(Fatal) as caught:
            call("llava")
        assert caught.value.code == "MODEL_UNKNOWN"
        assert "demo, my-model" in caught.value.hint


def test_a_missing_vision_part_names_the_candidates(own: Registry, pair: Path) -> None:
    (pair / "mmproj-words-f16.gguf").rename(pair / "eyes.gguf")
    error = refusal(own, pair / "words-Q8.gguf")

    assert error.code == "MODEL_NO_MMPROJ" and error.evidence["candidates"] == ["eyes.gguf"]
    assert own.add(str(pair / "words-Q8.gguf"), mmproj=str(pair / "eyes.gguf")).mmproj == str(pair / "eyes.gguf")


def test_two_vision_parts_are_one_too_many(own: Registry, pair: Path) -> None:
    shutil.copy(pair / "mmproj-words-f16.gguf", pair / "mmproj-other.gguf")
    error = refusal(own, pair)

    assert error.code == "MODEL_NO_MMPROJ"
    assert error.evidence["candidates"] == ["mmproj-other.gguf", "mmproj-words-f16.gguf"]


def test_what_is_no_model_is_refused(own: Registry, pair: Path, tmp_path: Path) -> None:
    (pair / "words-Q8.gguf").write_bytes(b"PK\x03\x04 and so on")
    empty = tmp_path / "empty"
    empty.mkdir()

    assert refusal(own, pair).code == "MODEL_NOT_GGUF"
    assert refusal(own, empty).code == "MODEL_NO_FILE"
    assert refusal(own, tmp_path / "nowhere.gguf").code == "MODEL_NO_FILE"
    assert refusal(own, pair / "mmproj-words-f16.gguf").code == "MODEL_NO_MMPROJ"
    assert refusal(own, "http://127.0.0.1/v1", name="Not A Name").code == "MODEL_NAME"
    assert refusal(own, "ftp://127.0.0.1/v1").code == "MODEL_URL"
    assert refusal(own, "http://me:secret@127.0.0.1/v1").code == "MODEL_URL"


def test_several_models_in_a_folder_are_named(own: Registry, pair: Path) -> None:
    shutil.copy(pair / "words-Q8.gguf", pair / "more.gguf")

    assert refusal(own, pair).evidence["candidates"] == ["more.gguf", "words-Q8.gguf"]


def test_a_changed_file_of_the_list_is_refused_not_lost(own: Registry, pair: Path) -> None:
    own.add(str(pair))
    listed = pair.parent / "data" / "models.json"
    listed.write_text("{half")

    with pytest.raises(Fatal) as caught:
        own.add("http://127.0.0.1:1/v1")

    assert caught.value.code == "WIRE_MALFORMED"
    assert listed.read_text() == "{half"


def test_the_right_describer_for_each(own: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    own.add("http://127.0.0.1:1/v1", name="far", api_key_env="FAR_KEY")

    assert isinstance(own.describer("demo", 1), LlamaCpp)
    with pytest.raises(Fatal) as caught:
        own.describer("far", 1)
    assert caught.value.code == "MODEL_AUTH" and "FAR_KEY" in caught.value.message
    monkeypatch.setenv("FAR_KEY", "key")
    far = own.describer("far", 1)
    assert isinstance(far, OpenAiHttp)
    far.close()
