"""For every room: property tests are judged by what they find, not by how long a busy machine took over an example; and a run
that was put into the background by a shell, which lets it ignore Ctrl-C, starts processes that do not."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
