"""The prunings of a te_nas search: trials in workers, before the proposals that they leave are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from taurank.orchestrator.campaigns.search_set_up import spec_of
from taurank.orchestrator.evidence import COMPLETED, EvidenceLog
from taurank.orchestrator.experiment import MEASURED_BY_IMAGES, PRUNING_IMAGES, SchedulerSpec, searcher_options
from taurank.orchestrator.runs import Run
from taurank.orchestrator.search import Constraints, Problem, SearchError, TeNasSearcher
from taurank.orchestrator.stages import Stage, trial_spec
from taurank.trainables.data import ImageData
from taurank.trainables.proxies import ProxyBatch, draw_batch, score_cost
from taurank.trainables.supernet import Paths
from taurank.trainables.trials import PruningTrial, kept_options

PRUNING = "pruning"
"""Stage of the log, and source of its rows."""

Prunings: TypeAlias = dict[int, tuple[int, ...]]
"""What prunings have left, by number: the position of the option of each decision."""


def prunes(run: Run) -> bool:
    """Whether the searcher of a run proposes what prunings leave."""
    return spec_of(run.experiment).method == MEASURED_BY_IMAGES


def pruning_stage(run: Run, data: ImageData, numbers: Iterable[int]) -> Stage:
    """Prunings by number, one trial each; a network costs as much as both of its figures as proxies."""
    experiment = run.experiment
    searcher = _searcher(run, {}, None)
    codes = Paths.covering(searcher.space).codes
    counts = {"images": _images(run), "initialisations": 1, "train_images": len(data.train)}
    cost = sum(score_cost(name, **counts) for name in ("ntk_condition", "linear_regions"))
    specs = tuple(
        replace(
            trial_spec(experiment, f"{PRUNING}/{number}", codes, experiment.recipe, experiment.seed, run.folder),
            label=f"pruning {number + 1}",
            pruning=searcher.pruning(number),
            epoch_share=cost,
        )
        for number in numbers
    )
    networks = searcher.pruning(0).networks
    return Stage(
        name=PRUNING,
        source=PRUNING,
        specs=specs,
        trainable=PruningTrial,
        scheduler=SchedulerSpec(),
        schedule_epochs=networks,
        planned_epochs=len(specs) * networks * cost,
    )


def logged_prunings(log: EvidenceLog) -> Prunings:
    """All complete prunings.

    Raises:
        SearchError: one has failed.
    """
    rows = log.evidence()
    found: Prunings = {}
    for trial, (outcome, reason) in log.outcomes().items():
        stage, _, rest = trial.partition("/")
        if stage != PRUNING:
            continue
        if outcome != COMPLETED:
            raise SearchError(f"{trial}: the pruning has failed: {reason}; begin another search, with another method")
        own = rows[rows["trial"] == trial]
        found[int(rest.split("/")[0])] = kept_options(zip(own["metric"], own["value"], strict=True))
    return found


def prune(
    run: Run, data: ImageData, launch: Callable[[Stage, ProxyBatch], None], *, constraints: Constraints | None
) -> Prunings:
    """Runs the prunings that the search needs and its log lacks, as many at a time as proposals are missing.

    Args:
        run: the run folder of the search.
        data: its images.
        launch: runs the missing part of a stage.
        constraints: on the proposals.

    Returns:
        All prunings of the log.

    Raises:
        SearchError: a pruning has failed.
    """
    batch = draw_batch(data, images=_images(run), seed=run.experiment.seed)
    wanted = spec_of(run.experiment).evaluations
    while True:
        found = logged_prunings(run.log)
        searcher = _searcher(run, found, constraints)
        proposals = len(searcher.ask(wanted))
        if searcher.lacking is None:
            return found
        numbers = range(searcher.lacking, searcher.lacking + wanted - proposals)
        launch(pruning_stage(run, data, [number for number in numbers if number not in found]), batch)


def _searcher(run: Run, found: Mapping[int, tuple[int, ...]], constraints: Constraints | None) -> TeNasSearcher:
    experiment, spec = run.experiment, spec_of(run.experiment)
    problem = Problem(experiment.space.make(), experiment.seed, constraints)
    return TeNasSearcher(problem, prunings=found, **searcher_options(spec.method, spec.options))


def _images(run: Run) -> int:
    return int(spec_of(run.experiment).options.get("images", PRUNING_IMAGES))
