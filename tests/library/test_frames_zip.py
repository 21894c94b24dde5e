from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidprocme.core.errors import Fatal
from vidprocme.library import frames_zip


def _frames(folder: Path, count: int) -> list[tuple[str, Path]]:
    folder.mkdir()
    frames = []
    for number in reversed(range(count)):
        path = folder / f"f{number:06d}.jpg"
        path.write_bytes(bytes([number]) * (number + 1))
        frames.append((path.name, path))
    return frames


def test_frames_come_back_in_order_and_byte_for_byte(tmp_path: Path) -> None:
    frames = _frames(tmp_path / "f", 50)

    frames_zip.pack(frames, tmp_path / "frames.zip")

    expected = [(name, path.read_bytes()) for name, path in frames]
    assert frames_zip.read(tmp_path / "frames.zip") == expected
    assert frames_zip.read((tmp_path / "frames.zip").read_bytes()) == expected
    assert frames_zip.read_one(tmp_path / "frames.zip", "f000007.jpg") == bytes([7]) * 8
    assert frames_zip.read_one(tmp_path / "frames.zip", "nobody.jpg") is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "frames.zip"]


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    frames = _frames(tmp_path / "f", 5)
    frames_zip.pack(frames, tmp_path / "one.zip")
    for number, (_, path) in enumerate(frames):
        os.utime(path, (number * 1000, number * 1000))
        path.chmod(0o600)

    frames_zip.pack(frames, tmp_path / "two.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_frames_are_not_compressed(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0" * 10_000)
    frames_zip.pack([("a.jpg", path)], tmp_path / "z")
    assert (tmp_path / "z").stat().st_size > 10_000


def test_no_frames_are_an_empty_zip(tmp_path: Path) -> None:
    frames_zip.pack([], tmp_path / "z")
    assert frames_zip.read(tmp_path / "z") == []


def test_two_frames_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    with pytest.raises(ValueError, match="same name"):
        frames_zip.pack([("a", path), ("a", path)], tmp_path / "z")
    assert not (tmp_path / "z").exists()


def test_a_missing_frame_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        frames_zip.pack([("a", tmp_path / "nobody")], tmp_path / "z")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 10, 100, -1])
def test_a_truncated_zip_says_so(tmp_path: Path, cut: int) -> None:
    frames_zip.pack(_frames(tmp_path / "f", 5), tmp_path / "z")
    data = (tmp_path / "z").read_bytes()[:cut]
    with pytest.raises(Fatal) as caught:
        frames_zip.read(data)
    assert caught.value.code == "FRAMES_BROKEN"


def test_a_flipped_byte_says_so(tmp_path: Path) -> None:
    frames_zip.pack(_frames(tmp_path / "f", 5), tmp_path / "z")
    data = bytearray((tmp_path / "z").read_bytes())
    data[45] ^= 0xFF  # inside the first frame
    with pytest.raises(Fatal) as caught:
        frames_zip.read(bytes(data))
    assert caught.value.code == "FRAMES_BROKEN"
