"""The stages of a budget and the tau they are expected to reach, beside other budgets: the answer of `taurank plan`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from taurank.orchestrator.evidence import BASELINE, TRAINING
from taurank.orchestrator.experiment import Budget, ImageCounts, SupernetSpec, TrainingSpec
from taurank.orchestrator.planning.forecast import Forecast, budget_for, forecast, update
from taurank.orchestrator.planning.replayed_taus import ReplayedTau, Setting
from taurank.orchestrator.planning.rounds import planned_epochs
from taurank.orchestrator.planning.stages import ASSUMED_IMAGES
from taurank.orchestrator.ranker import Certainty, Ranking

NEIGHBOURS = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Budgets that are shown beside the one asked for."""


class PlanError(ValueError):
    """A plan that cannot be made; one line with the way out."""


@dataclass(frozen=True)
class PlannedStages:
    """The stages that a budget pays for.

    Attributes:
        trainings: short and full ones.
        supernets: trained with shared weights.
        proxies: epoch-equivalents of zero-cost proxies for all candidates.
        timing: epoch-equivalents of timing an epoch of the candidates beforehand.
    """

    trainings: tuple[TrainingSpec, ...]
    supernets: tuple[SupernetSpec, ...] = ()
    proxies: float = 0.0
    timing: float = 0.0

    def epochs(self, candidates: int, images: ImageCounts) -> float:
        """Epoch-equivalents of all of it, at most."""
        trainings = sum(training_epochs(spec, candidates) for spec in self.trainings)
        return trainings + sum(spec.cost(candidates, images) for spec in self.supernets) + self.proxies + self.timing


