"""What to train next: `taurank next`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from taurank.orchestrator.own_results.ranking import ResultsModel
from taurank.orchestrator.own_results.records import ResultsError
from taurank.orchestrator.own_results.results import Results
from taurank.orchestrator.planning import ROUNDING, plan_trainings
from taurank.orchestrator.ranker import Certainty, Prospect, TrainingOption


@dataclass(frozen=True)
class NextTraining:
    """One training to make.

    Attributes:
        candidate: what is trained.
        from_epoch: where it starts: at the end of its longest training, or at 0.
        to_epoch: where it ends.
        schedule_epochs: length of its learning-rate schedule.
        epochs: its cost.
    """

    candidate: str
    from_epoch: int
    to_epoch: int
    schedule_epochs: int
    epochs: int


@dataclass(frozen=True)
class NextTrainings:
    """The trainings that a budget is best spent on.

    Attributes:
        trainings: the most informative ones for their cost first.
        prospect: the tau expected now and after them.
        certainty: how far the ranking that this rests on can be believed.
        spent: epochs of the results.
        left: epochs that the budget leaves.
    """

    trainings: tuple[NextTraining, ...]
    prospect: Prospect
    certainty: Certainty
    spent: float
    left: float

    @property
    def epochs(self) -> int:
        """Epochs of all of them."""
        return sum(training.epochs for training in self.trainings)

    def to_frame(self) -> pd.DataFrame:
        """One row per training: ``candidate, from_epoch, to_epoch, schedule_epochs, epochs``."""
        columns = list(NextTraining.__dataclass_fields__)
        return pd.DataFrame([vars(training) for training in self.trainings], columns=columns)


def plan_next(
    model: ResultsModel, *, budget: float | None, epochs: float | None, restart: bool = False
) -> NextTrainings:
    """Chooses the next trainings within a budget.

    Args:
        model: of the results.
        budget: how many times cheaper than full training of all candidates, what was trained so far included.
        epochs: instead of the budget, the epochs that may be trained now.
        restart: whether trainings cannot be continued, so that all of their epochs are trained again.

    Raises:
        ResultsError: both or neither of them are given, or nothing can be trained for it.
    """
    results = model.results
    whole = len(results.candidates) * results.full_epochs
    if (budget is None) == (epochs is None):
        raise ResultsError("--budget or --epochs: give one of the two, such as --budget 5x")
    if epochs is not None and not 1 <= epochs < math.inf:
        raise ResultsError(f"--epochs: {epochs:g} trains nothing; give 1 or more")
    total = results.spent + epochs if epochs is not None else whole / (budget or 1.0)
    left = total - results.spent + ROUNDING
    text = f"--epochs: {epochs:g}" if epochs is not None else f"--budget: {budget:g}x is {total:,.0f} epochs"
    short = short_training(results, total)
    options = list(_options(results, short[1], restart=restart))
    if not options:
        raise ResultsError("all candidates are trained to the end, or failed: nothing is left to train")
    cheapest = min(option.cost for option in options)
    if left < cheapest:
        spent = "" if epochs is not None else f", and the results took {results.spent:,.0f}"
        raise ResultsError(f"{text}{spent}; the cheapest training takes {cheapest:,.0f}: give more")
    prospect = model.model.prospect(options, left)
    trainings = tuple(_training(option, results.full_epochs, short[0]) for option in prospect.chosen)
    return NextTrainings(trainings, prospect, model.ranking.certainty, results.spent, left)


def _options(results: Results, short: int, *, restart: bool) -> Iterator[TrainingOption]:
    """For each candidate without a full training: its training to the end, or a short one where it has none."""
    full = results.full_epochs
    ends = results.last
    failed = set(ends.loc[ends["value"].isna(), "candidate"]) - set(ends.loc[ends["value"].notna(), "candidate"])
    on_full = ends[(ends["schedule_epochs"] == full) & ends["value"].notna()].groupby("candidate")["epoch"].max()
    any_share = (ends["epoch"] / full).groupby(ends["candidate"]).max()
    for candidate in results.candidates:
        reached = int(on_full.get(candidate, 0))
        if candidate in failed or reached >= full:
            continue
        if candidate in any_share:
            cost = full if restart else full - reached
            yield TrainingOption(candidate, min(float(any_share[candidate]), 1.0), 1.0, float(cost))
        else:
            yield TrainingOption(candidate, 0.0, short / full, float(short))


def short_training(results: Results, total: float) -> tuple[int, int]:
    """Schedule and last epoch of a first training of a candidate: as most have it, else as a run of taurank would.

    Args:
        results: what is there.
        total: epochs of the whole budget.
    """
    ends = results.last
    ends = ends[ends["epoch"] < results.full_epochs]
    if len(ends):
        pairs = Counter(zip(ends["schedule_epochs"].tolist(), ends["epoch"].tolist(), strict=True))
        return pairs.most_common(1)[0][0]
    planned = plan_trainings(len(results.candidates), full_epochs=results.full_epochs, budget_epochs=total, seed=0)
    first = planned[0] if planned else None
    return (results.full_epochs,) * 2 if first is None else (first.epochs, first.last_epoch)


def _training(option: TrainingOption, full: int, short_schedule: int) -> NextTraining:
    end, epochs = round(option.fidelity * full), round(option.cost)
    return NextTraining(option.code, end - epochs, end, full if end == full else short_schedule, epochs)
