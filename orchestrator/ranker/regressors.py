"""Regressors and classifiers of the final score with one interface, and their stack.

Each is made over fixed inputs of all candidates, is fitted to the labels of some, and predicts all:
``fit(rows, target)``, ``predict() -> (mean, sd)``, and ``left_out() -> (n,)``, its prediction of each labelled
candidate by a model without that label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy import optimize
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, GradientBoostingRegressor

from taurank.orchestrator.ranker.gaussian_process import Array, Block, GaussianProcess, Rows
from taurank.orchestrator.ranker.views import Scores, normal_scores

TREES = 300
SEARCH, ITERATIONS = 600, 40
FOLDS = 5
PAIRS = 4000
"""Pairs that the pairwise classifier learns from."""
OPPONENTS = 100
"""Labelled candidates against which wins are counted."""
PRIOR_LABELS = 40.0
"""Labels that the default weights of a stack are worth."""
LABEL_NOISE = 0.03
"""Noise variance of a full training that the process starts from, where the labels have the variance 1."""


@dataclass(frozen=True, eq=False)
class FinalInputs:
    """Inputs of the models of the final score, all (candidates, ...).

    Attributes:
        encoding: divided by the length-scales that were learned from the cheap views.
        scores: size, proxies, supernets, likewise, the completed short runs, and earlier knowledge.
        linear: what enters linearly: the prior order, the short runs, earlier knowledge, size.
        prior: the prior order's normal scores, (candidates,).
        flat: all columns as they are, for trees.
    """

    encoding: Array
    scores: Array
    linear: Array
    prior: Scores
    flat: Array


class Regressor(Protocol):
    """A model of the final score; higher is better."""

    def fit(self, rows: Rows, target: Scores, noise_factors: Scores) -> Regressor:
        """Learns from the labels of the candidates ``rows``; a label's noise variance is in units of the common one."""

    def predict(self) -> tuple[Scores, Scores]:
        """Mean and standard deviation of every candidate's score."""

    def left_out(self) -> Scores:
        """Prediction of each labelled candidate by a model that has not seen its label."""


PRIOR_SHARE = 0.85
"""Share of the prior order that is the process's mean: the rest is learned from the labels."""


class GaussianProcessRegressor:
    """Deviation of the score from the prior order: linear in the cheap views, smooth in encoding and scores."""

    def __init__(self, inputs: FinalInputs, generator: np.random.Generator) -> None:
        self._inputs, self._generator = inputs, generator
        self.process = final_process(inputs)

    def fit(self, rows: Rows, target: Scores, noise_factors: Scores) -> GaussianProcessRegressor:
        """See ``Regressor``."""
        search = np.sort(self._generator.choice(len(rows), min(SEARCH, len(rows)), replace=False))
        self._rows = rows
        residual = target - PRIOR_SHARE * self._inputs.prior[rows]
        self.process.fit(rows, residual, noise_factors=noise_factors, iterations=ITERATIONS, search=search)
        return self

    def predict(self) -> tuple[Scores, Scores]:
        """See ``Regressor``."""
        every_row = np.arange(len(self._inputs.prior))
        mean = PRIOR_SHARE * self._inputs.prior + self.process.mean(every_row)
        return mean, np.sqrt(np.maximum(self.process.posterior_variance(every_row), 0.0))

    def left_out(self) -> Scores:
        """See ``Regressor``."""
        return PRIOR_SHARE * self._inputs.prior[self._rows] + self.process.left_out()[0]


def final_process(inputs: FinalInputs) -> GaussianProcess:
    """The process of the deviation from the prior order, before it has seen labels."""
    blocks = [
        Block(inputs.linear, "linear", 0.1),
        Block(inputs.prior[:, None], "linear", 0.1),
        Block(inputs.encoding, "matern", 0.2, scale_sd=0.5),
        Block(inputs.scores, "matern", 0.2, scale_sd=0.5),
    ]
    return GaussianProcess(blocks, noise=LABEL_NOISE)


