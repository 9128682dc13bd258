"""The rounds of a ranking: which candidates are trained how long, chosen from the evidence at that time.

The same rounds run under Ray Tune and in a replay; ``launch`` is what differs. Every choice is made once and noted in
the log, since the evidence grows.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.evidence import ACCURACY, BASELINE, CHOSEN, VALIDATION_ACCURACY, EvidenceLog, RankedMetric
from taurank.orchestrator.experiment import TrainingSpec
from taurank.orchestrator.planning.failed_trainings import failure_reasons, with_failures
from taurank.orchestrator.planning.pace import Purse
from taurank.orchestrator.planning.split import ROUNDING, Split, more_short_trainings, split_budget
from taurank.orchestrator.ranker import (
    JUDGING,
    KnowledgeSource,
    MetricScale,
    RankerOptions,
    Ranking,
    RankingModel,
    Validation,
    can_design,
    choose_full_trainings,
    choose_short_runs,
    final_values,
    in_accuracies,
    in_unit,
    signal_of,
)

Launch = Callable[[TrainingSpec, list[str]], None]
DEFAULTS = RankerOptions()
PILOT = 8
"""Candidates that are trained first: the least that teach a model of short trainings."""
NAMED = 5
"""Candidates that an event names; the notes of the log have all."""


@dataclass(frozen=True)
class Problem:
    """What is ranked.

    Attributes:
        candidates: codes.
        encoding: their numeric description, (candidates, features), index = code; it may have no columns.
        full_epochs: length of full training.
        seed: of the ranker.
        options: of the ranker.
        images: of validation; None if that is unknown.
        classes: of images; None if that is unknown.
        names: short names of the candidates, by code; those without one are named by their code.
        knowledge: results of the same architectures on other data sets or tasks.
        knowledge_encoding: numeric description of known architectures; None without any outside the candidates.
        metric: of the trainings, by which candidates are ranked.
    """

    candidates: tuple[str, ...]
    encoding: pd.DataFrame
    full_epochs: int
    seed: int
    options: RankerOptions = DEFAULTS
    images: int | None = None
    classes: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    knowledge: tuple[KnowledgeSource, ...] = ()
    knowledge_encoding: pd.DataFrame | None = None
    metric: RankedMetric = ACCURACY


class LogRanker:
    """The ranker on what a log holds at the moment of each call.

    It keeps the last model: what precedes the full trainings is most of the time of a ranking, and is computed again
    only if its evidence has changed.

    Args:
        problem: what is ranked.
        log: the evidence; the rows of the baseline are never read.
    """

    def __init__(self, problem: Problem, log: EvidenceLog) -> None:
        self.problem, self.log = problem, log
        self._last: RankingModel | None = None

    def rows(self) -> tuple[pd.DataFrame, MetricScale]:
        """The rows of the log now as the ranker reads them, baseline included, and the scale of their metric."""
        problem, reasons = self.problem, failure_reasons(self.log)
        rows = with_failures(self.log.evidence(), self.log, reasons, problem.names, problem.metric.name)
        return in_accuracies(rows, problem.metric, full_epochs=problem.full_epochs)

    def model(self) -> RankingModel:
        """The ranker's model of what the log holds now; its accuracies are on the ranker's scale."""
        return self._model(self.rows()[0])

    def _model(self, rows: pd.DataFrame) -> RankingModel:
        problem, reasons = self.problem, failure_reasons(self.log)
        self._last = RankingModel(
            rows[rows["stage"] != BASELINE],
            problem.encoding,
            full_epochs=problem.full_epochs,
            seed=problem.seed,
            options=problem.options,
            images=problem.images,
            classes=problem.classes,
            reasons=reasons,
            knowledge=problem.knowledge,
            knowledge_encoding=problem.knowledge_encoding,
            earlier=self._last,
        )
        return self._last

    def ranking(self, *, truth_seeds: int = 1) -> Ranking:
        """The ranking from what the log holds now, final values in the unit of the metric; see ``RankingModel``."""
        problem = self.problem
        rows, scale = self.rows()
        ranking = self._model(rows).ranking(truth_seeds=truth_seeds)
        if not problem.metric.is_own:
            return ranking
        measured = final_values(self.log.evidence(), problem.metric, full_epochs=problem.full_epochs)
        return replace(ranking, table=in_unit(ranking.table, scale, measured))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_last": None}


def plan_trainings(
    count: int,
    *,
    full_epochs: int,
    budget_epochs: float,
    seed: int,
    schedules: Sequence[int] | None = None,
    anchors: int = 0,
) -> list[TrainingSpec]:
    """The trainings that a budget is best spent on: short ones, then full ones; see ``split.split_budget``."""
    split = split_budget(
        count, full_epochs=full_epochs, budget_epochs=budget_epochs, schedules=schedules, anchors=anchors
    )
    trainings = []
    if split.shorts:
        epochs, until = (full_epochs, split.short_epochs) if split.cut else (split.short_epochs, None)
        trainings.append(
            TrainingSpec(epochs=epochs, until=until, candidates=_count_or_all(split.shorts, count), seed=seed)
        )
    if split.fulls:
        trainings.append(TrainingSpec(epochs=full_epochs, candidates=_count_or_all(split.fulls, count), seed=seed))
    return trainings


def _count_or_all(some: int, count: int) -> int | Literal["all"]:
    return "all" if some == count else some


def run_rounds(
    ranker: LogRanker,
    trainings: Sequence[TrainingSpec],
    *,
    launch: Launch,
    budget_epochs: float,
    adaptive: bool,
    purse: Purse | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> None:
    """Launches the trainings one after another, each for candidates chosen by then.

    Where the plan is adaptive, a pilot of ``PILOT`` candidates shows first whether short trainings of the planned
    length tell candidates apart. If they do not, fewer candidates are trained twice as long, and so on, while the
    epochs planned for short trainings suffice for as many as a pilot. The pilots that are left behind are paid from
    these epochs too.

    Under a budget in time the epochs are those of the average candidate, candidates are chosen by what their training
    tells for its seconds, and the last trainings are as many as the seconds that are left allow.

    Args:
        ranker: chooses the candidates; ``launch`` adds its rows to the ranker's log, which also notes the choices.
        trainings: in the order in which they run.
        launch: trains the candidates and returns when all have ended.
        budget_epochs: what the trainings may cost together.
        adaptive: whether short trainings may be made longer and fewer, and full trainings given up for more short ones
            where those turn out to be hard to predict.
        purse: a budget in time; None for one in epochs.
        say: receives a line when the plan changes.
    """
    problem = ranker.problem
    trainings, left_behind = _lengthened(ranker, trainings, launch, budget_epochs, adaptive=adaptive, say=say)
    budget_epochs -= left_behind
    # What an experiment asks for itself is trained; a policy ends it within its own budget.
    given_up = _given_up(problem, trainings, budget_epochs) if adaptive else 0
    for place, spec in enumerate(trainings):
        full = spec.is_full(problem.full_epochs)
        if purse is not None:
            codes = _trained_for_seconds(ranker, spec, purse, launch, adaptive=adaptive)
        else:
            codes = _chosen(ranker, spec, given_up=given_up if full else 0)
            if codes:
                launch(spec, codes)
        if adaptive and not full and place + 1 < len(trainings):
            more = _more(ranker, spec, trainings[place + 1], budget_epochs, purse)
            if more:
                # The same stage, gone on with: together they are one view.
                launch(spec, codes + more)
                given_up = _given_up(problem, trainings, budget_epochs - spec.cost(len(more)))


def _given_up(problem: Problem, trainings: Sequence[TrainingSpec], budget_epochs: float) -> int:
    """Full trainings that a budget does not suffice for, with all the others."""
    spare = budget_epochs - sum(planned_epochs(spec, len(problem.candidates)) for spec in trainings)
    return max(0, -math.floor((spare + ROUNDING) / problem.full_epochs))


def planned_epochs(spec: TrainingSpec, count: int) -> float:
    """Epochs that the trainings of ``count`` candidates cost if no scheduler ends any."""
    return spec.cost(count if spec.candidates == "all" else spec.candidates) + spec.subset.choosing_epochs


def chosen_before(candidates: Sequence[str], spec: TrainingSpec, log: EvidenceLog) -> list[str]:
    """Candidates that a round has been for, as far as the log knows."""
    return list(candidates) if spec.candidates == "all" else _noted(log, f"selected:{spec.stage}")


def revised(trainings: Sequence[TrainingSpec], log: EvidenceLog) -> Iterator[TrainingSpec]:
    """The trainings of a plan as far as logged: with pilots that were too short, and the longer ones after these."""
    for spec in trainings:
        while log.noted(_pilot_key(spec)) == _TOO_SHORT:
            yield spec.model_copy(update={"candidates": PILOT})
            spec = _twice_as_long(spec, PILOT)
        yield spec


def choice_of(log: EvidenceLog, spec: TrainingSpec) -> str:
    """How the candidates of a round were chosen, in words; empty where nothing is noted."""
    events = log.events()
    found = events.loc[(events["stage"] == spec.stage) & (events["event"] == CHOSEN), "reason"]
    return "; then ".join(str(reason).rsplit(": ", 1)[0] for reason in found)


def _lengthened(
    ranker: LogRanker,
    trainings: Sequence[TrainingSpec],
    launch: Launch,
    budget_epochs: float,
    *,
    adaptive: bool,
    say: Callable[[str], object],
) -> tuple[list[TrainingSpec], float]:
    """The trainings with short ones as long as the pilots demand, and the epochs of pilots that were too short."""
    problem, left_behind = ranker.problem, 0.0
    count = len(problem.candidates)
    if not trainings or not _is_plain(trainings[0]) or trainings[0].is_full(problem.full_epochs):
        return list(trainings), 0.0
    spec, *others = trainings
    most = count if spec.candidates == "all" else spec.candidates
    left = budget_epochs - sum(planned_epochs(other, count) for other in others)
    while True:
        longer = math.floor((left - left_behind - spec.cost(PILOT) + ROUNDING) / _twice_as_long(spec, 1).cost(1))
        worth_it = min(longer, most - 1) >= PILOT and 2 * spec.epochs < problem.full_epochs
        noted = ranker.log.noted(_pilot_key(spec))
        too_short = noted == _TOO_SHORT
        if noted is None and adaptive and problem.images and problem.classes:
            too_short = _is_too_short(ranker, spec, launch, worth_it=worth_it, say=say)
        if not too_short:
            return [spec, *others], left_behind
        left_behind += spec.cost(PILOT)
        spec = _twice_as_long(spec, 1)
        chosen = len(_noted(ranker.log, f"selected:{spec.stage}"))
        spec = spec.model_copy(update={"candidates": max(min(longer, most), chosen)})


def _is_plain(spec: TrainingSpec) -> bool:
    """Whether trainings are whole schedules on all images with labels, which end by themselves."""
    return spec.task is None and spec.until is None and spec.epoch_share == 1 and spec.scheduler.name == "none"


def _twice_as_long(spec: TrainingSpec, candidates: int) -> TrainingSpec:
    return spec.model_copy(update={"epochs": 2 * spec.epochs, "candidates": candidates})


def _is_too_short(
    ranker: LogRanker, spec: TrainingSpec, launch: Launch, *, worth_it: bool, say: Callable[[str], object]
) -> bool:
    """Whether the pilot of a round does not tell candidates apart; decided once, and noted.

    It is not asked where an answer would change nothing, nor of a round that has gone beyond its pilot.
    """
    problem, log, key = ranker.problem, ranker.log, _pilot_key(spec)
    assert problem.images is not None
    assert problem.classes is not None
    there = _noted(log, f"selected:{spec.stage}")
    begun = bool((log.evidence()["stage"] == spec.stage).any())
    too_short = False
    if worth_it and (not begun or len(there) == PILOT):
        pilot = there if len(there) == PILOT else _pilot(ranker, spec)
        launch(spec, pilot)
        accuracies = _last_accuracies(log, spec, pilot)
        # As for judging other sources; what has failed shows nothing.
        seen = len(accuracies) > PILOT // 2
        too_short = seen and signal_of(accuracies, Validation(problem.images, problem.classes)) < JUDGING
        if too_short:
            longer = _twice_as_long(spec, PILOT)
            text = (
                f"{spec.epochs} {'epochs' if spec.epochs > 1 else 'epoch'} tell too little: {len(accuracies)} "
                f"trainings reach {min(accuracies):.1%} to {max(accuracies):.1%}, chance is {1 / problem.classes:.1%}"
            )
            log.note(f"selected:{longer.stage}", json.dumps(pilot))
            log.append_event(longer.stage, "", CHOSEN, f"{PILOT} first, since {text}: {_named(problem, pilot)}")
            say(f"{text}; fewer candidates are trained for {longer.epochs} epochs")
    log.note(key, _TOO_SHORT if too_short else _LONG_ENOUGH)
    return too_short


def _last_accuracies(log: EvidenceLog, spec: TrainingSpec, codes: Sequence[str]) -> NDArray[np.float64]:
    """Accuracies at the end of the trainings of these candidates, without those that failed."""
    rows = log.evidence()
    last = (rows["stage"] == spec.stage) & (rows["epoch"] == spec.last_epoch) & rows["architecture"].isin(codes)
    return rows.loc[last & (rows["metric"] == VALIDATION_ACCURACY), "value"].dropna().to_numpy(dtype=np.float64)


def _pilot(ranker: LogRanker, spec: TrainingSpec) -> list[str]:
    """The first candidates of a round, by design."""
    problem, log = ranker.problem, ranker.log
    codes = choose_short_runs(ranker.model(), PILOT)
    log.note(f"selected:{spec.stage}", json.dumps(codes))
    why = f"{PILOT} first, to see whether so short trainings tell candidates apart"
    log.append_event(spec.stage, "", CHOSEN, f"{why}: {_named(problem, codes)}")
    return codes


_TOO_SHORT, _LONG_ENOUGH = "too short", "long enough"


def _pilot_key(spec: TrainingSpec) -> str:
    return f"pilot:{spec.stage}"


def _chosen(ranker: LogRanker, spec: TrainingSpec, *, given_up: int) -> list[str]:
    """Candidates of a round, by design; noted before the first is trained.

    If the run was extended and more are needed than before, the design continues from those.
    """
    problem, log = ranker.problem, ranker.log
    if spec.candidates == "all" and not given_up:
        return list(problem.candidates)
    count = (len(problem.candidates) if spec.candidates == "all" else spec.candidates) - given_up
    key = f"selected:{spec.stage}"
    there = _noted(log, key)
    if len(there) >= count:
        return there
    model = ranker.model()
    if spec.is_full(problem.full_epochs):
        more = choose_full_trainings(model, count - len(there), had=there)
    else:
        more = choose_short_runs(model, count - len(there), had=there)
    if more:
        log.note(_next_key(log, key), json.dumps(more))
        log.append_event(spec.stage, "", CHOSEN, _grounds(problem, spec, model, more, len(there), given_up))
    return there + more


def _trained_for_seconds(
    ranker: LogRanker, spec: TrainingSpec, purse: Purse, launch: Launch, *, adaptive: bool
) -> list[str]:
    """Trains the candidates of a round, chosen while the budget in time lasts; returns them.

    A plan of ours has no fixed number of them: short trainings may take what so many of the average candidate would,
    full ones all that is left. Where they take less than expected, more are chosen. An experiment's own stage trains as
    many as it asks for, if there is time for them.
    """
    problem, log = ranker.problem, ranker.log
    if spec.candidates == "all":
        codes = purse.in_order(problem.candidates)
        launch(spec, codes)
        return codes
    key = f"selected:{spec.stage}"
    full = spec.is_full(problem.full_epochs)
    chosen = _noted(log, key)
    if chosen:
        launch(spec, purse.in_order(chosen))
    while True:
        count = (len(problem.candidates) if adaptive else spec.candidates) - len(chosen)
        most = spec.cost(spec.candidates) - purse.worth(spec, chosen) if adaptive and not full else math.inf
        if count < 1 or most < spec.cost(1):
            return chosen
        model, spending = ranker.model(), purse.spending(spec, most)
        if full:
            more = choose_full_trainings(model, count, had=chosen, spending=spending)
        else:
            more = choose_short_runs(model, count, had=chosen, spending=spending)
        if not more:
            return chosen
        log.note(_next_key(log, key), json.dumps(more))
        log.append_event(spec.stage, "", CHOSEN, _grounds(problem, spec, model, more, len(chosen), 0, purse))
        chosen += more
        launch(spec, purse.in_order(chosen))


def _grounds(
    problem: Problem,
    spec: TrainingSpec,
    model: RankingModel,
    chosen: Sequence[str],
    before: int,
    given_up: int,
    purse: Purse | None = None,
) -> str:
    """Why these were chosen, and what the others save."""
    if not can_design(model):
        why = "drawn at random: nothing describes the candidates"
    elif spec.is_full(problem.full_epochs):
        why = "by design: their final scores are most informative about those of the others"
    else:
        why = "by design: their curves are most informative about those of the others"
    why += " for their seconds" if can_design(model) and purse is not None else ""
    left = len(problem.candidates) - before - len(chosen)
    saved = f"; {spec.cost(left):g} epochs saved on the {left} others" if left and purse is None else ""
    fewer = f"; {given_up} fewer than planned, for more short trainings" if given_up else ""
    more = "more " if before else ""
    return f"{len(chosen)} {more}of {len(problem.candidates)} {why}{saved}{fewer}: {_named(problem, chosen)}"


def _named(problem: Problem, codes: Sequence[str]) -> str:
    shown = ", ".join(problem.names.get(code, code) for code in codes[:NAMED])
    return shown if len(codes) <= NAMED else f"{shown} and {len(codes) - NAMED} more"


def _more(
    ranker: LogRanker, spec: TrainingSpec, following: TrainingSpec, budget_epochs: float, purse: Purse | None
) -> list[str]:
    problem, log = ranker.problem, ranker.log
    if spec.candidates == "all" or following.candidates == "all" or not following.is_full(problem.full_epochs):
        return []
    shorts = spec.candidates
    left = budget_epochs - planned_epochs(spec, shorts)
    split = Split(spec.last_epoch, spec.until is not None, shorts, following.candidates)

    def choose() -> list[str]:
        model = ranker.model()
        count = more_short_trainings(
            split,
            len(problem.candidates),
            full_epochs=problem.full_epochs,
            left_epochs=left,
            imputability=model.imputability,
        )
        spending = None if purse is None else purse.spending(spec, spec.cost(count))
        had = _noted(log, f"selected:{spec.stage}")
        return choose_short_runs(model, count, had=had, spending=spending) if count else []

    noted = log.noted(f"selected:{spec.stage}:more") is not None
    more = _once(log, f"selected:{spec.stage}:more", choose)
    if more and not noted:
        text = f"{len(more)} more, since models do not predict short trainings here: {_named(problem, more)}"
        log.append_event(spec.stage, "", CHOSEN, text)
    return more


def _noted(log: EvidenceLog, key: str) -> list[str]:
    """All that were chosen for a round, in the order of their choice."""
    notes = itertools.takewhile(bool, (log.noted(_numbered(key, number)) for number in itertools.count()))
    return [code for note in notes for code in json.loads(note or "[]")]


def _next_key(log: EvidenceLog, key: str) -> str:
    return next(found for number in itertools.count() if log.noted(found := _numbered(key, number)) is None)


def _numbered(key: str, number: int) -> str:
    return key if number == 0 else f"{key}:extended {number}"


def _once(log: EvidenceLog, key: str, choose: Callable[[], list[str]]) -> list[str]:
    noted = log.noted(key)
    if noted is None:
        noted = json.dumps(choose())
        log.note(key, noted)
    chosen: list[str] = json.loads(noted)
    return chosen
