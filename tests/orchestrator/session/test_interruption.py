"""Signals request a clean end, in the thread that Python gives them to."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from taurank.orchestrator.session import Interruption, RunInterruptedError


def test_a_signal_outside_of_stages_ends_at_once_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RunInterruptedError, match="SIGINT"), Interruption():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_handles_no_signals() -> None:
    before, found = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with Interruption() as interruption:
            interruption.install()
            found.append(interruption.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
    assert signal.getsignal(signal.SIGINT) is before
