"""The Ray Tune trials: one architecture being trained, or one supernet. Thin adapters over code that knows no Ray.

A trial keeps its own checkpoint: one file, replaced after every epoch, that holds the state and every row reported so
far. A trial that starts over, for whatever reason (another worker, a resumed run, a pause), first reports the rows of
that file again and then goes on. So a scheduler always sees whole curves, the log ignores what it has already, and
nothing is trained twice.
"""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from ray import tune

from spaces import get_space
from trainables.data import ImageData
from trainables.recipe import Recipe
from trainables.supernet import SupernetConfig, SupernetTraining, make_sampler, make_supernet
from trainables.training import NonFiniteLossError, Training

POINTER = "reported.json"


@dataclass(frozen=True)
class TrialSpec:
    """What one trial does; travels to the worker through the object store, so it may be large.

    Attributes:
        trial: key of the trial in the evidence log.
        label: a short name for people.
        space: name of the search space.
        space_options: the options it is made with.
        recipe: how to train; its ``epochs`` are the trial's.
        seed: of the training.
        checkpoint: file that the trial keeps its state in; every node has to see it.
        architectures: the one to train, or all that a supernet scores.
        supernet: settings of a supernet trial.
        last_epoch: when given, report what is on file up to this epoch and end; nothing is trained.
    """

    trial: str
    label: str
    space: str
    space_options: Mapping[str, Any]
    recipe: Recipe
    seed: int
    checkpoint: str
    architectures: tuple[str, ...]
    supernet: SupernetConfig | None = None
    last_epoch: int | None = None


@dataclass
class _Progress:
    """Rows on file and how many of them have been reported."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    reported: int = 0


class _Work(Protocol):
    """What a trial needs of a training."""

    @property
    def finished(self) -> bool: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class _CheckpointedTrial(tune.Trainable):  # type: ignore[misc]
    """What all trials share: rows, checkpoint, outcomes, reuse of the worker by the next trial."""

    def setup(self, config: dict[str, Any], specs: Mapping[str, TrialSpec], data: ImageData, stage: str = "") -> None:
        self._specs, self._data, self._stage = specs, data, stage
        self._first_label = specs[config["trial"]].label
        self._start(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._release()
        self._start(new_config)
        return True

    def _start(self, config: dict[str, Any]) -> None:
        """Prepares a trial; whatever goes wrong becomes the trial's outcome, since raising here would lose it."""
        self._started = time.perf_counter()
        self._spec = self._specs[config["trial"]]
        self._progress = _Progress()
        self._failure: dict[str, Any] | None = None
        self._work: _Work | None = None
        try:
            state = self._read_checkpoint()
            if self._spec.last_epoch is None:
                self._work = self._make()
                if state is not None:
                    self._work.load_state_dict(state)
        except Exception as error:
            self._failure = _outcome(error, doing="set up")

    def step(self) -> dict[str, Any]:
        progress = self._progress
        if progress.reported < len(progress.rows):
            row = progress.rows[progress.reported]
        elif self._failure is not None:
            return self._failure_row(self._failure)
        elif self._work is None:
            return {"trial": self._spec.trial, "epoch": self._spec.last_epoch, "evidence": [], "done": True}
        else:
            try:
                row = self._advance()
            except Exception as error:
                self._failure = _outcome(error, doing="trained")
                self._release()
                return self._failure_row(self._failure)
            row |= {"trial": self._spec.trial, "outcome": "completed" if self._work.finished else "", "reason": ""}
            progress.rows.append(row)
            self._write_checkpoint()
            self._started = time.perf_counter()
        progress.reported += 1
        return row | {"done": row["outcome"] == "completed"}

    def _failure_row(self, failure: dict[str, Any]) -> dict[str, Any]:
        epoch = 1 + (self._progress.rows[-1]["epoch"] if self._progress.rows else 0)
        seconds = time.perf_counter() - self._started
        evidence = [(self._architecture, epoch, "validation_accuracy", float("nan"), seconds, 1.0)]
        nan = float("nan")
        return {"trial": self._spec.trial, "epoch": epoch, "validation_accuracy": nan, "evidence": evidence} | failure

    @property
    def _architecture(self) -> str:
        return ""

    def _make(self) -> _Work:
        raise NotImplementedError

    def _advance(self) -> dict[str, Any]:
        raise NotImplementedError

    def _read_checkpoint(self) -> dict[str, Any] | None:
        """State on file, and the rows with it; a file that is gone or broken means starting over."""
        path = Path(self._spec.checkpoint)
        if not path.is_file():
            return None
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # torch raises half a dozen types for a damaged file
            return None
        rows = content["rows"]
        if self._spec.last_epoch is not None:
            rows = [row for row in rows if row["epoch"] <= self._spec.last_epoch]
        self._progress.rows = rows
        state: dict[str, Any] = content["state"]
        return state

    def _write_checkpoint(self) -> None:
        assert self._work is not None
        path = Path(self._spec.checkpoint)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        torch.save({"state": self._work.state_dict(), "rows": self._progress.rows}, partial)
        partial.replace(path)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, POINTER).write_text(json.dumps(self._progress.reported))

    def load_checkpoint(self, checkpoint: str | dict[str, Any] | None) -> None:
        reported = json.loads(Path(str(checkpoint), POINTER).read_text())
        self._progress.reported = min(int(reported), len(self._progress.rows))

    def cleanup(self) -> None:
        self._release()

    def _release(self) -> None:
        self._work = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def _device(self) -> str:
        return "cuda" if torch.cuda.is_available() else "cpu"

    def __repr__(self) -> str:
        # Ray reads it once per worker, and workers are reused: what stays true is the stage and where it began.
        return f"{self._stage} worker, first: {self._first_label}"


