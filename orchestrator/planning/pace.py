"""Seconds instead of epochs: what an epoch of each candidate takes, and what is left of a budget in time.

A budget in time becomes a factor, how many times cheaper than full training of all candidates, once the seconds of
their epochs are known. From there on it is planned like any other; the unit is the epoch of the average candidate.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taurank.orchestrator.evidence import BASELINE, EPOCH_SECONDS, PACE, RANKING, TRAINING, Evidence, EvidenceLog
from taurank.orchestrator.experiment import Budget, BudgetError, Experiment, TrainingSpec
from taurank.orchestrator.ranker import Spending
from taurank.orchestrator.text import counted, duration

FREE = (BASELINE, RANKING)
"""Stages that a budget does not pay for."""


@dataclass(frozen=True)
class Pace:
    """How fast candidates train.

    Attributes:
        epoch_seconds: device seconds of an epoch of training with labels on all images, by code.
        workers: trainings at once.
        share: devices that each of them holds.
        device: ``gpu`` or ``core``; ``device`` if that is not known.
    """

    epoch_seconds: Mapping[str, float]
    workers: int = 1
    share: float = 1.0
    device: str = "core"

    def hours(self, epochs: float) -> tuple[float, float]:
        """Wall-clock and device hours of so many epochs of every candidate."""
        return epochs * self.wall_seconds(self.epoch_seconds) / 3600, epochs * self._device_seconds / 3600

    def in_words(self, full_epochs: int, evidence_epochs: float) -> str:
        """What full training and the evidence take.

        Args:
            full_epochs: length of full training.
            evidence_epochs: of the average candidate, at most.
        """
        seconds = self.epoch_seconds.values()

        def hours(epochs: float) -> str:
            wall, device = self.hours(epochs)
            return f"{duration(3600 * wall)} ({device:.3g} {self.device}-hours)"

        return (
            f"an epoch takes {self.mean:.2g} {self.device} seconds ({min(seconds):.2g} to {max(seconds):.2g}); on the "
            f"clock, with {counted(self.workers, 'training')} at once, full training of all would take "
            f"{hours(full_epochs)}, the evidence at most {hours(evidence_epochs)}"
        )

    @property
    def mean(self) -> float:
        """Device seconds of an epoch of the average candidate."""
        return self._device_seconds / len(self.epoch_seconds)

    @property
    def _device_seconds(self) -> float:
        return sum(self.epoch_seconds.values())

    def wall_seconds(self, codes: Collection[str]) -> float:
        """Wall-clock seconds of an epoch of each of these candidates, the slowest first."""
        loads = [0.0] * self.workers
        for seconds in sorted((self.epoch_seconds[code] for code in codes), reverse=True):
            heapq.heapreplace(loads, loads[0] + seconds / self.share)
        return max(loads)

    def speed_up(self, budget: Budget, full_epochs: int) -> float:
        """How many times cheaper than full training of all candidates a budget is, 1 or more.

        Raises:
            BudgetError: it counts the time of a device that the trainings do not run on, or is less than one epoch of
                the fastest candidate.
        """
        if budget.factor is not None:
            return budget.factor
        assert budget.seconds is not None
        check_device(budget, self.device)
        code = min(self.epoch_seconds, key=lambda code: self.epoch_seconds[code])
        least = self.epoch_seconds[code] / (self.share if budget.is_wall else 1)
        if budget.seconds < least:
            raise BudgetError(
                f"budget: {budget} is less than one epoch of the fastest candidate ({code}, {least:.2g} s); give more"
            )
        wall, device = (3600 * hours for hours in self.hours(full_epochs))
        return max(1.0, (wall if budget.is_wall else device) / budget.seconds)


def check_device(budget: Budget, device: str) -> None:
    """Refuses a budget of the time of a device that trainings do not run on.

    Raises:
        BudgetError: it is one.
    """
    if budget.device not in ("", device):
        what = "there is no GPU for the trainings" if device == "core" else "the trainings run on GPUs"
        raise BudgetError(f"budget: {budget}, but {what}: write {device}-hours, or hours on the clock as 4h")


def speed_up(experiment: Experiment, pace: Pace | None = None) -> float:
    """How many times cheaper than full training of all candidates the budget of an experiment is.

    Args:
        experiment: its budget may be in time.
        pace: of its candidates, if it is.

    Raises:
        BudgetError: the budget cannot be kept at that pace; see ``Pace.speed_up``.
    """
    budget = experiment.allowance
    if budget.factor is not None:
        return budget.factor
    if pace is None:
        raise BudgetError(f"budget: {budget} needs the seconds of an epoch of every candidate, which a run measures")
    return pace.speed_up(budget, experiment.recipe.epochs)


@dataclass(frozen=True)
class Purse:
    """A budget in time and the log that says what is spent of it.

    Attributes:
        budget: in seconds.
        log: of the run.
        candidates: codes.
        full_epochs: length of full training.
        clock: wall-clock seconds so far; None for those of the log.
    """

    budget: Budget
    log: EvidenceLog
    candidates: tuple[str, ...]
    full_epochs: int
    clock: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        if logged_pace(self.log, self.candidates) is None:
            raise BudgetError(f"budget: {self.budget} needs the seconds of an epoch of each candidate; start a new run")

    @property
    def pace(self) -> Pace:
        """As measured by now."""
        found = logged_pace(self.log, self.candidates)
        assert found is not None
        return found

    def left(self) -> float:
        """Seconds that are left, as the budget counts them; below 0 if it is overspent."""
        total = self.budget.seconds
        if total is None:
            total = 3600 * self.pace.hours(self.full_epochs)[1] / self.pace.speed_up(self.budget, self.full_epochs)
        if self.budget.is_wall and self.clock is not None:
            return total - self.clock()
        return total - seconds_spent(self.log, wall=self.budget.is_wall)

    @property
    def epochs_left(self) -> float:
        """The same in epochs of the average candidate."""
        pace = self.pace
        each = pace.wall_seconds(self.candidates) / len(self.candidates) if self.budget.is_wall else pace.mean
        return self.left() / each

    def spending(self, spec: TrainingSpec, most_epochs: float) -> Spending:
        """What trainings of the candidates cost, in the order of their codes, and what they may cost together.

        Args:
            spec: of the trainings.
            most_epochs: epochs of the average candidate that they may cost, if so many are left.
        """
        pace = self.pace
        seconds = np.array([pace.epoch_seconds[code] for code in sorted(self.candidates)]) * spec.cost(1)
        share, workers = (pace.share, pace.workers) if self.budget.is_wall else (1.0, 1)
        budget = min(self.left(), self.left() * most_epochs / max(self.epochs_left, 1e-9))
        return Spending(seconds / share, max(budget, 0.0), workers)

    def in_order(self, codes: Sequence[str]) -> list[str]:
        """Candidates in the order in which they are sent to workers.

        On the clock the slowest are first, so that all workers end at about the same time. Else the fastest are first,
        so that most candidates have been trained if the budget ends earlier than expected.
        """
        seconds = self.pace.epoch_seconds
        return sorted(codes, key=lambda code: seconds[code], reverse=self.budget.is_wall)

    def worth(self, spec: TrainingSpec, codes: Sequence[str]) -> float:
        """Trainings of these candidates in epochs of the average one."""
        pace = self.pace
        return spec.cost(1) * sum(pace.epoch_seconds[code] for code in codes) / pace.mean


def seconds_spent(log: EvidenceLog, *, wall: bool) -> float:
    """Device or wall-clock seconds of the evidence so far; the clock stands while the workers of a stage start."""
    if wall:
        return sum(seconds for stage, seconds in log.wall_seconds(working=True).items() if stage not in FREE)
    rows = log.evidence()
    return float(rows.loc[~rows["stage"].isin(FREE), "seconds"].sum())


def book_pace(log: EvidenceLog, pace: Pace, costs: Mapping[str, tuple[float, float]] | None = None) -> None:
    """Logs a pace.

    Args:
        log: of a run.
        pace: of its candidates; NaN for those that could not be measured.
        costs: of the measurements in device seconds and epoch-equivalents, by code; None for nothing.
    """
    log.note(PACE, json.dumps({"workers": pace.workers, "share": pace.share, "device": pace.device}))
    log.append(
        Evidence(PACE, f"{PACE}/{code}", code, PACE, 0, 0, 0, EPOCH_SECONDS, seconds, *(costs or {}).get(code, (0, 0)))
        for code, seconds in pace.epoch_seconds.items()
    )


def logged_pace(log: EvidenceLog, candidates: Collection[str]) -> Pace | None:
    """The pace that was measured of the candidates of a run; None if it was not.

    Trainings show what an epoch really takes: their seconds replace those of a few batches, and correct those of the
    other candidates by the median ratio. Candidates that could not be measured get the mean of the others.
    """
    noted = log.noted(PACE)
    if noted is None:
        return None
    rows = log.evidence()
    measured = rows[rows["metric"] == EPOCH_SECONDS].groupby("architecture")["value"].last().reindex(list(candidates))
    trained = rows[(rows["source"] == TRAINING) & (rows["stage"] != BASELINE) & (rows["epochs"] > 0)]
    sums = trained.groupby("architecture")[["seconds", "epochs"]].sum()
    shown = (sums["seconds"] / sums["epochs"]).reindex(measured.index)
    ratios = (shown / measured).dropna()
    corrected = measured * (ratios.median() if len(ratios) else 1.0)
    seconds = shown.fillna(corrected)
    seconds = seconds.fillna(seconds.mean())
    return Pace({str(code): float(value) for code, value in seconds.items()}, **json.loads(noted))
