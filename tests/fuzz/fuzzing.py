"""What the fuzz tests share: damaged files, hostile pickles, and what counts as an answer to them.

The cases are the same each time; see `conftest.py` for how to draw others.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st

SECONDS = {signal.ITIMER_PROF: 10, signal.ITIMER_REAL: 120}
"""Of the processor and of the clock. A file of a few kilobytes takes milliseconds; longer than this is a hang."""
LONGEST = 5000
"""Characters of a message: more is no line that somebody reads."""

Found = TypeVar("Found")


def answer(read: Callable[[], Found], *refusals: type[Exception], lines: int = 1) -> Found | None:
    """What ``read`` gives, or None where it refuses with one of these errors in so many lines; else the test fails."""
    with _time_limit():
        try:
            return read()
        except refusals as error:
            text = str(error)
    assert text.strip()
    assert len(text.splitlines()) <= lines, text
    assert len(text) <= LONGEST * lines, text
    return None


@contextmanager
def _time_limit() -> Iterator[None]:
    def give_up(number: int, frame: Any) -> None:
        raise AssertionError("no answer in time")

    before = {number: signal.signal(number, give_up) for number in (signal.SIGPROF, signal.SIGALRM)}
    for timer, seconds in SECONDS.items():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer in SECONDS:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """A file with a few of its bytes changed, cut out, doubled or put in, or cut short."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        width = draw(st.integers(1, 16))
        match draw(st.sampled_from(["change", "put in", "cut out", "double", "extreme", "end"])):
            case "change":
                content[place : place + width] = draw(st.binary(min_size=width, max_size=width))
            case "put in":
                content[place:place] = draw(st.binary(min_size=1, max_size=16))
            case "cut out":
                del content[place : place + width]
            case "double":
                content[place:place] = content[place : place + 20 * width]
            case "extreme":
                content[place : place + width] = draw(st.sampled_from([b"\x00", b"\xff", b"\x7f", b"\x80"])) * width
            case "end":
                del content[place:]
    return bytes(content)


class Payload:
    """Something that makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def hostile_pickle(marker: Path) -> bytes:
    """A pickle that makes ``marker`` when it is loaded."""
    return pickle.dumps(Payload(marker))
