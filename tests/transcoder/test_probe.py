"""Probing: the index is exact, and what cannot be used is refused in a sentence with a code."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from scripts.numbered import Numbered
from tests.transcoder.helpers import cut, encode, quiet
from vidprocme.core.errors import Cancelled, Fatal, Retryable
from vidprocme.transcoder import argv, ffmpeg
from vidprocme.transcoder.ffmpeg import Ffmpeg
from vidprocme.transcoder.probe import open_source, probe

F = Fraction
Maker = Callable[[str, Numbered], Path]
PLAIN = Numbered(frames=90, audio_start=F(0))


def refused(path: Path) -> Fatal:
    with pytest.raises(Fatal) as error:
        probe(path)
    assert error.value.message and error.value.hint
    return error.value


def test_the_index_names_every_picture(video: Maker) -> None:
    found = probe(video("p.mp4", PLAIN))

    base = found.index.time_base
    assert [pts * base for pts in found.index.pts] == [F(n, 30) for n in range(90)]
    assert list(found.index.keys) == [0, 30, 60] and found.index.end_pts * base == 3
    assert found.media.exact and found.media.damage == () and found.frames_decoded == 1
    assert found.media.video.codec == "h264" and found.media.audio is not None and found.media.audio.start == 0


def test_origin_is_the_earlier_of_picture_and_sound(video: Maker) -> None:
    late_picture = probe(video("a.mkv", Numbered(frames=30, start=F(2), audio_start=F(1))))
    late_sound = probe(video("b.mkv", Numbered(frames=30, start=F(1), audio_start=F(2))))

    assert late_picture.media.origin == 1 and late_picture.index.pts[0] == 2000
    assert late_sound.media.origin == 1 and late_sound.media.audio is not None
    assert late_sound.media.audio.start == 1


@pytest.mark.parametrize(("rotation", "size"), [(90, (180, 320)), (180, (320, 180)), (270, (180, 320))])
def test_sizes_are_as_shown(video: Maker, rotation: int, size: tuple[int, int]) -> None:
    turned = Numbered(frames=3, width_px=size[0], height_px=size[1], rotation=rotation)

    shown = probe(video("r.mp4", turned)).media.video

    assert (shown.width_px, shown.height_px, shown.rotation_deg) == (*size, rotation)
    assert (shown.coded_width_px, shown.coded_height_px) == (320, 180)


def test_progress_may_stop_it(video: Maker) -> None:
    def stop(_fraction: float) -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        probe(video("p.mp4", PLAIN), on_progress=stop)


def test_files_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()

    assert refused(tmp_path / "none.mp4").code == "FILE_MISSING"
    assert refused(tmp_path).code == "IS_A_DIRECTORY"
    assert refused(tmp_path / "empty.mp4").code == "EMPTY_FILE"


def test_files_that_are_no_videos(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("Dear diary, today I was not a video.\n" * 50)
    (tmp_path / "random.mp4").write_bytes(os.urandom(100_000))

    assert refused(tmp_path / "text.mp4").code == "NOT_A_VIDEO"
    assert refused(tmp_path / "random.mp4").code in ("NOT_A_VIDEO", "NO_FRAMES", "NO_VIDEO")


def test_sound_alone_is_no_video(tmp_path: Path, bundled: Ffmpeg) -> None:
    words = ["-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", "file:tone.mp4"]
    ffmpeg.run(bundled, words, scratch=tmp_path, duration_s=1, on_progress=quiet)

    error = refused(tmp_path / "tone.mp4")

    assert error.code == "NO_VIDEO" and "audio" in error.message


def test_an_mp4_cut_before_its_index_is_truncated(video: Maker, tmp_path: Path) -> None:
    data = video("p.mp4", PLAIN).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])

    assert refused(tmp_path / "cut.mp4").code == "TRUNCATED"


def test_a_cut_tail_still_gives_its_pictures(video: Maker, tmp_path: Path, tool: Ffmpeg) -> None:
    source = video("first.mp4", Numbered(frames=90, container_options=(("movflags", "+faststart"),)))
    data = source.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])

    found = probe(tmp_path / "cut.mp4")
    piece = cut(found.index, keys_each=100)[0]
    result = encode(tool, tmp_path / "cut.mp4", found, piece, (), tmp_path / "out")

    assert 0 < found.media.frames < 90 and found.media.damage
    assert result.frames


@pytest.mark.parametrize("kind", ["concat", "hls"])
def test_scripts_that_name_other_files_are_refused(kind: str, video: Maker, tmp_path: Path, tool: Ffmpeg) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(video("s.ts", Numbered(frames=30)).read_bytes())
    trap = tmp_path / "trap.mp4"
    if kind == "concat":
        trap.write_text(f"ffconcat version 1.0\nfile '{secret.name}'\nduration 1\n")
    else:
        trap.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret.name}\n#EXT-X-ENDLIST\n")

    assert refused(trap).code == "NOT_A_VIDEO"
    with pytest.raises(Fatal):
        open_source(trap)
    with pytest.raises(Retryable) as closed:
        words = [*argv.source(trap, threads=1), "-c", "copy", "-f", "mpegts", "file:stolen.ts"]
        ffmpeg.run(tool, words, scratch=tmp_path, duration_s=1, on_progress=quiet)
    assert closed.value.code == "FFMPEG_FAILED" and not (tmp_path / "stolen.ts").exists()
    if kind == "concat":  # the trap is a real one: without the whitelist it gives the other file away
        with av.open(str(trap), format="concat") as open_door:
            assert open_door.streams.video
