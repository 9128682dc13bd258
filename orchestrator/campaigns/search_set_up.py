"""The proposals of a run, made from its experiment and its log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from taurank.orchestrator.candidates import KeptLatencies, Screen, add_size
from taurank.orchestrator.experiment import (
    Experiment,
    ExperimentError,
    SearchSpec,
    searcher_options,
)
from taurank.orchestrator.runs import Run
from taurank.orchestrator.scoring import costs
from taurank.orchestrator.search import ACCURACY, STAGE, Direction, Proposals, make_searcher
from taurank.orchestrator.stages import SharedResults, trial_spec
from taurank.spaces import Architecture
from taurank.trainables.data import ImageData
from taurank.trainables.trials import TrialSpec

Scores: TypeAlias = list[list[float]]
"""Scores of the options of each decision, higher is better; NaN for options that no architecture has."""


def spec_of(experiment: Experiment) -> SearchSpec:
    """The search settings of an experiment.

    Raises:
        ExperimentError: it has none.
    """
    if experiment.search is None:
        raise ExperimentError("search: the experiment lists its candidates; taurank run ranks those")
    return experiment.search


def make_proposals(
    run: Run,
    data: ImageData,
    *,
    screen: Screen,
    latencies: KeptLatencies | None,
    results: SharedResults | None,
    names: dict[str, str],
    scores: Scores | None = None,
    prunings: Mapping[int, Sequence[int]] | None = None,
) -> Proposals:
    """The proposals of a search, restored from its log.

    Args:
        run: the run folder of the search.
        data: its images.
        screen: checks the constraints.
        latencies: measured latencies, for an experiment that asks for them.
        results: trainings shared with other runs; None if they are not shared.
        names: the short name of each proposal is added to it.
        scores: for searchers that use the scores of a supernet.
        prunings: for te_nas; see `TeNasSearcher`.
    """
    experiment, log, spec = run.experiment, run.log, spec_of(run.experiment)
    space = experiment.space.make()
    epochs = spec.epochs or experiment.recipe.epochs
    objectives: dict[str, Direction] = {ACCURACY: "higher"}
    # nsga2 is the only searcher with several objectives.
    cost = ("flops" if latencies is None else "latency") if spec.method == "nsga2" else None
    if cost is not None:
        objectives[cost] = "lower"

    def book(code: str) -> dict[str, float]:
        names[code] = space.short(Architecture(space.name, code))
        add_size(log, experiment, code, data, screen.sizes)
        if latencies is not None:
            latencies.book(code)
        if cost is None:
            return {}
        return {cost: float(costs(log.evidence(), [code], "latency" if cost == "latency" else "flops")[0])}

    learned = {"scores": scores, "prunings": prunings}
    more: dict[str, Any] = {name: value for name, value in learned.items() if value is not None}
    searcher = make_searcher(
        spec.method,
        space,
        seed=experiment.seed,
        constraints=screen if experiment.bounds or space.foreign else None,
        objectives=objectives,
        **searcher_options(spec.method, spec.options),
        **more,
    )
    return Proposals(
        searcher,
        log,
        evaluations=spec.evaluations,
        full_epochs=experiment.recipe.epochs,
        spec=_maker(experiment, epochs, run.folder, results),
        book=book,
    )


def _maker(
    experiment: Experiment, epochs: int, folder: Path, results: SharedResults | None
) -> Callable[[str], TrialSpec]:
    def make(code: str) -> TrialSpec:
        recipe = experiment.short_recipe_of(code, epochs)
        spec = trial_spec(experiment, STAGE, [code], recipe, experiment.seed, folder)
        return spec if results is None else results.shared(spec)

    return make
