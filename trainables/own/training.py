"""One training by the user's own code, stepped through by epochs, with a state that it can be continued from."""

from __future__ import annotations

import io
import math
import numbers
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from taurank.trainables.own.code import OwnCodeError

EPOCH = "epoch"
"""Key of the metrics for the number of the epoch, which is checked where it is given."""


class _Steps(Protocol):
    """A generator or an object of a class, as a training uses it."""

    def next(self) -> object: ...
    def save(self, epoch: int) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def load(self, state: Mapping[str, Any], saved: int) -> None: ...
    def close(self) -> None: ...
    @property
    def saved(self) -> int: ...
    @property
    def unsaved(self) -> str: ...


class OwnTraining:
    """The training of one candidate by a generator or a class.

    A generator is called as ``train(candidate, epochs=, seed=, device=, checkpoint=)`` and yields a mapping of metrics
    per epoch. ``checkpoint`` is a folder. What the generator has written there when it yields is kept; when it is
    started again the folder has the same files, and it continues after the epoch that they are of. A class is called
    as ``Class(candidate, epochs=, seed=, device=)``; each ``step()`` trains an epoch and returns its metrics.

    Epochs since the last state that was kept are trained again after a restart, and their metrics are ignored.

    Args:
        code: the function or class.
        candidate: name or options.
        epochs: length of the schedule.
        seed: passed on; the random generators of Python, NumPy and torch begin with it, too.
        device: ``cpu`` or ``cuda``.
        metric: that every epoch must have.

    Attributes:
        epoch: epochs done.
        spent: epochs that the last step took: more than one where lost ones were trained again.
    """

    def __init__(
        self, code: Callable[..., Any], candidate: object, *, epochs: int, seed: int, device: str, metric: str
    ) -> None:
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - of code that uses it
        torch.manual_seed(seed)
        self._epochs, self._metric = epochs, metric
        arguments = {"epochs": epochs, "seed": seed, "device": device}
        self._steps: _Steps = (
            _OfClass(code(candidate, **arguments))
            if isinstance(code, type)
            else _OfGenerator(lambda folder: code(candidate, **arguments, checkpoint=folder), epochs)
        )
        self._first: int | None = None  # what the code calls its first epoch, 0 or 1
        self._lost = 0
        self.epoch = 0
        self.spent = 0.0

    @property
    def trained(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self._epochs

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.trained

    @property
    def unsaved(self) -> str:
        """Why it cannot be continued from here; empty where it can."""
        return self._steps.unsaved

    def step_epoch(self) -> dict[str, float]:
        """Trains an epoch; returns its metrics that are numbers.

        Raises:
            OwnCodeError: The code does not keep to its interface, or its metric is not finite.
            Exception: Any that the code raises.
        """
        self.spent = float(self._lost + 1)
        for epoch in range(self.epoch - self._lost + 1, self.epoch + 1):
            self._metrics_of(epoch)
        self._lost = 0
        metrics = self._metrics_of(self.epoch + 1)
        self.epoch += 1
        return metrics

    def _metrics_of(self, epoch: int) -> dict[str, float]:
        found = self._steps.next()
        metrics = check_metrics(found, self._metric, epoch=epoch)
        self._check_number(found, epoch)  # type: ignore[arg-type]
        self._steps.save(epoch)
        return metrics

    def _check_number(self, found: Mapping[str, object], epoch: int) -> None:
        """Compares the number that the code gives an epoch with how many there have been.

        Raises:
            OwnCodeError: They differ.
        """
        number = _as_float(found.get(EPOCH))
        if number is None:
            return
        if self._first is None and number in (epoch - 1, epoch):
            self._first = int(number) - epoch + 1
        if self._first is not None and number == self._first + epoch - 1:
            return
        raise OwnCodeError(
            f"epoch is {number:g} in the metrics of epoch {epoch}: yield once per epoch, not per step, number epochs "
            "from 1 (or 0), and after a restart go on after the epoch of the checkpoint"
        )

    def state_dict(self) -> dict[str, Any]:
        """State to continue from, loadable with ``weights_only=True``."""
        code = self._steps.state()
        return {"epoch": self.epoch, "saved": self._steps.saved, "first": self._first, "code": code}

    def weights(self) -> dict[str, Any] | None:
        """The files of the checkpoint folder, or the state of the object; None if there is none of this epoch."""
        return self._steps.state() if self._steps.saved == self.epoch and not self._steps.unsaved else None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of `state_dict`."""
        self.epoch, self._first = int(state["epoch"]), state["first"]
        self._lost = self.epoch - int(state["saved"])
        self._steps.load(state["code"], int(state["saved"]))

    def close(self) -> None:
        """Ends the code, which may have files and processes open."""
        self._steps.close()


class _OfGenerator:
    """A generator and its checkpoint folder, whose files are kept as they were after a whole epoch."""

    def __init__(self, start: Callable[[Path], object], epochs: int) -> None:
        self._start, self._epochs = start, epochs
        self._iterator: Iterator[object] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="taurank-checkpoint-", ignore_cleanup_errors=True)
        self._written: frozenset[tuple[str, int, int]] = frozenset()
        self._files: dict[str, torch.Tensor] = {}
        self._done = 0
        self.saved = 0

    def next(self) -> object:
        if self._iterator is None:
            found = self._start(Path(self._folder.name))
            if not isinstance(found, Iterator):
                raise OwnCodeError(
                    f"the trainable returns {type(found).__name__}, not an iterator; let it yield a dict of metrics "
                    "per epoch"
                )
            self._iterator = found
        try:
            return next(self._iterator)
        except StopIteration:
            if not self._done:
                raise OwnCodeError(
                    "the trainable yields nothing; it has to yield a dict of metrics per epoch"
                ) from None
            raise OwnCodeError(
                f"the trainable ends after epoch {self._done} of {self._epochs}; it has to yield a dict for each"
            ) from None

    def save(self, epoch: int) -> None:
        self._done = epoch
        written = frozenset(
            (str(file.relative_to(self._folder.name)), found.st_size, found.st_mtime_ns)
            for file in Path(self._folder.name).rglob("*")
            if file.is_file() and (found := file.stat())
        )
        if written == self._written:
            return
        self._written, self.saved = written, epoch if written else 0
        self._files = {name: _read(Path(self._folder.name, name)) for name, _, _ in sorted(written)}

    def state(self) -> dict[str, Any]:
        return {"files": self._files}

    def load(self, state: Mapping[str, Any], saved: int) -> None:
        for name, content in state["files"].items():
            file = Path(self._folder.name, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.numpy().tobytes())
        self.save(saved)
        self.saved = saved

    def close(self) -> None:
        with suppress(Exception):
            close = getattr(self._iterator, "close", None)
            if close is not None:
                close()
        self._folder.cleanup()

    @property
    def unsaved(self) -> str:
        if self.saved:
            return ""
        return (
            "the trainable has written nothing to its checkpoint folder, so that a training which is paused or loses "
            "its worker starts over"
        )


class _OfClass:
    """An object with ``step``, ``state_dict`` and ``load_state_dict``."""

    def __init__(self, trained: Any) -> None:
        self._trained = trained
        self._is_safe = False
        self.saved = 0
        self.unsaved = ""

    def next(self) -> object:
        return self._trained.step()

    def save(self, epoch: int) -> None:
        self.saved = 0 if self.unsaved else epoch

    def state(self) -> dict[str, Any]:
        if self.unsaved:
            return {}
        state = self._trained.state_dict()
        if not self._is_safe:
            self.unsaved = _why_unsafe(state)
            self._is_safe = not self.unsaved
        if self.unsaved:
            self.saved = 0
            return {}
        return {"own": state}

    def load(self, state: Mapping[str, Any], saved: int) -> None:
        if "own" in state:
            self._trained.load_state_dict(state["own"])
        self.saved = saved

    def close(self) -> None:
        self._trained = None


def check_metrics(found: object, metric: str, *, epoch: int) -> dict[str, float]:
    """The metrics of an epoch that are numbers.

    Raises:
        OwnCodeError: No mapping, or the metric is missing, not a number or not finite.
    """
    if not isinstance(found, Mapping):
        raise OwnCodeError(f"epoch {epoch} gives {type(found).__name__}, not a dict of metrics")
    if metric not in found:
        there = ", ".join(map(str, found)) or "nothing"
        raise OwnCodeError(f"epoch {epoch} has no {metric!r}, by which candidates are ranked; it has {there}")
    value = _as_float(found[metric])
    if value is None:
        raise OwnCodeError(f"{metric} is {found[metric]!r} after epoch {epoch}, which is not a number")
    if not math.isfinite(value):
        raise OwnCodeError(f"{metric} is {value} after epoch {epoch}")
    known = {str(name): _as_float(one) for name, one in found.items() if name != EPOCH}
    return {name: one for name, one in known.items() if one is not None}


def _as_float(value: object) -> float | None:
    """A number of Python, NumPy or torch; None for anything else."""
    if isinstance(value, np.ndarray | torch.Tensor):
        value = value.item() if math.prod(value.shape) == 1 else None
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        return None
    return float(value)


def _read(file: Path) -> torch.Tensor:
    return torch.from_numpy(np.fromfile(file, dtype=np.uint8))


def _why_unsafe(state: object) -> str:
    """Why a state cannot be loaded without unpickling objects of any class; empty where it can."""
    file = io.BytesIO()
    try:
        torch.save(state, file)
        file.seek(0)
        torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # half a dozen types
        return (
            "state_dict() of the trainable has more than tensors, numbers, text, bytes, lists and dicts of these, so "
            "that a training which is paused or loses its worker starts over"
        )
    return ""
