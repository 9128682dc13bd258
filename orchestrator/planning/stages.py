"""What a run is going to do and what that costs, before anything is spent."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from taurank.orchestrator.experiment import (
    ASSUMED_TRAIN,
    Experiment,
    ImageCounts,
    ProxySpec,
    SupernetSpec,
    TrainingSpec,
)
from taurank.orchestrator.planning.pace import Pace, affordable_epochs, speed_up
from taurank.orchestrator.planning.rounds import plan_trainings, planned_epochs
from taurank.trainables.proxies import batch_size
from taurank.trainables.supernet import list_supernets

SUPERNET_EPOCHS = 5
"""A supernet of fewer epochs is not worth its scoring."""
DEFAULT_PROXIES = (ProxySpec(names=["jacob_cov", "nwot"]), ProxySpec(names=["jacob_cov"]))
"""What complements size best, the first that is cheap; more of them add nothing in replays (docs/how-to/proxies.md)."""
PROXY_SHARE = 0.05
"""Of the budget that proxies may cost before they are no longer cheap: a batch is much of a small data set."""
ASSUMED_IMAGES = ImageCounts(ASSUMED_TRAIN, ASSUMED_TRAIN // 4)
"""Images where nothing is known of any: validation takes its default, a fifth of those there are."""


def default_proxies(
    experiment: Experiment, *, train_images: int, values: int | None = None, pace: Pace | None = None
) -> ProxySpec | None:
    """The proxies of an experiment: its own, or ``cheap_proxies`` where stages are default.

    Args:
        experiment: what is run.
        train_images: how many there are.
        values: numbers in an image, if known: they determine how many images the batch has where the experiment does
            not.
        pace: of the candidates, under a budget in time.
    """
    if experiment.proxies != "auto":
        return with_batch(experiment.proxies, values)
    if experiment.trainings is not None or experiment.supernets is not None:
        return None
    found = cheap_proxies(experiment.recipe.epochs, speed_up=speed_up(experiment, pace), train_images=train_images)
    return with_batch(found, values)


def with_batch(proxies: ProxySpec | None, values: int | None) -> ProxySpec | None:
    """The proxies with the default batch of images of ``values`` numbers.

    They stay as they are where they state a batch, and where ``values`` is None, unknown.
    """
    if proxies is None or proxies.images is not None or values is None:
        return proxies
    return proxies.model_copy(update={"images": batch_size(values)})


def cheap_proxies(full_epochs: int, *, speed_up: float, train_images: int) -> ProxySpec | None:
    """The first of ``DEFAULT_PROXIES`` that cost no more than ``PROXY_SHARE`` of the budget.

    None where none is so cheap, where there are fewer images than they take, and where every candidate can be trained
    to the end: proxies add nothing then.
    """
    if speed_up <= 1:
        return None
    for spec in DEFAULT_PROXIES:
        if train_images >= spec.batch_images and spec.epochs(train_images) <= PROXY_SHARE * full_epochs / speed_up:
            return spec
    return None


def default_stages(
    experiment: Experiment, count: int, *, images: ImageCounts, proxy_epochs: float = 0.0, pace: Pace | None = None
) -> tuple[list[TrainingSpec], list[SupernetSpec]]:
    """Splits the budget when the experiment does not, less what proxies cost; see ``split.split_budget``.

    What trainings leave over goes to a supernet where the space has one and as far as it pays for its scores too. A
    budget below an epoch for each candidate pays for one-epoch trainings of as many as it can. What a budget in time
    has beyond full training of all candidates is left.
    """
    # Never the seed of the baseline: it is reserved for the reference.
    taken = experiment.baseline.seeds if experiment.baseline else ()
    return split_stages(
        experiment.space.name,
        count,
        full_epochs=experiment.recipe.epochs,
        budget_epochs=affordable_epochs(experiment, count, pace) - proxy_epochs,
        seed=next(seed for seed in itertools.count() if seed not in taken),
        images=images,
        anchors=experiment.anchors,
    )


def split_stages(
    space: str,
    count: int,
    *,
    full_epochs: int,
    budget_epochs: float,
    images: ImageCounts,
    seed: int = 0,
    schedules: Sequence[int] | None = None,
    anchors: int = 0,
) -> tuple[list[TrainingSpec], list[SupernetSpec]]:
    """The same for a space by its name; ``schedules`` are the lengths that can be trained, None for any."""
    budget = max(budget_epochs, 0.0)
    trainings = plan_trainings(
        count, full_epochs=full_epochs, budget_epochs=budget, seed=seed, schedules=schedules, anchors=anchors
    )
    left = min(budget, count * full_epochs) - sum(planned_epochs(spec, count) for spec in trainings)
    epochs = math.floor(left - count * SupernetSpec().score_cost(images))
    supernets = []
    if epochs >= SUPERNET_EPOCHS and space in list_supernets():
        supernets = [SupernetSpec(epochs=min(epochs, full_epochs), seed=seed)]
    return trainings, supernets


def candidate_count(experiment: Experiment) -> int:
    """How many candidates an experiment ranks."""
    if isinstance(experiment.candidates, list):
        named, matched = experiment.listed()
        return len(named) + len(matched)
    if experiment.candidates != "all":
        return experiment.candidates
    space = experiment.space.make()
    return sum(1 for _ in space.enumerate()) if space.size is None else space.size
