"""Base class of the Ray Tune trials.

Thin adapters over code without Ray. Those of supernets are in `supernet_trials`, the one that scores untrained networks
in `proxy_trial`.

A trial keeps its own checkpoint: one file, replaced after every epoch, that holds the state and every row reported so
far. A trial that starts over, for whatever reason (another worker, a resumed run, a pause), first reports the rows of
that file again and then continues. So a scheduler always sees whole curves, the log ignores what it has already, and
nothing is trained twice.

A result holds, beside what Tune adds: ``trial``, ``epoch``, ``validation_accuracy`` (NaN where there is none; another
metric for training code of the user's own),
``train_loss`` in nats where the training of one architecture has it, ``evidence`` as tuples of architecture, epoch,
metric, value, seconds and epoch-equivalents, ``outcome`` (``completed``, ``failed`` or empty while the trial runs),
``reason``, ``taken_from`` (the run and stage that trained, where this one did not; see `kept_results`), ``unsaved``
(why the state could not be kept; empty where it was) and ``done``.
"""

from __future__ import annotations

import gc
import json
import math
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import cv2
import torch
from ray import tune

from taurank.trainables.data import ImageData
from taurank.trainables.own import OwnCode
from taurank.trainables.proxies import ProxyBatch
from taurank.trainables.table import RecordedTable
from taurank.trainables.training import describe_failure, describe_lost_images, gpu_is_lost
from taurank.trainables.trials.checkpoint_file import Saved, read_checkpoint, write_checkpoint, write_tensors
from taurank.trainables.trials.kept_results import keep_result, read_result
from taurank.trainables.trials.spec import TrialSpec

POINTER = "reported.json"

EvidenceRow: TypeAlias = tuple[str, int, str, float, float, float]
"""Architecture (empty for what all candidates share), epoch, metric, value, seconds, epoch-equivalents."""