class ExtraTrees:
    """Extremely randomised trees (Geurts et al. 2006) with bootstrap, so that each label has trees without it."""

    def __init__(self, inputs: FinalInputs, generator: np.random.Generator) -> None:
        self._columns = inputs.flat
        self._trees = ExtraTreesRegressor(
            TREES, max_features=0.33, bootstrap=True, oob_score=True, random_state=int(generator.integers(2**31))
        )

    def fit(self, rows: Rows, target: Scores, noise_factors: Scores) -> ExtraTrees:
        """See ``Regressor``."""
        self._trees.fit(self._columns[rows], target, sample_weight=1 / noise_factors)
        return self

    def predict(self) -> tuple[Scores, Scores]:
        """See ``Regressor``; the standard deviation is that of the trees."""
        columns = self._columns.astype(np.float32)
        each = np.array([tree.predict(columns) for tree in self._trees.estimators_])  # (trees, candidates)
        return each.mean(axis=0), each.std(axis=0)

    def left_out(self) -> Scores:
        """See ``Regressor``."""
        oob: Scores = self._trees.oob_prediction_
        return oob


class BoostedTrees:
    """Gradient boosted trees (Friedman 2001), shallow and slow; left-out predictions by folds."""

    def __init__(self, inputs: FinalInputs, generator: np.random.Generator) -> None:
        self._columns, self._seed = inputs.flat, int(generator.integers(2**31))

    def fit(self, rows: Rows, target: Scores, noise_factors: Scores) -> BoostedTrees:
        """See ``Regressor``."""
        self._rows, self._target, self._factors = rows, target, noise_factors
        self._trees = self._fitted(np.arange(len(rows)))
        return self

    def predict(self) -> tuple[Scores, Scores]:
        """See ``Regressor``; the standard deviation is that of the left-out errors."""
        mean: Scores = self._trees.predict(self._columns)
        return mean, np.full(len(mean), float(np.std(self._target - self.left_out())))

    def left_out(self) -> Scores:
        """See ``Regressor``."""
        return self._left_out

    @cached_property
    def _left_out(self) -> Scores:
        return _by_folds(len(self._rows), lambda kept, out: self._fitted(kept).predict(self._columns[self._rows[out]]))

    def _fitted(self, places: Rows) -> GradientBoostingRegressor:
        trees = GradientBoostingRegressor(
            n_estimators=200, learning_rate=0.05, max_depth=3, subsample=0.7, max_features=0.33, random_state=self._seed
        )
        return trees.fit(
            self._columns[self._rows[places]], self._target[places], sample_weight=1 / self._factors[places]
        )


