"""Ctrl-C and SIGTERM: the stage in flight ends cleanly and everything is kept."""

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
    """The run was asked to stop; the log holds all that was finished.

    No ``Exception``, like its parent: nobody on the way may take it for a failure of theirs.
    """


class Interruption:
    """A context within which SIGINT and SIGTERM ask for a clean end; a second one ends at once.

    While a stage runs (``graceful`` is True) the first signal only sets ``requested``, which the stage's stopper reads.
    Outside of stages there is nothing to wind down and the signal raises ``RunInterruptedError`` on the spot. A signal
    to a whole process group takes Ray's own processes too, and then nobody is left to wind down with: after
    ``PATIENCE_SECONDS`` the process ends by itself. Nothing is lost either way; what is finished is in the log.

    Args:
        last_line: printed when the process has to end by itself.
    """

    def __init__(self, last_line: str = "interrupted") -> None:
        self.requested = False
        self.graceful = False
        self._last_line = last_line
        self._previous: dict[int, Any] = {}
        self._patience: threading.Timer | None = None

    def __enter__(self) -> Interruption:
        for number in SIGNALS:
            self._previous[number] = signal.getsignal(number)
        self.install()
        return self

    def install(self) -> None:
        """Takes the signals (again, after a library has taken one of them for itself)."""
        for number in SIGNALS:
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
        print(self._last_line, file=sys.stderr, flush=True)
        os._exit(EXIT_CODE)
