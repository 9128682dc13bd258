"""What a run is going to do and what that costs, before anything is spent."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from orchestrator.experiment import Experiment, ExperimentError, SupernetSpec, TrainingSpec
from orchestrator.stages import Stage
from trainables.supernet import list_supernets

SHORT_SHARE = 0.06
"""Length of a short training as a share of a full one: 12 of 200 epochs in NAS-Bench-201."""
ANCHORS = 2
"""Full trainings that put the order on the scale of final accuracies."""
SUPERNET_EPOCHS = 5
"""A supernet of fewer epochs is not worth its scoring."""
SCORING_EPOCHS = 0.4
"""Kept back for each candidate that a supernet scores: enough for 1.2 times as many images as it trains on."""
ROUNDING = 1e-6
"""So that 10x of 10 x 10 epochs is 10 epochs and not 9.999."""


def default_stages(experiment: Experiment, candidates: Sequence[str]) -> tuple[list[TrainingSpec], list[SupernetSpec]]:
    """Splits the budget when the experiment does not: short trainings for all, full ones for two, a supernet.

    Short trainings have a schedule of their own. With fewer than 25 full trainings to spend, every short run helps the
    order and the few full ones only calibrate it. What is left goes to a supernet where the space has one. A budget
    below an epoch for each pays for one-epoch trainings of as many candidates as it can.
    """
    full, count = experiment.recipe.epochs, len(candidates)
    left = count * full / experiment.speed_up + ROUNDING
    # Never the seed of the baseline: that would be the truth bought as evidence.
    taken = experiment.baseline.seeds if experiment.baseline else ()
    seed = next(seed for seed in itertools.count() if seed not in taken)

    trainings = []
    short = max(1, min(round(SHORT_SHARE * full), int(left / count)))
    shorts = min(count, int(left / short))
    if shorts:
        chosen: Literal["all"] | int = "all" if shorts == count else shorts
        trainings.append(TrainingSpec(epochs=short, candidates=chosen, seed=seed))
        left -= shorts * short
    anchors = min(ANCHORS, count, int(left / full))
    if anchors and short < full:
        trainings.append(TrainingSpec(epochs=full, candidates=anchors, seed=seed))
        left -= anchors * full
    supernet_epochs = math.floor(left - SCORING_EPOCHS * count)
    supernets = []
    if supernet_epochs >= SUPERNET_EPOCHS and experiment.space.name in list_supernets():
        supernets = [SupernetSpec(epochs=min(supernet_epochs, full), seed=seed)]
    return trainings, supernets


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
