"""The rounds of a ranking: who is trained how long, chosen from what is known by then.

The same rounds run under Ray Tune and in a replay; ``launch`` is what differs. Every choice is made once and noted in
the log, since what is known moves on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import pandas as pd

from orchestrator.evidence import BASELINE, EvidenceLog
from orchestrator.ranker import RankerOptions, Ranking, RankingModel
from orchestrator.split import Split, more_short_trainings, split_budget
from orchestrator.training_spec import TrainingSpec

Launch = Callable[[TrainingSpec, list[str]], None]
DEFAULTS = RankerOptions()
_last_models: WeakKeyDictionary[EvidenceLog, RankingModel] = WeakKeyDictionary()
"""By log: rounds ask again for what has not changed since, and it is most of their time."""


@dataclass(frozen=True)
class Problem:
    """What is ranked.

    Attributes:
        candidates: codes.
        encoding: their numeric description, (candidates, features), index = code; it may have no columns.
        full_epochs: length of full training.
        seed: of the ranker.
        options: of the ranker.
    """

    candidates: tuple[str, ...]
    encoding: pd.DataFrame
    full_epochs: int
    seed: int
    options: RankerOptions = DEFAULTS


def plan_trainings(
    count: int, *, full_epochs: int, budget_epochs: float, seed: int, schedules: Sequence[int] | None = None
) -> list[TrainingSpec]:
    """The trainings that a budget is best spent on: short ones, then full ones; see ``split.split_budget``."""
    split = split_budget(count, full_epochs=full_epochs, budget_epochs=budget_epochs, schedules=schedules)
    trainings = []
    if split.shorts:
        epochs, until = (full_epochs, split.short_epochs) if split.cut else (split.short_epochs, None)
        trainings.append(
            TrainingSpec(epochs=epochs, until=until, candidates=_everybody(split.shorts, count), seed=seed)
        )
    if split.fulls:
        trainings.append(TrainingSpec(epochs=full_epochs, candidates=_everybody(split.fulls, count), seed=seed))
    return trainings


def _everybody(some: int, count: int) -> int | Literal["all"]:
    return "all" if some == count else some


def run_rounds(
    problem: Problem,
    trainings: Sequence[TrainingSpec],
    *,
    log: EvidenceLog,
    launch: Launch,
    budget_epochs: float,
    adaptive: bool,
) -> None:
    """Launches the trainings one after another, each for candidates chosen by then.

    Args:
        problem: what is ranked.
        trainings: in the order in which they run.
        log: where ``launch`` leaves its rows, and the choices are noted.
        launch: trains the candidates and returns when all have ended.
        budget_epochs: what the trainings may cost together.
        adaptive: whether full trainings may be given up for more short ones where those turn out to be hard to predict.
    """
    given_up = 0
    for place, spec in enumerate(trainings):
        full = spec.is_full(problem.full_epochs)
        codes = _chosen(problem, spec, log, given_up=given_up if full else 0)
        if codes:
            launch(spec, codes)
        if adaptive and not full and place + 1 < len(trainings):
            more = _more(problem, spec, trainings[place + 1], log, budget_epochs)
            if more:
                # The same stage, gone on with: together they are one view.
                launch(spec, codes + more)
                freed = spec.cost(len(more))
                spare = budget_epochs - sum(planned_epochs(other, len(problem.candidates)) for other in trainings)
                given_up = max(0, -int((spare - freed) // problem.full_epochs))


def planned_epochs(spec: TrainingSpec, count: int) -> float:
    """Epochs that the trainings of ``count`` candidates cost if no scheduler ends any."""
    return spec.cost(count if spec.candidates == "all" else spec.candidates) + spec.subset.choosing_epochs


def chosen_before(candidates: Sequence[str], spec: TrainingSpec, log: EvidenceLog) -> list[str]:
    """Candidates that a round has been for, as far as the log knows."""
    if spec.candidates == "all":
        return list(candidates)
    noted = log.noted(f"selected:{spec.stage}")
    return [] if noted is None else list(json.loads(noted))


def _chosen(problem: Problem, spec: TrainingSpec, log: EvidenceLog, *, given_up: int) -> list[str]:
    """Candidates of a round, by design; noted before the first is trained."""
    if spec.candidates == "all" and not given_up:
        return list(problem.candidates)
    count = (len(problem.candidates) if spec.candidates == "all" else spec.candidates) - given_up

    def choose() -> list[str]:
        model = rank_model(problem, log)
        if spec.is_full(problem.full_epochs):
            return model.choose_full_trainings(count)
        return model.choose_short_runs(count, again=spec.task is not None)

    return _once(log, f"selected:{spec.stage}", choose) if count > 0 else []


def _more(
    problem: Problem, spec: TrainingSpec, following: TrainingSpec, log: EvidenceLog, budget_epochs: float
) -> list[str]:
    if spec.candidates == "all" or following.candidates == "all" or not following.is_full(problem.full_epochs):
        return []
    shorts = spec.candidates
    left = budget_epochs - planned_epochs(spec, shorts)
    split = Split(spec.last_epoch, spec.until is not None, shorts, following.candidates)

    def choose() -> list[str]:
        model = rank_model(problem, log)
        count = more_short_trainings(
            split,
            len(problem.candidates),
            full_epochs=problem.full_epochs,
            left_epochs=left,
            imputability=model.imputability,
        )
        return model.choose_short_runs(count) if count else []

    return _once(log, f"selected:{spec.stage}:more", choose)


def _once(log: EvidenceLog, key: str, choose: Callable[[], list[str]]) -> list[str]:
    noted = log.noted(key)
    if noted is None:
        noted = json.dumps(choose())
        log.note(key, noted)
    chosen: list[str] = json.loads(noted)
    return chosen


def rank_model(problem: Problem, log: EvidenceLog) -> RankingModel:
    """The ranker's model of what is in the log now; the baseline is never looked at."""
    rows = log.evidence()
    _last_models[log] = RankingModel(
        rows[rows["stage"] != BASELINE],
        problem.encoding,
        full_epochs=problem.full_epochs,
        seed=problem.seed,
        options=problem.options,
        earlier=_last_models.get(log),
    )
    return _last_models[log]


def rank_log(problem: Problem, log: EvidenceLog, *, truth_seeds: int = 1) -> Ranking:
    """The ranking from what is in the log now; see ``RankingModel.ranking``."""
    return rank_model(problem, log).ranking(truth_seeds=truth_seeds)
