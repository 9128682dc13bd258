"""The stages of a run before their candidates are selected: what they cost, and whether they can run at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from taurank.orchestrator.experiment import Experiment, ExperimentError, ProxySpec, SupernetSpec
from taurank.orchestrator.planning import Pace
from taurank.orchestrator.stages import (
    Stage,
    SupernetRun,
    baseline_stage,
    check_budget,
    check_policy,
    check_task,
    proxy_stage,
    training_stage,
)
from taurank.trainables.data import ImageData, smaller_side


@dataclass(frozen=True)
class PlannedRun:
    """What a run is going to do.

    Attributes:
        proxies: the stage that scores untrained networks, if there is one.
        supernets: in their order.
        trainings: of any candidates: any so many cost the same.
        baseline: the same; None for none.
    """

    proxies: Stage | None
    supernets: tuple[SupernetRun, ...]
    trainings: tuple[Stage, ...]
    baseline: Stage | None

    @property
    def cheap(self) -> list[Stage]:
        """The stages before the trainings."""
        first = [] if self.proxies is None else [self.proxies]
        return first + [stage for supernet in self.supernets for stage in supernet.planned]

    @property
    def evidence(self) -> list[Stage]:
        """All stages but the baseline, in their order."""
        return [*self.cheap, *self.trainings]


def plan_run(
    experiment: Experiment,
    candidates: tuple[str, ...],
    data: ImageData,
    folder: Path,
    *,
    trained_for: Callable[[SupernetSpec], int | None] = lambda spec: None,
    with_baseline: bool = True,
    pace: Pace | None = None,
    begun: bool = False,
) -> PlannedRun:
    """Plans the stages of an experiment whose stages are given.

    Args:
        experiment: what is run.
        candidates: codes.
        data: the images.
        folder: of the run; it need not exist.
        trained_for: how many of the candidates a supernet is trained for; None for all.
        with_baseline: whether the baseline is trained.
        pace: of the candidates, under a budget in time.
        begun: see ``check_budget``.

    Raises:
        ExperimentError: a stage cannot be run with these candidates and images, or the evidence costs more than the
            budget; one line.
    """
    supernets = tuple(
        SupernetRun(experiment, spec, candidates, candidates[: trained_for(spec)], folder, data)
        for spec in experiment.supernets or []
    )
    planned = PlannedRun(
        proxies=_proxies(experiment, candidates, data, folder),
        supernets=supernets,
        trainings=tuple(_trainings(experiment, candidates, data, folder)),
        baseline=_baseline(experiment, candidates, folder) if with_baseline else None,
    )
    check_budget(experiment, planned.evidence, candidates, pace=pace, begun=begun)
    return planned


def _proxies(experiment: Experiment, candidates: tuple[str, ...], data: ImageData, folder: Path) -> Stage | None:
    spec = experiment.proxies
    if not isinstance(spec, ProxySpec):
        return None
    return proxy_stage(experiment, spec, candidates, folder, train_images=len(data.train))


def _trainings(experiment: Experiment, candidates: tuple[str, ...], data: ImageData, folder: Path) -> list[Stage]:
    planned = []
    for spec in experiment.trainings or []:
        if spec.candidates != "all" and spec.candidates > len(candidates):
            raise ExperimentError(
                f"trainings: {spec.stage} asks for {spec.candidates} candidates; there are {len(candidates)}"
            )
        count = len(candidates) if spec.candidates == "all" else spec.candidates
        try:
            check_policy(spec, count)
            smaller_side(data, spec.resolution)
            check_task(experiment, spec, candidates[0], data)
        except ValueError as error:
            raise ExperimentError(f"trainings: {spec.stage}: {error}") from None
        planned.append(training_stage(experiment, spec, candidates[:count], folder))
    return planned


def _baseline(experiment: Experiment, candidates: tuple[str, ...], folder: Path) -> Stage | None:
    spec = experiment.baseline
    if spec is None:
        return None
    if spec.candidates != "all" and spec.candidates > len(candidates):
        raise ExperimentError(f"baseline: candidates: asks for {spec.candidates}; there are {len(candidates)}")
    count = len(candidates) if spec.candidates == "all" else spec.candidates
    return baseline_stage(experiment, spec, candidates[:count], folder)