class PairwiseTrees:
    """Classifier of "A is better than B" on the difference of their columns; a candidate's score is its wins.

    Antisymmetric by construction, ``P(A, B) = (f(A - B) + 1 - f(B - A)) / 2``; comparisons need not be transitive, so
    candidates are ordered by their mean probability of beating the labelled ones (win counts), brought to the scale of
    the labels.
    """

    def __init__(self, inputs: FinalInputs, generator: np.random.Generator) -> None:
        self._columns, self._seed = inputs.flat, int(generator.integers(2**31))

    def fit(self, rows: Rows, target: Scores, noise_factors: Scores) -> PairwiseTrees:
        """See ``Regressor``."""
        self._rows, self._target = rows, target
        self._whole = self._fitted(np.arange(len(rows)))
        return self

    def predict(self) -> tuple[Scores, Scores]:
        """See ``Regressor``; the standard deviation is that of the left-out errors."""
        wins = self._wins(self._whole, np.arange(len(self._columns)), np.arange(len(self._rows)))
        own = wins[self._rows]
        slope, level = np.polyfit(own, self._target, 1) if np.ptp(own) > 0 else (0.0, float(self._target.mean()))
        return slope * wins + level, np.full(len(wins), float(np.std(self._target - self.left_out())))

    def left_out(self) -> Scores:
        """See ``Regressor``."""
        return self._left_out

    @cached_property
    def _left_out(self) -> Scores:
        def fold(kept: Rows, out: Rows) -> Scores:
            model = self._fitted(kept)
            own = self._wins(model, self._rows[kept], kept)
            slope, level = np.polyfit(own, self._target[kept], 1) if np.ptp(own) > 0 else (0.0, 0.0)
            scores: Scores = slope * self._wins(model, self._rows[out], kept) + level
            return scores

        return _by_folds(len(self._rows), fold)

    def _probability(self, model: ExtraTreesClassifier | None, difference: Array) -> Scores:
        if model is None:
            return np.full(len(difference), 0.5)
        forth, back = model.predict_proba(difference)[:, 1], model.predict_proba(-difference)[:, 1]
        better: Scores = (forth + 1 - back) / 2
        return better

    def _fitted(self, places: Rows) -> ExtraTreesClassifier | None:
        first, second = np.triu_indices(len(places), 1)
        first, second = places[first], places[second]
        differ = self._target[first] != self._target[second]
        first, second = first[differ], second[differ]
        if not len(first):
            return None
        if len(first) > PAIRS:
            kept = np.random.default_rng(self._seed).choice(len(first), PAIRS, replace=False)
            first, second = first[kept], second[kept]
        difference = self._columns[self._rows[first]] - self._columns[self._rows[second]]
        better = self._target[first] > self._target[second]
        trees = ExtraTreesClassifier(TREES // 2, min_samples_leaf=3, max_features=0.33, random_state=self._seed)
        trees.fit(np.concatenate([difference, -difference]), np.concatenate([better, ~better]))
        return trees

    def _wins(self, model: ExtraTreesClassifier | None, rows: Rows, places: Rows) -> Scores:
        """Mean probability of beating the labelled candidates at ``places``."""
        opponents = self._rows[places[np.linspace(0, len(places) - 1, min(OPPONENTS, len(places))).astype(int)]]
        wins = np.zeros(len(rows))
        for opponent in opponents:
            wins += self._probability(model, self._columns[rows] - self._columns[opponent])
        return wins / len(opponents)


def _by_folds(count: int, predict: Callable[[Rows, Rows], Scores]) -> Scores:
    """Left-out predictions of ``count`` labels by folds, each label in the fold of its place."""
    predicted = np.zeros(count)
    fold = np.arange(count) % min(FOLDS, count)
    for out in np.unique(fold):
        places = np.flatnonzero(fold == out)
        predicted[places] = predict(np.flatnonzero(fold != out), places)
    return predicted


REGRESSORS: dict[str, Callable[[FinalInputs, np.random.Generator], Regressor]] = {
    "gaussian-process": GaussianProcessRegressor,
    "extra-trees": ExtraTrees,
    "boosted-trees": BoostedTrees,
    "pairwise": PairwiseTrees,
}


def stack_weights(left_out: Sequence[Scores], target: Scores, defaults: Sequence[float]) -> Scores:
    """Weights of regressors, none below 0, adding up to 1, by their left-out predictions (Breiman 1996).

    Least squares of the target by the normal scores of the predictions, with a pull to ``defaults`` worth
    ``PRIOR_LABELS`` labels.
    """
    table = np.column_stack([normal_scores(np.where(np.isfinite(one), one, 0.0)) for one in left_out])
    wanted = np.array(defaults, dtype=float) / np.sum(defaults)
    truth = normal_scores(target)
    size = float(np.sqrt(np.mean(table**2)))
    system = np.vstack([table, np.sqrt(PRIOR_LABELS) * size * np.eye(len(wanted))])
    aim = np.concatenate([truth, np.sqrt(PRIOR_LABELS) * size * wanted])
    weights, _ = optimize.nnls(system, aim)
    total = weights.sum()
    found: Scores = weights / total if total > 0 else wanted
    return found
