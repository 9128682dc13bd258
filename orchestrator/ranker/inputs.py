"""What the ranker knows about candidates before any of them was trained to the end: columns, standardised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import RidgeCV

from taurank.orchestrator.ranker.gaussian_process import Array
from taurank.orchestrator.ranker.views import Kind, Scores, View, normal_scores

MIN_SHORT_RUNS = 8
"""Fewer short trainings than this teach no model."""
RIDGES = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Penalties that predicting a missing score chooses from."""
CHEAP_SHARE = 0.5
"""Share of the variance of the final scores that a source without training is taken to explain: r is .71."""
FLAT = 1e-9
"""Standard deviation, as a share of the largest number, below which a column is constant but for rounding."""
FULL_SHARE = 0.95
"""Share that one full training explains: another seed would come out a little differently."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Columns of the models, all (candidates, ...), in the order of the candidates.

    Attributes:
        encoding: numeric description of the architectures, standardised, constant columns left out.
        scores: normal scores of size, proxies and supernets, predicted where one has no value.
        names: of the columns of ``scores``.
        kinds: of the columns of ``scores``.
        reliabilities: of the columns of ``scores``, in [0, 1]: share of the variance between candidates that is not
            noise; 1 where no noise is known.
    """

    encoding: Array
    scores: Array
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    reliabilities: tuple[float, ...]

    @property
    def count(self) -> int:
        """Number of candidates."""
        return len(self.encoding)


def make_inputs(encoding: Array, views: Sequence[View]) -> Inputs:
    """Inputs from the encoding, (candidates, features), and from the views that are no training of the candidate."""
    cheap = [view for view in views if not view.is_training]
    columns = [normal_scores(view.order) for view in cheap]
    varied = [view for view, column in zip(cheap, columns, strict=True) if np.nanstd(column) > 0]
    scores = np.column_stack([normal_scores(view.order) for view in varied]) if varied else np.zeros((len(encoding), 0))
    columns_of_encoding = standardised(encoding)
    return Inputs(
        encoding=columns_of_encoding,
        scores=_completed(columns_of_encoding, scores),
        names=tuple(view.name for view in varied),
        kinds=tuple(view.kind for view in varied),
        reliabilities=tuple(1.0 if np.isnan(view.reliability) else view.reliability for view in varied),
    )


def _completed(encoding: Array, scores: Array) -> Array:
    """Scores with what is missing predicted by ridge regression from the encoding and the other scores."""
    completed = filled(scores)
    for column in np.flatnonzero(np.isnan(scores).any(axis=0)):
        known = np.isfinite(scores[:, column])
        others = np.column_stack([encoding, np.delete(filled(scores), column, axis=1)])
        if known.sum() < MIN_SHORT_RUNS or not others.shape[1]:
            continue
        model = RidgeCV(alphas=RIDGES).fit(others[known], scores[known, column])
        span = scores[known, column].min(), scores[known, column].max()
        completed[~known, column] = np.clip(model.predict(others[~known]), *span)
    return completed


def standardised(columns: Array) -> Array:
    """Columns with mean 0 and standard deviation 1; those that are constant or not finite are left out."""
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    largest = np.abs(columns).max(axis=0, initial=0.0)
    columns = columns[:, largest > 0] / largest[largest > 0]  # squares of huge numbers would not be finite
    spread = columns.std(axis=0)
    varied = spread > FLAT
    scaled: Array = (columns[:, varied] - columns[:, varied].mean(axis=0)) / spread[varied]
    return scaled


def filled(scores: Scores) -> Scores:
    """Scores with 0, the middle, for what is missing."""
    return np.where(np.isfinite(scores), scores, 0.0)


def share(fidelity: float) -> float:
    """Share of the variance of the final scores that a training of this fidelity explains a priori.

    Most of the information of a training comes early: ``CHEAP_SHARE + (FULL_SHARE - CHEAP_SHARE) sqrt(fidelity)``.
    """
    return CHEAP_SHARE + (FULL_SHARE - CHEAP_SHARE) * float(np.sqrt(fidelity))


def weight(explained: float) -> float:
    """Weight in a sum of normal scores of a source that explains this share, 1 for one without training.

    With independent errors the best weights are proportional to ``r / (1 - r^2)``, r being the correlation with what
    is summed for.
    """

    def best(explained: float) -> float:
        return float(np.sqrt(explained)) / (1 - explained)

    return best(explained) / best(CHEAP_SHARE)
