"""Ctrl-C and SIGTERM: the stage in flight ends cleanly and everything is kept."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RunInterruptedError(Exception):
    """The run was asked to stop; the log holds all that was finished."""


class Interruption:
    """A context within which SIGINT and SIGTERM ask for a clean end; a second one ends at once.

    While a stage runs (``graceful`` is True) the first signal only sets ``requested``, which the stage's stopper reads.
    Outside of stages there is nothing to wind down and the signal raises ``RunInterruptedError`` on the spot.
    """

    def __init__(self) -> None:
        self.requested = False
        self.graceful = False
        self._previous: dict[int, Any] = {}

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
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if again or not self.graceful:
            raise RunInterruptedError(signal.Signals(number).name)
