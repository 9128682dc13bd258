"""Short trainings of a part of the candidates, completed for all: the first of the ranker's two stages.

A short run is a biased rather than a noisy view of the end, so a model of accuracy-when-short by architecture replaces
most of them: a Gaussian process and extremely randomised trees (Geurts et al. 2006), averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from sklearn.ensemble import ExtraTreesRegressor

from taurank.orchestrator.ranker.gaussian_process import Array, Block, GaussianProcess, Rows
from taurank.orchestrator.ranker.groups import cheap_score
from taurank.orchestrator.ranker.inputs import MIN_SHORT_RUNS, Inputs, filled
from taurank.orchestrator.ranker.views import Scores, View, normal_scores

SEARCH = 400
"""Short runs that length-scales are learned from."""
SOLVE = 2500
"""Short runs that the process takes in: its cost grows with their cube."""
ITERATIONS = 30
TREES = 300
DIVERGED, OUTLYING = 1.0, 4.0
"""A training has diverged when its score is below its prediction by 1 and by 4 times the typical error."""
NORMAL_MEDIAN = 0.6745
"""Median of the absolute value of a standard normal variable."""
SMALLEST_ACCURACY = 1e-3
"""Accuracies are kept that far from 0 and 1 on the logit scale."""
MOST_DIVERGED = 0.1
"""When more trainings than this share seem to have diverged, it is the prediction that is wrong."""
FEW, FAR, COMMON = 100, 5.0, 0.5
"""Among fewer candidates than the first, a training has diverged when its logit accuracy lies below the median by the
second times the typical deviation; its score is the third times that of the sources without training."""
LOSS_FADES = 2.0
"""The training loss of a run of fidelity f counts ``(1 - f)`` to this power: late in training it measures fit alone."""


@dataclass(frozen=True, eq=False)
class ShortRuns:
    """One view of short trainings, completed.

    Attributes:
        name: of the view.
        fidelity: share of full training that they are.
        measured: (candidates,): the normal score where there is one, else the prediction.
        predicted: (candidates,): the model's prediction for each candidate without its measurement.
        rows: candidates that were measured.
        imputability: correlation of ``predicted`` with ``measured`` over those: near 1, measuring more candidates adds
            little; NaN without a model.
        scales: length-scales of the encoding's columns, geometric mean 1.
        score_scales: the same of the scores' columns.
        is_loss: whether it is a training loss beside an accuracy of the same trainings.
        values: accuracies or negated losses as they were measured, (candidates,).
        halfway: normal scores at half of the length, (candidates,), or one NaN; see ``View``.
    """

    name: str
    fidelity: float
    measured: Scores
    predicted: Scores
    rows: Rows
    imputability: float
    scales: Scores
    score_scales: Scores
    is_loss: bool
    values: Scores
    halfway: Scores


def short_run_process(inputs: Inputs, *, relevance: bool = True) -> GaussianProcess:
    """The process of short runs before it has seen any."""
    columns = inputs.scores.shape[1]
    blocks = [
        Block(inputs.encoding, "matern", 0.3, relevance=relevance),
        Block(inputs.scores, "matern", 0.3, relevance=relevance),
        Block(inputs.scores / np.sqrt(max(columns, 1)), "linear", 0.3),
    ]
    return GaussianProcess(blocks, noise=0.2)


def complete_short_runs(inputs: Inputs, views: Sequence[View], generator: np.random.Generator) -> list[ShortRuns]:
    """Every view of short trainings, by ascending fidelity, with a prediction for the candidates it lacks.

    A later view is predicted from the earlier ones too.
    """
    completed: list[ShortRuns] = []
    cheap = cheap_score(inputs)
    broken = _diverged_stages(views, cheap) if inputs.count < FEW else {}
    for view in sorted((view for view in views if view.is_short), key=lambda view: (view.fidelity, not view.is_loss)):
        if inputs.count < FEW:
            values, diverged = view.order, broken.get(view.stage, np.zeros(inputs.count, dtype=np.bool_))
        else:
            values, diverged = _converged(inputs, view.order, generator), np.zeros(inputs.count, dtype=np.bool_)
        short = _complete(inputs, view, np.where(diverged, np.nan, values), generator)
        short.measured[diverged] = COMMON * cheap[diverged]
        completed.append(short)
        extra = np.column_stack([completed[-1].measured, completed[-1].predicted])
        inputs = Inputs(
            inputs.encoding,
            np.column_stack([inputs.scores, extra]),
            (*inputs.names, view.name, view.name),
            (*inputs.kinds, view.kind, view.kind),
            (*inputs.reliabilities, 1.0, 1.0),
        )
    return completed


def _diverged_stages(views: Sequence[View], cheap: Scores) -> dict[str, NDArray[np.bool_]]:
    """Candidates of each stage whose short training has diverged, (candidates,)."""
    stages: dict[str, NDArray[np.bool_]] = {}
    for view in views:
        if view.is_short and view.is_accuracy:
            stages[view.stage] = stages.get(view.stage, False) | diverged_ones(view.values, cheap)
    return stages


def diverged_ones(accuracies: Scores, cheap: Scores) -> NDArray[np.bool_]:
    """Which of a few trainings have diverged, (candidates,): far below the others although they need not have been.

    Those in the lower half by the sources without training may be as bad as they look. Where more than a tenth, and
    more than one, seem to have diverged, the accuracies are spread like that.

    Args:
        accuracies: of the trainings, in [0, 1], (candidates,); NaN for none.
        cheap: score of the sources without training, (candidates,).
    """
    rows = np.flatnonzero(np.isfinite(accuracies))
    none = np.zeros(len(accuracies), dtype=np.bool_)
    if len(rows) < MIN_SHORT_RUNS:
        return none
    logits = special.logit(np.clip(accuracies[rows], SMALLEST_ACCURACY, 1 - SMALLEST_ACCURACY))
    below = np.median(logits) - logits
    typical = float(np.median(np.abs(below))) / NORMAL_MEDIAN
    found = none.copy()
    found[rows] = (below > FAR * typical) & (cheap[rows] > np.median(cheap[rows]))
    return found if found.sum() <= max(1, MOST_DIVERGED * len(rows)) else none


def _complete(inputs: Inputs, view: View, values: Scores, generator: np.random.Generator) -> ShortRuns:
    scores = normal_scores(values)
    shown = view.values, normal_scores(view.halfway) if view.halfway.ndim else view.halfway
    rows = np.flatnonzero(np.isfinite(scores))
    target = scores[rows]
    unknown = np.ones(inputs.encoding.shape[1]), np.ones(inputs.scores.shape[1])
    if len(rows) < MIN_SHORT_RUNS or np.ptp(target) == 0:
        guess = filled(scores)
        return ShortRuns(view.name, view.fidelity, guess.copy(), guess, rows, np.nan, *unknown, view.is_loss, *shown)
    predicted, process = _gaussian(inputs, rows, target, generator)
    columns = np.column_stack([inputs.encoding, inputs.scores])
    if columns.shape[1]:
        predicted = (predicted + _trees(columns, rows, target, generator)) / 2
    measured = predicted.copy()
    measured[rows] = target
    spread = predicted[rows].std()
    agreement = float(np.corrcoef(predicted[rows], target)[0, 1]) if spread > 0 else 0.0
    scales, score_scales = unknown
    if process is not None:
        scales, score_scales = _scales(process, inputs)
    return ShortRuns(
        view.name, view.fidelity, measured, predicted, rows, agreement, scales, score_scales, view.is_loss, *shown
    )


def _converged(inputs: Inputs, values: Scores, generator: np.random.Generator) -> Scores:
    """The values without those of trainings that diverged: far below what architectures like theirs reach.

    A training that ended at chance is not informative about its architecture. It is taken out where its normal score is
    lower than predicted by ``DIVERGED`` and by ``OUTLYING`` times the typical error of the predictions.
    """
    scores = normal_scores(values)
    rows = np.flatnonzero(np.isfinite(scores))
    columns = np.column_stack([inputs.encoding, inputs.scores])
    if len(rows) < MIN_SHORT_RUNS or not columns.shape[1]:
        return values
    predicted = _trees(columns, rows, scores[rows], generator)[rows]
    errors = scores[rows] - predicted
    typical = float(np.median(np.abs(errors))) / NORMAL_MEDIAN
    diverged = errors < -max(DIVERGED, OUTLYING * typical)
    if diverged.mean() > MOST_DIVERGED:
        return values
    kept = values.copy()
    kept[rows[diverged]] = np.nan
    return kept


def _gaussian(
    inputs: Inputs, rows: Rows, target: Scores, generator: np.random.Generator
) -> tuple[Scores, GaussianProcess | None]:
    process = short_run_process(inputs)
    if not process.blocks:
        return np.zeros(inputs.count), None
    kept = np.arange(len(rows))
    if len(rows) > SOLVE:
        kept = np.sort(generator.choice(len(rows), SOLVE, replace=False))
    search = np.sort(generator.choice(len(kept), min(SEARCH, len(kept)), replace=False))
    process.fit(rows[kept], target[kept], iterations=ITERATIONS, search=search)
    predicted = process.mean(np.arange(inputs.count))
    predicted[rows[kept]] = process.left_out()[0]
    return predicted, process


def _trees(columns: Array, rows: Rows, target: Scores, generator: np.random.Generator) -> Scores:
    trees = ExtraTreesRegressor(
        TREES,
        min_samples_leaf=2,
        max_features=0.33,
        bootstrap=True,
        oob_score=True,
        random_state=int(generator.integers(2**31)),
    )
    trees.fit(columns[rows], target)
    predicted: Scores = trees.predict(columns)
    predicted[rows] = trees.oob_prediction_
    return predicted


def _scales(process: GaussianProcess, inputs: Inputs) -> tuple[Scores, Scores]:
    scales = [process.length_scales(index) for index, block in enumerate(process.blocks) if block.relevance]
    encoding = scales.pop(0) if inputs.encoding.shape[1] else np.ones(0)
    scores = scales.pop(0) if inputs.scores.shape[1] else np.ones(0)
    if len(encoding):
        encoding = encoding / np.exp(np.log(encoding).mean())
    return encoding, scores
