"""What a run is going to do and what that costs, before anything is spent."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from orchestrator.experiment import Experiment, ExperimentError, SupernetSpec, TrainingSpec
from orchestrator.rounds import plan_trainings, planned_epochs
from orchestrator.split import ROUNDING
from orchestrator.stages import Stage
from trainables.supernet import list_supernets

SUPERNET_EPOCHS = 5
"""A supernet of fewer epochs is not worth its scoring."""
SCORING_EPOCHS = 0.4
"""Kept back for each candidate that a supernet scores: enough for 1.2 times as many images as it trains on."""


def default_stages(experiment: Experiment, count: int) -> tuple[list[TrainingSpec], list[SupernetSpec]]:
    """Splits the budget when the experiment does not; see ``split.split_budget``.

    What trainings leave over goes to a supernet where the space has one. A budget below an epoch for each pays for
    one-epoch trainings of as many candidates as it can.
    """
    # Never the seed of the baseline: that would be the truth bought as evidence.
    taken = experiment.baseline.seeds if experiment.baseline else ()
    return split_stages(
        experiment.space.name,
        count,
        full_epochs=experiment.recipe.epochs,
        speed_up=experiment.speed_up,
        seed=next(seed for seed in itertools.count() if seed not in taken),
    )


def split_stages(
    space: str,
    count: int,
    *,
    full_epochs: int,
    speed_up: float,
    seed: int = 0,
    schedules: Sequence[int] | None = None,
) -> tuple[list[TrainingSpec], list[SupernetSpec]]:
    """The same for a space by its name; ``schedules`` are the lengths that can be trained, None for any."""
    budget = count * full_epochs / speed_up
    trainings = plan_trainings(count, full_epochs=full_epochs, budget_epochs=budget, seed=seed, schedules=schedules)
    left = budget - sum(planned_epochs(spec, count) for spec in trainings)
    supernet_epochs = math.floor(left - SCORING_EPOCHS * count)
    supernets = []
    if supernet_epochs >= SUPERNET_EPOCHS and space in list_supernets():
        supernets = [SupernetSpec(epochs=min(supernet_epochs, full_epochs), seed=seed)]
    return trainings, supernets


def candidate_count(experiment: Experiment) -> int:
    """How many candidates an experiment ranks."""
    if isinstance(experiment.candidates, list):
        return len(experiment.candidates)
    if experiment.candidates != "all":
        return experiment.candidates
    space = experiment.space.make()
    return sum(1 for _ in space.enumerate()) if space.size is None else space.size


def check_budget(experiment: Experiment, stages: Sequence[Stage], candidates: Sequence[str]) -> tuple[float, float]:
    """Epoch-equivalents that the evidence costs at most, and those that it may cost.

    Raises:
        ExperimentError: it costs more than it may; says by how much and what to change.
    """
    cost = sum(stage.cost for stage in stages)
    full = len(candidates) * experiment.recipe.epochs
    budget = full / experiment.speed_up
    if cost > budget + ROUNDING:
        parts = ", ".join(f"{stage.name} {stage.cost:.1f}" for stage in stages)
        raise ExperimentError(
            f"budget: the evidence costs up to {cost:.1f} epochs ({parts}), but {experiment.budget} cheaper than full "
            f"training ({len(candidates)} x {experiment.recipe.epochs} epochs) is {budget:.1f}; "
            "shorten stages, give a scheduled one budget_epochs, or lower budget"
        )
    return cost, budget