@dataclass(frozen=True)
class PlanRequest:
    """What is to be planned.

    Attributes:
        setting: space, data set and length of full training.
        candidates: how many are ranked.
        stages: the stages of a budget, given as how many times cheaper it is; None where it pays for none.
        epoch_seconds: device seconds of an epoch of one candidate; NaN if unknown.
        proxies: whether zero-cost proxies are computed.
        replays: what forecasts rest on; None for what comes with taurank.
        images: what the scores of a supernet cost depends on how many there are.
        asked: the budget as it was asked for; None for one that reaches a tau.
        timing: epoch-equivalents that timing the candidates has taken of the budget.
    """

    setting: Setting
    candidates: int
    stages: Callable[[float], PlannedStages | None]
    epoch_seconds: float = math.nan
    proxies: bool = False
    replays: tuple[ReplayedTau, ...] | None = None
    images: ImageCounts = ASSUMED_IMAGES
    asked: Budget | None = None
    timing: float = 0.0

    @property
    def whole(self) -> int:
        """Epochs of full training of all candidates."""
        return self.candidates * self.setting.full_epochs

    def expected(self, budget: float) -> Forecast:
        """The forecast for a budget; without proxies where it pays for none."""
        planned = self.stages(budget) if self.proxies else None
        proxies = self.proxies and (planned is None or planned.proxies > 0)
        return forecast(self.setting, self.candidates, budget, proxies=proxies, replays=self.replays)

    def cheapest(self, tau: float, correct: Callable[[Forecast], Forecast]) -> Forecast:
        """The corrected forecast for the cheapest budget that reaches a tau.

        Raises:
            PlanError: none does.
        """
        found = budget_for(
            self.setting, self.candidates, tau, proxies=self.proxies, replays=self.replays, correct=correct
        )
        if found is None:
            raise PlanError(
                f"--tau: {tau:g} is out of reach: full training of all candidates has a predicted tau of "
                f"{correct(self.expected(1.0)).tau:.2f}; ask for less"
            )
        return found


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        spent: epoch-equivalents booked, without the baseline.
        expected_tau: what the ranking expects of itself; NaN before anything is spent.
        interval: its 90 % interval.
        certainty: whether it can be believed.
        epoch_seconds: device seconds of an epoch as measured; NaN before the first.
    """

    spent: float
    expected_tau: float
    interval: tuple[float, float]
    certainty: Certainty
    epoch_seconds: float


@dataclass(frozen=True)
class Option:
    """One budget: its stages and the forecast for it."""

    stages: PlannedStages
    forecast: Forecast


@dataclass(frozen=True)
class Outlook:
    """The budget asked for, others beside it by falling cost, and where a run stands.

    Attributes:
        request: what is planned.
        chosen: the budget asked for.
        neighbours: it and others.
        progress: of a run.
        now: what replays expect of what it has spent.
    """

    request: PlanRequest
    chosen: Option
    neighbours: tuple[Option, ...]
    progress: Progress | None = None
    now: Forecast | None = None

    def hours(self, stages: PlannedStages) -> float:
        """Hours on one device; NaN where the seconds of an epoch are unknown."""
        return self.epochs(stages) * self.request.epoch_seconds / 3600

    def epochs(self, stages: PlannedStages) -> float:
        """Epoch-equivalents, at most."""
        return stages.epochs(self.request.candidates, self.request.images)


def training_epochs(spec: TrainingSpec, candidates: int) -> float:
    """Epoch-equivalents of a stage of trainings, at most."""
    most = math.inf if spec.budget_epochs is None else spec.budget_epochs + spec.subset.choosing_epochs
    return min(planned_epochs(spec, candidates), most)


def look_ahead(
    request: PlanRequest,
    *,
    budget: float | None = None,
    tau: float | None = None,
    stages: PlannedStages | None = None,
    progress: Progress | None = None,
) -> Outlook:
    """Plans for a budget, or for the cheapest one that reaches a tau.

    Args:
        request: what is to be planned.
        budget: how many times cheaper; None to look for the cheapest.
        tau: what that one is to reach.
        stages: those of the budget asked for, where an experiment lists them.
        progress: of a run; then all forecasts are corrected by it, and only larger budgets are shown beside its own.

    Raises:
        PlanError: the budget pays for no training, or the tau is out of reach.
    """
    now = None
    if progress is not None and progress.spent > 0:
        now = request.expected(max(request.whole / progress.spent, 1.0))

    def correct(end: Forecast) -> Forecast:
        if now is None or progress is None:
            return end
        return update(
            now, end, expected_tau=progress.expected_tau, interval=progress.interval, certainty=progress.certainty
        )

    def option(factor: float, planned: PlannedStages) -> Option:
        return Option(planned, correct(request.expected(factor)))

    if budget is None:
        assert tau is not None
        budget = request.cheapest(tau, correct).budget
    planned = stages or request.stages(budget)
    if planned is None:
        timing = f" ({request.timing:.1f} of them for timing the candidates)" if request.timing else ""
        raise PlanError(
            f"--budget: {budget:.4g}x of {request.candidates:,} x {request.setting.full_epochs} epochs is "
            f"{request.whole / budget:.1f} epochs{timing}, "
            "which pays for no training; take a larger share (a smaller factor)"
        )
    chosen = option(budget, planned)
    neighbours = [chosen]
    for factor in NEIGHBOURS:
        other = request.stages(factor) if factor != budget and (progress is None or factor < budget) else None
        if other is not None:
            neighbours.append(option(factor, other))
    neighbours.sort(key=lambda option: option.forecast.budget)
    return Outlook(request, chosen, tuple(neighbours), progress, now)


def progress_of(evidence: pd.DataFrame, rank: Callable[[], Ranking]) -> Progress:
    """Where the run of an evidence log stands; it is ranked only if something was spent.

    Args:
        evidence: rows as ``EvidenceLog.evidence`` gives them, the baseline's included: they only give the time of an
            epoch.
        rank: makes the ranking.
    """
    trained = evidence[evidence["source"] == TRAINING]
    epochs = float(trained["epochs"].sum())
    seconds = float(trained["seconds"].sum()) / epochs if epochs > 0 else math.nan
    spent = float(evidence.loc[evidence["stage"] != BASELINE, "epochs"].sum())
    if spent <= 0:
        return Progress(0.0, math.nan, (math.nan, math.nan), "uncalibrated", seconds)
    ranking = rank()
    return Progress(spent, ranking.expected_tau, ranking.expected_tau_interval, ranking.certainty, seconds)


def counts(trainings: Sequence[TrainingSpec], candidates: int, full_epochs: int) -> tuple[int, int]:
    """How many short and how many full trainings; those by a pretext task are neither."""
    found = [0, 0]
    for spec in trainings:
        if spec.task is not None:
            continue
        found[spec.is_full(full_epochs)] += candidates if spec.candidates == "all" else spec.candidates
    return found[0], found[1]
