"""What a stranger's file may not do: name another file, reach the network, or use more than its limits.

The protocol whitelist alone does not protect: an HLS playlist or a concat script renamed .mp4 reads any local file
through it. The demuxer whitelist does, and stands on every open, in ffmpeg and in PyAV alike.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass

# Demuxers that open nothing but the file they are given. Left out on purpose: concat, hls, dash, image2 (patterns name
# other files), lavfi, and every device.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,asf,ogg,gif,ivf,h264,hevc,m4v,mpegvideo,av1,obu,"
    "mxf,rm,swf,nut,wtv,dv,wav,mp3,aac,flac,w64,caf,aiff,amr,ac3"
)
PROTOCOLS = "file"
MAX_SIDE_PX = 16_384
MAX_PIXELS = MAX_SIDE_PX * MAX_SIDE_PX
MAX_STREAMS = 64

# For av.open(options=...). mov's external references (drefs) stay off, which is libav's default, said aloud.
OPEN_OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": PROTOCOLS, "enable_drefs": "0"}

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec a child may not import or look anything up.
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one ffmpeg process may use. 0 leaves a limit as it is."""

    files: int = 256  # open descriptors
    file_bytes: int = 256 << 30  # the largest file it may write


DEFAULT = Limits()


def before_exec(limits: Limits = DEFAULT) -> Callable[[], None]:
    """What a child does between fork and exec: no core file, limits, and death with the thread that started it.

    The death signal belongs to the *thread* that forks; whoever starts a child must stay until it ended (`run` does).
    """
    parent = os.getpid()
    wanted = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
    ]
    settings: list[tuple[int, tuple[int, int]]] = []
    for which, value in wanted:
        if value == 0 and which != resource.RLIMIT_CORE:
            continue
        hard = resource.getrlimit(which)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        settings.append((which, (least, least)))

    def prepare() -> None:
        for which, pair in settings:
            resource.setrlimit(which, pair)
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # the parent died before the signal was armed
                os.kill(os.getpid(), signal.SIGKILL)

    return prepare
