"""Ctrl-C and SIGTERM: the current stage ends cleanly and all results are kept."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_SECONDS = 20.0
EXIT_CODE = 130


class RunInterruptedError(KeyboardInterrupt):
    """The run received a signal to stop; the log has all finished results.

    Like its parent it is not an ``Exception``, so that no handler of failures catches it.
    """


class Interruption:
    """A context in which SIGINT and SIGTERM request a clean end; a second signal ends the process at once.

    While a stage runs (``graceful`` is True) the first signal only sets ``requested``, which the stage's stopper reads.
    Outside of stages there is nothing to finish and the signal raises ``RunInterruptedError`` at once. A signal to a
    whole process group also ends Ray's processes, so the stage cannot end cleanly: after ``PATIENCE_SECONDS`` the
    process exits. No result is lost either way; finished results are in the log.

    Python handles signals in the main thread; a run in another thread is not interrupted by them.

    Args:
        resume_hint: printed when the process exits after ``PATIENCE_SECONDS``.
    """

    def __init__(self, resume_hint: str = "interrupted") -> None:
        self.requested = False
        self.graceful = False
        self._resume_hint = resume_hint
        self._previous: dict[int, Any] = {}
        self._patience: threading.Timer | None = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.getsignal(number) for number in SIGNALS}
        self.install()
        return self

    def install(self) -> None:
        """Installs the signal handlers (again, after a library has replaced one of them)."""
        for number in self._previous:
            signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        if self._patience is not None:
            self._patience.cancel()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if again or not self.graceful:
            raise RunInterruptedError(signal.Signals(number).name)
        self._patience = threading.Timer(PATIENCE_SECONDS, self._give_up)
        self._patience.daemon = True
        self._patience.start()

    def _give_up(self) -> None:
        print(self._resume_hint, file=sys.stderr, flush=True)
        os._exit(EXIT_CODE)
