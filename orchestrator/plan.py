"""What a run is going to do and what that costs, before anything is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.experiment import Experiment, ExperimentError, SupernetSpec, TrainingSpec
from orchestrator.stages import Stage
from trainables.supernet import list_supernets

SHORT_SHARE = 0.06
"""Length of a short training as a share of a full one: 12 of 200 epochs in NAS-Bench-201."""
ANCHORS = 2
"""Full trainings that put the order on the scale of final accuracies."""


def default_stages(experiment: Experiment, candidates: Sequence[str]) -> tuple[list[TrainingSpec], list[SupernetSpec]]:
    """Splits the budget when the experiment does not: short trainings for all, full ones for two, a supernet.

    Short trainings have a schedule of their own. With fewer than 25 full trainings to spend, every short run helps the
    order and the few full ones only calibrate it. What is left goes to a supernet where the space has one.
    """
    full = experiment.recipe.epochs
    budget = len(candidates) * full / experiment.speed_up
    short = max(1, min(round(SHORT_SHARE * full), int(budget / len(candidates))))
    trainings = [TrainingSpec(epochs=short)]
    left = budget - short * len(candidates)
    anchors = min(ANCHORS, int(left / full))
    if anchors and short < full:
        trainings.append(TrainingSpec(epochs=full, candidates=anchors))
        left -= anchors * full
    # Scoring is about half a training epoch per 10 candidates; an epoch is kept back for it.
    supernet_epochs = math.floor(left - 0.15 * len(candidates))
    supernets = []
    if supernet_epochs >= 5 and experiment.space.name in list_supernets():
        supernets = [SupernetSpec(epochs=min(supernet_epochs, full))]
    return trainings, supernets


def check_budget(experiment: Experiment, stages: Sequence[Stage], candidates: Sequence[str]) -> tuple[float, float]:
    """Epoch-equivalents that the evidence costs at most, and those that it may cost.

    Raises:
        ExperimentError: it costs more than it may; says by how much and what to change.
    """
    cost = sum(stage.cost for stage in stages)
    full = len(candidates) * experiment.recipe.epochs
    budget = full / experiment.speed_up
    if cost > budget + 1e-6:
        parts = ", ".join(f"{stage.name} {stage.cost:.1f}" for stage in stages)
        raise ExperimentError(
            f"budget: the evidence costs up to {cost:.1f} epochs ({parts}), but {experiment.budget} cheaper than full "
            f"training ({len(candidates)} x {experiment.recipe.epochs} epochs) is {budget:.1f}; "
            "shorten stages, give a scheduled one budget_epochs, or lower budget"
        )
    return cost, budget
