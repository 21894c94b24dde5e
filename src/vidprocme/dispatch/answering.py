"""Answers, worked out in a thread of their own: a beat that waited for one would be late, and the pool look dead."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from vidprocme.core.errors import VidprocmeError
from vidprocme.core.ids import JobId

LOG = logging.getLogger("vidprocme.dispatch.answers")
LOOK_S = 60.0  # nothing comes of it but that no wait is for ever


class Answering:
    """`hear` what was asked, with each beat."""

    def __init__(self, work: Callable[[Sequence[JobId]], None]) -> None:
        """
        Args:
            work: works out what there is to be said of these jobs (Answers.hear); called from the thread, one call at a time. What it raises
                is logged.
        """
        self._work = work
        self._jobs: tuple[JobId, ...] = ()  # as was heard last; replaced, never changed
        self._heard, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)

    @property
    def are_asked(self) -> bool:
        """Does somebody look at a job that waits, whoever serves it?"""
        return bool(self._jobs)

    def hear(self, jobs: Sequence[JobId]) -> None:
        """Of these jobs somebody asked lately; returns at once."""
        before, self._jobs = self._jobs, tuple(jobs)
        if jobs or before:
            self._heard.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait_s: float = 2.0) -> None:
        """No answer is begun any more; one that is being worked out is waited for this long, and ends with the process otherwise."""
        self._over.set()
        self._heard.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    def _run(self) -> None:
        told = ""  # the trouble that was last logged
        while not self._over.is_set():
            self._heard.wait(LOOK_S)
            self._heard.clear()
            if self._over.is_set():
                return
            try:
                self._work(self._jobs)
                told = ""
            except Exception as error:  # whoever asks is told less; the pool works
                if self._over.is_set():
                    return
                code = error.code if isinstance(error, VidprocmeError) else type(error).__name__
                if code != told:
                    fault = None if isinstance(error, VidprocmeError) else error
                    LOG.warning("jobs that wait are not answered for: %s", error, extra={"code": code}, exc_info=fault)
                told = code
