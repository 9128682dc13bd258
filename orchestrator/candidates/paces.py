"""Seconds of an epoch of the candidates, measured by workers on a few batches before a run trains anything."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import ray
from ray.exceptions import RayError
from scipy.optimize import nnls

from taurank.orchestrator.candidates.screening import Measured
from taurank.orchestrator.cluster import Cluster, Slot, connect, plan_slot
from taurank.orchestrator.evidence import COMPLETED, ENDED, FLOPS, STARTED, TIMING, VOID, EvidenceLog
from taurank.orchestrator.experiment import Budget, BudgetError, Experiment, ExperimentError
from taurank.orchestrator.planning import Pace, book_pace, check_device
from taurank.orchestrator.text import progress_bar
from taurank.spaces import Architecture, SpaceError, candidate_of, measure_size
from taurank.trainables.data import ImageData
from taurank.trainables.own import OwnCodeError, find_own_code
from taurank.trainables.training import (
    OWN_EPOCHS,
    EpochTime,
    Recipe,
    batches_needed,
    describe_failure,
    measure_epoch,
    measure_own_epoch,
    measured_share,
)

SAMPLE = 64
"""Networks that are timed at most; the seconds of others follow from their FLOPs."""
MOST_OF_BUDGET = 0.1
"""Share of the budget after which no other candidate is timed: of a short epoch, a few batches are much."""
FEWEST, FEWEST_OWN = 2, 1
"""Candidates that are timed whatever that takes: two networks, since seconds by FLOPs need two."""
SILENCE = 300.0
"""Seconds without an answer after which the rest is predicted: a network may hang, or the cluster be taken."""


@dataclass
class MeasuredPace:
    """The measurements of candidates, and where they were made.

    Attributes:
        slot: what a training takes.
        workers: trainings at once.
        found: by code; the reason where a candidate cannot be trained.
        others: candidates that were not measured.
        flops: of one image, by code, as far as they are known; those of ``others`` are predicted from them.
        began: Unix seconds.
        ended: the same.
    """

    slot: Slot
    workers: int
    found: dict[str, EpochTime | str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    flops: Mapping[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.time)
    ended: float = 0.0

    @property
    def pace(self) -> Pace:
        """The pace of the candidates; predicted for those that are not measured, or cannot be trained.

        Raises:
            ExperimentError: none of them can be trained.
        """
        share = self.slot.share
        seconds = {code: one.seconds * share for code, one in self.found.items() if isinstance(one, EpochTime)}
        if not seconds:
            raise ExperimentError(f"no candidate can be trained: {next(iter(self.found.values()))}")
        unknown = [code for code in (*self.found, *self.others) if code not in seconds]
        expected = seconds | predicted_seconds(seconds, self.flops, unknown)
        ordered = {code: expected[code] for code in (*self.found, *self.others)}
        return Pace(ordered, self.workers, share, self.device, len(self.others))

    @property
    def has_any(self) -> bool:
        """Whether any candidate was measured."""
        return any(isinstance(one, EpochTime) for one in self.found.values())

    @property
    def device(self) -> str:
        """What seconds are counted of."""
        return "gpu" if self.slot.gpus else "core"

    @property
    def epochs(self) -> float:
        """What the measurements cost, in epochs of the average candidate."""
        spent = sum(one.spent_seconds for one in self.found.values() if isinstance(one, EpochTime))
        return spent * self.slot.share / self.pace.mean

    def check_left(self, budget: Budget, full_epochs: int) -> None:
        """Refuses a budget of which the measurements leave less than an epoch of the fastest candidate.

        Raises:
            BudgetError: it is one.
        """
        pace = self.pace
        left = pace.epochs_of(budget, full_epochs) - self.epochs
        if not budget.is_full and left < min(pace.epoch_seconds.values()) / pace.mean:
            raise BudgetError(
                f"budget: of {budget} too little is left for an epoch of the fastest candidate, after an epoch of each "
                f"was estimated ({self.epochs * pace.mean:.2g} {self.device} seconds); give more"
            )

    def book(self, log: EvidenceLog) -> None:
        """Logs the measurements and their cost, and why a candidate could not be measured."""
        for trial in ("", TIMING):
            log.append_event(TIMING, trial, STARTED, at=self.began)
        pace, costs, share = self.pace, {}, self.slot.share
        seconds = dict(pace.epoch_seconds)
        for code, one in self.found.items():
            if isinstance(one, str):
                log.append_event(TIMING, f"{TIMING}/{code}", VOID, one)
                seconds[code] = math.nan
            else:
                costs[code] = one.spent_seconds * share, one.spent_epochs
        book_pace(log, replace(pace, epoch_seconds=seconds), costs)
        log.append_event(TIMING, TIMING, COMPLETED, at=self.ended)
        log.append_event(TIMING, "", ENDED, at=self.ended)


def predicted_seconds(
    seconds: Mapping[str, float], flops: Mapping[str, float], codes: Sequence[str]
) -> dict[str, float]:
    """Seconds of an epoch of candidates that were not measured: ``a + b FLOPs`` with a, b >= 0.

    The fit has the least relative error. Where FLOPs are unknown it is the mean of the measured ones.
    """
    mean = float(np.mean(list(seconds.values())))
    both = [code for code in seconds if flops.get(code, 0) > 0]
    if len(both) < 2:
        return dict.fromkeys(codes, mean)
    took, size = (np.array([values[code] for code in both]) for values in (seconds, flops))
    (constant, slope), _ = nnls(np.stack([1 / took, size / size.mean() / took], axis=1), np.ones(len(both)))
    return {code: constant + slope * flops[code] / size.mean() if flops.get(code, 0) > 0 else mean for code in codes}


def flops_of(
    experiment: Experiment, sizes: Mapping[str, Measured], codes: Sequence[str], data: ImageData
) -> dict[str, float]:
    """FLOPs of candidates by code, as far as they are known or can be measured; none of own code without features."""
    given = experiment.space.options.get("features", {}).get(FLOPS)
    if experiment.trainable is not None:
        return {} if given is None else {code: float(given[code]) for code in codes}
    found = {code: float(one.size.flops or 0) for code, one in sizes.items()}
    space, shape, classes = experiment.space.make(), data.input_shape, len(data.classes)
    for code in (code for code in codes if code not in found):
        with suppress(SpaceError):
            size = measure_size(space, Architecture(space.name, code), input_shape=shape, classes=classes)
            found[code] = float(size.flops or 0)
    return found


def measure_paces(
    experiment: Experiment,
    codes: Sequence[str],
    data: ImageData,
    *,
    address: str | None,
    flops: Mapping[str, float] | None = None,
) -> MeasuredPace:
    """Measures an epoch of candidates, as many at once as would be trained at once, with a progress bar.

    Where there are more than ``SAMPLE`` networks, or more candidates than ``MOST_OF_BUDGET`` suffices for, some of them
    are measured, spread over their FLOPs if these are known.

    Args:
        experiment: how they are trained, and the budget.
        codes: the candidates.
        data: the images; those of ``no_images`` for own training code.
        address: of the cluster; None for a local one.
        flops: of one image, by code.

    Raises:
        ClusterError: no cluster, or no room on it.
        BudgetError: the budget is in the time of a device that trainings do not run on.
        ExperimentError: no candidate can be trained.
    """
    resources = experiment.resources
    with connect(address, resources=resources) as cluster:
        slot = plan_slot(cluster, resources, trials=len(codes))
        check_device(experiment.allowance, "gpu" if slot.gpus else "core")
        title = "timing an epoch of each candidate"
        with progress_bar(title) as progress:
            measured = time_candidates(experiment, codes, data, cluster, slot, flops=flops or {}, progress=progress)
    measured.pace  # noqa: B018 - refuses candidates of which none can be trained
    return measured


def time_candidates(
    experiment: Experiment,
    codes: Sequence[str],
    data: ImageData,
    cluster: Cluster,
    slot: Slot,
    *,
    flops: Mapping[str, float],
    progress: Callable[[int, int], object],
    most_epochs: float = math.inf,
    silence: float = SILENCE,
) -> MeasuredPace:
    """The same on a cluster that is connected.

    Args:
        experiment: see ``measure_paces``.
        codes: the same.
        data: the same.
        cluster: where.
        slot: what each takes.
        flops: see ``measure_paces``.
        progress: receives how many are done, of how many.
        most_epochs: epoch-equivalents that the measurements may cost; none is made if that is too little for one.
        silence: see ``SILENCE``.
    """
    few = None if experiment.trainable is not None else _few(experiment, codes, data)
    ordered = sorted(codes, key=lambda code: flops.get(code, 0.0))
    count = _count(experiment, codes, data, most_epochs)
    # The one in the middle stands for the others best.
    wanted = [ordered[len(ordered) // 2]] if count == 1 else spread(ordered)[:count]
    measured = MeasuredPace(slot, max(1, min(cluster.places(slot), len(codes))), flops=flops)
    task = ray.remote(num_cpus=slot.cpus, num_gpus=slot.gpus, max_retries=0)(_timer(experiment, slot, data))
    images, answers = ray.put(few), dict[str, EpochTime | str]()
    waiting, calls = list(wanted), dict[ray.ObjectRef, str]()
    while waiting or calls:
        if _has_taken_its_share(experiment, len(codes), measured, answers):
            waiting.clear()
        while waiting and len(calls) < measured.workers:
            code = waiting.pop(0)
            calls[task.remote(code, experiment.recipe_of(code), images)] = code
        done, _ = ray.wait(list(calls), timeout=silence) if calls else ([], [])
        if not done:
            for call, code in calls.items():
                ray.cancel(call, force=True)
                answers[code] = f"no answer within {silence:.0f} seconds"
            break
        code = calls.pop(done[0])
        answers[code] = _answer(done[0])
        timed = [one for one in answers.values() if isinstance(one, EpochTime)]
        if len(timed) == 1:
            measured.began = time.time() - timed[0].spent_seconds  # its worker was starting before
        progress(len(answers), len(wanted))
    measured.found |= {code: answers[code] for code in codes if code in answers}
    measured.others = tuple(code for code in codes if code not in answers)
    measured.ended = time.time()
    return measured


def spread(ordered: Sequence[str]) -> list[str]:
    """The same in an order of which each beginning covers the whole: the ends first, then ever finer between them."""
    last, places = len(ordered) - 1, dict[int, None]()
    for steps in (2**power for power in range(len(ordered).bit_length() + 1)):
        places |= dict.fromkeys(round(last * step / steps) for step in range(steps + 1))
    return [ordered[place] for place in places]


def _few(experiment: Experiment, codes: Sequence[str], data: ImageData) -> ImageData:
    """The images that the measurements need."""
    return batches_needed(max(map(experiment.recipe_of, codes), key=lambda recipe: recipe.batch_size), data)


def _count(experiment: Experiment, codes: Sequence[str], data: ImageData, most_epochs: float) -> int:
    """How many candidates are measured at most."""
    full, factor = experiment.recipe.epochs, experiment.allowance.factor
    own = experiment.trainable is not None
    if own:
        each = float(min(OWN_EPOCHS, full))
    else:
        each = max(measured_share(experiment.recipe_of(code), data) for code in codes)
    share = math.inf if factor is None else MOST_OF_BUDGET * len(codes) * full / factor
    most = max(share / each, FEWEST_OWN if own else FEWEST)
    return math.floor(min(len(codes), most, most_epochs / each, math.inf if own else SAMPLE))


def _has_taken_its_share(
    experiment: Experiment, candidates: int, measured: MeasuredPace, answers: Mapping[str, EpochTime | str]
) -> bool:
    """Whether the measurements have taken ``MOST_OF_BUDGET``, in seconds: also those that building a network takes."""
    timed = [one for one in answers.values() if isinstance(one, EpochTime)]
    if len(timed) < (FEWEST if experiment.trainable is None else FEWEST_OWN):
        return False
    budget, share = experiment.allowance, measured.slot.share
    spent = sum(one.spent_seconds for one in timed) * (1 / measured.workers if budget.is_wall else share)
    total = budget.seconds
    if budget.factor is not None:
        each = share * sum(one.seconds for one in timed) / len(timed)
        total = candidates * experiment.recipe.epochs * each / budget.factor
    return total is not None and spent >= MOST_OF_BUDGET * total


def _answer(done: ray.ObjectRef) -> EpochTime | str:
    try:
        found: EpochTime | str = ray.get(done)
    except RayError as error:
        return f"its worker was lost: {str(error).strip().splitlines()[-1].strip()[:300]}"
    return found


def _timer(
    experiment: Experiment, slot: Slot, data: ImageData
) -> Callable[[str, Recipe, ImageData | None], EpochTime | str]:
    """What a worker calls; it carries no more of the experiment than it needs."""
    space, cpus, gpus = experiment.space.make(), slot.cpus, slot.gpus
    counts = {"train_images": len(data.train), "validation_images": len(data.validation)}
    own = None if experiment.trainable is None else find_own_code(experiment.trainable)
    seed, metric = experiment.seed, experiment.ranked_metric.name

    def measure(code: str, recipe: Recipe, few: ImageData | None) -> EpochTime | str:
        import torch

        torch.set_num_threads(max(1, int(cpus)))
        device = "cuda" if gpus and torch.cuda.is_available() else "cpu"

        def build() -> torch.nn.Module:
            assert few is not None
            shape, classes = few.input_shape, len(few.classes)
            return space.build_with(
                Architecture(space.name, code), recipe.model_options, input_shape=shape, classes=classes
            )

        try:
            if few is not None:
                return measure_epoch(build, recipe, few, device=device, **counts)
            assert own is not None
            candidate, epochs = candidate_of(code), recipe.epochs
            return measure_own_epoch(own, candidate, epochs=epochs, seed=seed, device=device, metric=metric)
        except OwnCodeError as error:
            return str(error)
        except Exception as error:
            return describe_failure(error, doing="trained")

    return measure