class ArchitectureTrial(_CheckpointedTrial):
    """One architecture, trained from scratch; one result an epoch."""

    @property
    def _architecture(self) -> str:
        return self._spec.architectures[0]

    def _make(self) -> Training:
        spec, data = self._spec, self._data
        space = get_space(spec.space, **spec.space_options)
        architecture = space.parse(self._architecture)

        def build() -> torch.nn.Module:
            return space.build(architecture, input_shape=data.input_shape, classes=len(data.classes))

        return Training(build, spec.recipe, data, seed=spec.seed, device=self._device)

    def _advance(self) -> dict[str, Any]:
        assert isinstance(self._work, Training)
        metrics = self._work.step_epoch()
        epoch = int(metrics["epoch"])
        seconds = time.perf_counter() - self._started
        evidence = []
        for name, value in metrics.items():
            if name not in ("epoch", "seconds"):
                first = name == "validation_accuracy"  # books the cost of the epoch
                cost = (seconds, 1.0) if first else (0.0, 0.0)
                evidence.append((self._architecture, epoch, name, value, *cost))
        return {"epoch": epoch, "validation_accuracy": metrics["validation_accuracy"], "evidence": evidence}


class SupernetTrial(_CheckpointedTrial):
    """One supernet: an epoch a result, then the scores of all candidates, a chunk a result."""

    def _make(self) -> SupernetTraining:
        spec = self._spec
        assert spec.supernet is not None
        space = get_space(spec.space, **spec.space_options)

        def build() -> torch.nn.Module:
            return make_supernet(space, input_shape=self._data.input_shape, classes=len(self._data.classes))

        sampler = make_sampler(spec.supernet, paths=len(spec.architectures))
        return SupernetTraining(
            build,
            spec.recipe,
            self._data,
            paths=spec.architectures,
            sampler=sampler,
            config=spec.supernet,
            seed=spec.seed,
            device=self._device,
        )

    def _advance(self) -> dict[str, Any]:
        assert isinstance(self._work, SupernetTraining)
        work, train_images = self._work, len(self._data.train)
        if work.epoch < work.recipe.epochs:
            metrics = work.step_epoch()
            epoch = int(metrics["epoch"])
            cost = (time.perf_counter() - self._started, 1.0)
            losses = [("", epoch, "train_loss", metrics["train_loss"], *cost)]
            accuracy = metrics["train_accuracy"]
            return {"epoch": epoch, "validation_accuracy": float("nan"), "evidence": losses, "progress": accuracy}
        scores = work.score_chunk()
        seconds = (time.perf_counter() - self._started) / len(scores)
        # A forward pass costs about a third of a forward and a backward pass.
        cost = (seconds, work.images_per_score / (3 * train_images))
        evidence: list[tuple[str, int, str, float, float, float]] = []
        for score in scores:
            evidence.append((score.path, work.epoch, "validation_accuracy", score.accuracy, *cost))
            evidence.append((score.path, work.epoch, "validation_loss", score.loss, 0.0, 0.0))
            evidence.append((score.path, work.epoch, "updates", float(score.updates), 0.0, 0.0))
        mean = float(np.mean([score.accuracy for score in scores]))
        return {"epoch": work.epoch, "validation_accuracy": mean, "evidence": evidence}


def _outcome(error: Exception, *, doing: str) -> dict[str, Any]:
    """How a trial that raised has ended: recorded, not retried, and no harm to the others."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    if isinstance(error, NonFiniteLossError):
        reason = f"non-finite loss: {error}"
    elif isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error):
        reason = f"out of memory: {reason}"
    else:
        reason = f"could not be {doing}: {reason}"
    return {"outcome": "failed", "reason": reason, "done": True}
