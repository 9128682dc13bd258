"""Seconds instead of epochs: what an epoch of each candidate takes, and what is left of a budget in time.

A budget in time becomes a factor, how many times cheaper than full training of all candidates, once the seconds of
their epochs are known. From there on it is planned like any other; the unit is the epoch of the average candidate.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taurank.orchestrator.evidence import (
    BASELINE,
    EARLIER_TIMING,
    EPOCH_SECONDS,
    RANKING,
    TIMING,
    TRAINING,
    Evidence,
    EvidenceLog,
)
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
        predicted: candidates whose seconds are not measured but predicted from those of others.
    """

    epoch_seconds: Mapping[str, float]
    workers: int = 1
    share: float = 1.0
    device: str = "core"
    predicted: int = 0

    def hours(self, epochs: float) -> tuple[float, float]:
        """Wall-clock and device hours of so many epochs of every candidate."""
        return epochs * self.wall_seconds(self.epoch_seconds) / 3600, epochs * self._device_seconds / 3600

    def in_words(self, full_epochs: int, evidence_epochs: float, *, budget: Budget | None = None) -> str:
        """What full training and the evidence take.

        Args:
            full_epochs: length of full training.
            evidence_epochs: of the average candidate, at most.
            budget: what bounds the evidence instead, where as many are trained as it pays for; None for nothing else.
        """
        seconds = self.epoch_seconds.values()

        def hours(epochs: float) -> str:
            wall, device = self.hours(epochs)
            return f"{duration(3600 * wall)} ({device:.3g} {self.device}-hours)"

        most = hours(evidence_epochs) if budget is None or budget.seconds is None else str(budget)
        timed = len(self.epoch_seconds) - self.predicted
        least, most_seconds = _short(min(seconds)), _short(max(seconds))
        basis = f"; {timed} of {len(self.epoch_seconds)} candidates are timed, the others predicted"
        return (
            f"an epoch takes {_short(self.mean)} {self.device} seconds ({least} to {most_seconds}"
            f"{basis if self.predicted else ''}); on the clock, with {counted(self.workers, 'training')} at once, full "
            f"training of all would take {hours(full_epochs)}, the evidence at most {most}"
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
        return max(1.0, self._full_seconds(budget, full_epochs) / budget.seconds)

    def epochs_of(self, budget: Budget, full_epochs: int) -> float:
        """Epochs of the average candidate that a budget pays for: more than full training if it is larger.

        Raises:
            BudgetError: see ``speed_up``.
        """
        times = self.speed_up(budget, full_epochs)
        if budget.seconds is not None:
            times = self._full_seconds(budget, full_epochs) / budget.seconds
        return len(self.epoch_seconds) * full_epochs / times

    def _full_seconds(self, budget: Budget, full_epochs: int) -> float:
        """Full training of all candidates, as a budget counts it."""
        wall, device = self.hours(full_epochs)
        return 3600 * (wall if budget.is_wall else device)


def _short(seconds: float) -> str:
    """A number to two digits, without an exponent."""
    return f"{seconds:.2g}" if seconds < 99.5 else f"{seconds:,.0f}"


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


def affordable_epochs(experiment: Experiment, count: int, pace: Pace | None = None) -> float:
    """Epochs of the average candidate that the budget of an experiment pays for, whatever full training takes.

    Args:
        experiment: its budget may be in time.
        count: of candidates.
        pace: of these, if it is.

    Raises:
        BudgetError: see ``speed_up``.
    """
    budget, full = experiment.allowance, experiment.recipe.epochs
    if budget.seconds is None or pace is None:
        return count * full / speed_up(experiment, pace)
    return pace.epochs_of(budget, full)


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
        """Seconds that are left, as the budget counts them; below 0 if it is overspent.

        Of a budget of full training there are always enough: what that takes is only estimated before its end.
        """
        return math.inf if self.budget.is_full else self.total - self.spent

    @property
    def total(self) -> float:
        """Seconds of the whole budget; an estimate of a factor, which improves with the trainings."""
        if self.budget.seconds is not None:
            return self.budget.seconds
        return 3600 * self.pace.hours(self.full_epochs)[1] / self.pace.speed_up(self.budget, self.full_epochs)

    @property
    def spent(self) -> float:
        """Seconds so far, as the budget counts them."""
        if self.budget.is_wall and self.clock is not None:
            return self.clock()
        return seconds_spent(self.log, wall=self.budget.is_wall)

    @property
    def in_words(self) -> str:
        """How much of it is spent."""
        about = "" if self.budget.seconds is not None else "about "
        what = "" if self.budget.is_wall else f" of {self.pace.device}s"
        return f"{duration(self.spent)} of {about}{duration(self.total)}{what}"

    @property
    def clock_left(self) -> float:
        """What is left as time on the clock, with all workers at work."""
        pace = self.pace
        return self.left() / (1 if self.budget.is_wall else pace.workers * pace.share)

    @property
    def epochs_left(self) -> float:
        """The same in epochs of the average candidate."""
        return self.left() / self._each

    @property
    def _each(self) -> float:
        """Seconds of an epoch of the average candidate, as the budget counts them."""
        pace = self.pace
        return pace.wall_seconds(self.candidates) / len(self.candidates) if self.budget.is_wall else pace.mean

    def spending(self, spec: TrainingSpec, most_epochs: float) -> Spending:
        """What trainings of the candidates cost, in the order of their codes, and what they may cost together.

        Args:
            spec: of the trainings.
            most_epochs: epochs of the average candidate that they may cost, if so many are left.
        """
        pace = self.pace
        seconds = np.array([pace.epoch_seconds[code] for code in sorted(self.candidates)]) * spec.cost(1)
        share, workers = (pace.share, pace.workers) if self.budget.is_wall else (1.0, 1)
        budget = min(self.left(), most_epochs * self._each)
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


def timing_epochs(log: EvidenceLog, pace: Pace | None = None) -> float:
    """Cost of the measurements before a run trains anything.

    Args:
        log: of the run.
        pace: of its candidates under a budget in time: then it is their seconds, in epochs of the average candidate;
            None for epoch-equivalents.
    """
    rows = log.evidence()
    rows = rows[rows["stage"].isin([TIMING, EARLIER_TIMING])]
    return float(rows["epochs"].sum() if pace is None else rows["seconds"].sum() / pace.mean)


def book_pace(log: EvidenceLog, pace: Pace, costs: Mapping[str, tuple[float, float]] | None = None) -> None:
    """Logs a pace.

    Args:
        log: of a run.
        pace: of its candidates; NaN for those that could not be measured.
        costs: of the measurements in device seconds and epoch-equivalents, by code; None for nothing.
    """
    noted = {name: getattr(pace, name) for name in ("workers", "share", "device", "predicted")}
    noted["predicted"] += json.loads(log.noted(TIMING) or "{}").get("predicted", 0)
    log.note(TIMING, json.dumps(noted))
    log.append(
        Evidence(
            TIMING, f"{TIMING}/{code}", code, TIMING, 0, 0, 0, EPOCH_SECONDS, seconds, *(costs or {}).get(code, (0, 0))
        )
        for code, seconds in pace.epoch_seconds.items()
    )


def logged_pace(log: EvidenceLog, candidates: Collection[str]) -> Pace | None:
    """The pace that was measured of the candidates of a run; None if it was not.

    Trainings show what an epoch really takes: their seconds replace those of a few batches, and correct those of the
    other candidates by the median ratio. Candidates that could not be measured get the mean of the others.
    """
    noted = log.noted(TIMING) or log.noted(EARLIER_TIMING)
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
