"""What the order is compared with: the sum of log ranks of a few cheap views that all candidates have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from taurank.orchestrator.experiment import TrainingSpec
from taurank.orchestrator.replay.bench import Bench
from taurank.orchestrator.replay.cheap import PROXY_EPOCHS
from taurank.orchestrator.replay.truth import EVIDENCE_METRIC

JACOV = "jacov"


@dataclass(frozen=True)
class Reference:
    """A simple baseline order: short trainings of all candidates, size and one proxy.

    Attributes:
        scores: sum over the views of log(rank), rank 1 is worst, (candidates,); NaN without a short value of each.
        cost: share of one full training of all candidates.
    """

    scores: NDArray[np.float64]
    cost: float


def make_reference(bench: Bench, trainings: Sequence[TrainingSpec], candidates: Sequence[str]) -> Reference | None:
    """The reference from the table, whatever the replay measured; None where it has no view that all candidates have.

    The short training is the shortest of ``trainings``, else the shortest schedule that the table has; FLOPs, or
    parameters without them; jacov where the table has it. A failed jacov is the worst.
    """
    index = list(candidates)
    epochs, schedule = _shortest(bench, trainings)
    views: dict[str, pd.Series] = {}
    cost = 0.0
    if epochs < bench.full_epochs:
        seed = bench.seeds[schedule]
        short = bench.table.at(EVIDENCE_METRIC, epoch=epochs, schedule_epochs=schedule, seed=seed).reindex(index)
        if short.notna().all():
            views["training"] = short
            cost = epochs / bench.full_epochs
    for metric in ("flops", "parameters"):
        if metric in bench.sizes and bench.sizes[metric].reindex(index).notna().all():
            views[metric] = bench.sizes[metric].reindex(index)
            break
    if JACOV in bench.proxies and set(index) <= set(bench.proxies.index):
        views[JACOV] = bench.proxies[JACOV].reindex(index).fillna(-np.inf)
        cost += PROXY_EPOCHS / bench.full_epochs
    if "training" not in views:
        return None
    scores = np.sum([np.log(stats.rankdata(view.to_numpy(dtype=float))) for view in views.values()], axis=0)
    return Reference(scores, cost)


def _shortest(bench: Bench, trainings: Sequence[TrainingSpec]) -> tuple[int, int]:
    """Epochs and schedule of the shortest training."""
    lengths = [(spec.last_epoch, spec.epochs) for spec in trainings]
    shorter = min(lengths, default=(bench.full_epochs, bench.full_epochs))
    return shorter if shorter[0] < bench.full_epochs else (min(bench.seeds), min(bench.seeds))