class _Work(Protocol):
    """Interface of a training as a trial uses it."""

    @property
    def epoch(self) -> int: ...
    @property
    def spent(self) -> float: ...
    @property
    def trained(self) -> bool: ...
    @property
    def finished(self) -> bool: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class CheckpointedTrial(tune.Trainable):  # type: ignore[misc]
    """Rows, checkpoint, outcomes, and reuse of the worker by the next trial.

    Attributes:
        keeps_state: whether the state of a complete training is kept: others start from it.
    """

    keeps_state = False

    def setup(
        self,
        config: dict[str, Any],
        specs: Mapping[str, TrialSpec],
        data: ImageData | ProxyBatch | RecordedTable | OwnCode,
        stage: str = "",
        weights: Mapping[str, Any] | None = None,
    ) -> None:
        """Keeps what all trials of a worker are given, and starts the first one."""
        self._specs, self._stage = specs, stage
        self._data: Any = data
        self._weights = weights
        self._warm_up()
        self._start(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes up another trial in the same worker."""
        self._release()
        self._start(new_config)
        return True

    def _warm_up(self) -> None:
        """Does what a process does once: that is the start of a worker, not a cost of its first candidate."""
        with suppress(RuntimeError):  # if the device does not answer, the trial will meet that too
            weight = torch.nn.Parameter(torch.zeros(1, device=self._device))
            torch.optim.SGD([weight])  # torch imports a second's worth of modules with the first optimiser

    def _start(self, config: dict[str, Any]) -> None:
        """Takes up a trial, which is set up with its first result.

        Tune does not call the trial running yet: it would give up a trial whose worker dies here, and would not detect
        one that hangs.
        """
        self._spec = self._specs[config["trial"]]
        print(f"{self._stage}: {self._spec.label}", file=sys.stderr)  # the worker's log, which the dashboard shows
        self._rows: list[dict[str, Any]] = []
        self._taken_from = self._unsaved = ""
        self._reported = 0
        self._work: _Work | None = None
        self._failure: dict[str, Any] | None = None
        self._is_set_up = False

    def _set_up(self) -> None:
        """Reads the checkpoint and builds the network; an error becomes the outcome of the trial."""
        self._is_set_up = True
        self._started = time.perf_counter()
        self._take_share()
        try:
            self._prepare()
        except Exception as error:
            epoch = 1 + (self._rows[-1]["epoch"] if self._rows else 0)
            self._fail(error, doing="set up", epoch=epoch, epochs=0.0)
        if self._failure is not None:
            self._release()
        self._unbooked_seconds = time.perf_counter() - self._started

    def _take_share(self) -> None:
        """As many threads as the trial has cores: by themselves libraries take a thread for each core there is."""
        if self.trial_resources is not None:
            threads = max(1, int(self.trial_resources.required_resources.get("CPU", 1)))
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)

    def _prepare(self) -> None:
        saved = self._read_checkpoint()
        kept = None
        if saved is None and self._spec.kept:
            wanted = self._spec.until or self._spec.recipe.epochs
            kept = read_result(Path(self._spec.kept), trial=self._spec.trial, epochs=wanted)
            self._taken_from = "" if kept is None or kept.run == self._stage else kept.run
        if saved is not None:
            self._rows = saved.rows
        elif kept is not None:
            self._rows = kept.rows
        if self._spec.last_epoch is not None:
            self._rows = [row for row in self._rows if row["epoch"] <= self._spec.last_epoch]
            return
        if kept is not None or (saved is not None and saved.state is None):
            return
        self._work = self._make()
        if saved is None or saved.state is None:
            return
        try:
            self._work.load_state_dict(saved.state)
        except Exception:  # a state that is not the one of this network: as good as none
            self._rows, self._work = [], self._make()

    def step(self) -> dict[str, Any]:
        """Returns the next result, from the checkpoint or new."""
        if not self._is_set_up:
            self._set_up()
        if self._reported == len(self._rows) and self._work is not None:
            self._go_on()
        if self._reported < len(self._rows):
            row = self._rows[self._reported]
            self._reported += 1
            more = {"taken_from": self._taken_from, "unsaved": self._unsaved}
            return row | {"done": row["outcome"] == "completed"} | more
        if self._failure is not None:
            return self._failure
        # The rows of a trial that ended earlier are reported; its outcome is in the log already.
        return {"trial": self._spec.trial, "epoch": self._spec.last_epoch, "evidence": [], "done": True}

    def _go_on(self) -> None:
        """Adds a row, or a failure."""
        assert self._work is not None
        # The first row includes the set-up; time spent waiting for Tune is not counted.
        self._started = time.perf_counter() - self._unbooked_seconds
        self._unbooked_seconds = 0.0
        scoring = self._work.trained
        try:
            row = self._advance()
        except Exception as error:
            epoch = self._work.epoch + (not scoring)
            self._fail(error, doing="scored" if scoring else "trained", epoch=epoch, epochs=self._work.spent)
        if self._failure is not None:
            # Not in the handler: as long as there is an error, its traceback keeps the memory of the step in use.
            self._release()
            return
        row |= {"trial": self._spec.trial, "outcome": "completed" if self._completed(self._work) else "", "reason": ""}
        self._rows.append(row)
        self._write_checkpoint()
        if self._spec.best:
            self._keep_best()
        if self._spec.kept and row["outcome"] == "completed":
            keep_result(Path(self._spec.kept), run=self._stage, rows=self._rows)

    def _completed(self, work: _Work) -> bool:
        until = self._spec.until
        return work.finished or (until is not None and work.epoch >= until)

    def _fail(self, error: Exception, *, doing: str, epoch: int, epochs: float) -> None:
        """Makes the error the trial's outcome: recorded, not retried, and no harm to the others."""
        if gpu_is_lost() or self._images_are_gone:
            raise error  # This worker would fail every later trial too; Tune replaces it and repeats this one.
        self._failure = {
            "trial": self._spec.trial,
            "epoch": epoch,
            self._spec.metric: float("nan"),
            "evidence": [self._failed_row(epoch, self._seconds, epochs)],
            "outcome": "failed",
            "reason": self._reason_of(error, doing),
            "done": True,
        }

    def _reason_of(self, error: Exception, doing: str) -> str:
        """Why the trial failed, in one line."""
        return describe_failure(error, doing=doing)

    @property
    def _images_are_gone(self) -> bool:
        return isinstance(self._data, ImageData) and bool(describe_lost_images(self._data.file))

    @property
    def _seconds(self) -> float:
        """Seconds since the last row that belong to this trial."""
        return time.perf_counter() - self._started

    @property
    def _device(self) -> str:
        # A trial without a share of a GPU keeps off it, even if it can be seen.
        has_share = self.trial_resources is None or self.trial_resources.required_resources.get("GPU", 0) > 0
        return "cuda" if has_share and torch.cuda.is_available() else "cpu"

    def _make(self) -> _Work:
        """The training, at its beginning."""
        raise NotImplementedError

    def _advance(self) -> dict[str, Any]:
        """The next result: ``epoch``, ``validation_accuracy`` and ``evidence``."""
        raise NotImplementedError

    def _failed_row(self, epoch: int, seconds: float, epochs: float) -> EvidenceRow:
        """Row without a value that carries the cost of a failure."""
        raise NotImplementedError

    def _read_checkpoint(self) -> Saved | None:
        saved = read_checkpoint(Path(self._spec.checkpoint), self._spec.fingerprint)
        if saved is None or saved.state is not None:
            return saved
        # Rows without a state are enough for a training that has ended; another one can't go on from them.
        ended = self._spec.last_epoch is not None or (saved.rows and saved.rows[-1]["outcome"])
        return saved if ended else None

    def _write_checkpoint(self) -> None:
        """Writes the rows and the state. Where that fails (as on a full disk) the trial continues."""
        assert self._work is not None
        needed = self.keeps_state or not self._rows[-1]["outcome"]
        saved = Saved(self._rows, self._work.state_dict() if needed else None)
        self._unsaved = write_checkpoint(Path(self._spec.checkpoint), self._spec.fingerprint, saved)

    def _keep_best(self) -> None:
        """Writes the weights of an epoch that is better than all before it."""
        name, sign = self._spec.metric, -1.0 if self._spec.lower_is_better else 1.0
        values = [sign * row.get(name, math.nan) for row in self._rows]
        known = [value for value in values[:-1] if math.isfinite(value)]
        weights = self._weights_now()
        if weights is None or not math.isfinite(values[-1]) or (known and values[-1] <= max(known)):
            return
        file, row = Path(self._spec.best), self._rows[-1]
        with suppress(OSError):  # the writing below gives the reason
            file.parent.mkdir(parents=True, exist_ok=True)
        found = {"candidate": self._spec.architectures[0], "trial": self._spec.trial, "epoch": row["epoch"]}
        self._unsaved = write_tensors(file, found | {name: row[name], "weights": weights}) or self._unsaved

    def _weights_now(self) -> dict[str, Any] | None:
        """The weights of the training, in tensors; None where it has none."""
        return None

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes the number of reported rows; all else is in the trial's own file."""
        Path(checkpoint_dir, POINTER).write_text(json.dumps(self._reported))

    def load_checkpoint(self, checkpoint: str | dict[str, Any] | None) -> None:
        """Skips the rows that were reported before."""
        self._set_up()
        reported = int(json.loads(Path(str(checkpoint), POINTER).read_text()))
        # The row that ends a trial is reported again if need be: without it Tune would ask for another one.
        ended = bool(self._rows) and self._rows[-1]["outcome"] == "completed"
        self._reported = min(reported, len(self._rows) - ended)

    def cleanup(self) -> None:
        """Frees memory."""
        self._release()

    def _release(self) -> None:
        self._work = None
        # Without a GPU memory is freed anyway, and a collection takes as long as a short epoch.
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            gc.collect()
            torch.cuda.empty_cache()

    def __repr__(self) -> str:
        # Ray reads it once per worker, and workers are reused: the names of its tasks say what it trains now.
        return f"{self._stage} worker: see its tasks"
