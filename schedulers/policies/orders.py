"""Final orders from the curves alone: what to rank by when a policy has left them at different epochs."""

import numpy as np
from scipy.stats import rankdata

from schedulers.curves.matrix import CurveMatrix, Floats


def by_last_value(curves: CurveMatrix) -> Floats:
    """The last finite value of each trial, (trials,), higher is better; -inf for none.

    Caveats: fair only where all trials stand at the same epoch, and as noisy as one validation.
    """
    counts = curves.counts
    last = _signed(curves)[np.arange(len(counts)), np.maximum(counts - 1, 0)]
    return np.asarray(np.where(counts > 0, last, -np.inf), dtype=np.float64)


def by_best_so_far(curves: CurveMatrix) -> Floats:
    """The best value that each trial has shown, (trials,), higher is better; -inf for none.

    Less noisy than the last value, above all while the learning rate is large.

    Caveats: fair only where all trials stand at the same epoch; it favours whoever had more chances.
    """
    values = _signed(curves)
    return np.asarray(np.where(np.isnan(values), -np.inf, values).max(axis=1), dtype=np.float64)


def by_epochs_and_value(curves: CurveMatrix) -> Floats:
    """Places by (epochs trained, value there), (trials,), higher is better, from 1.

    Equal ones share the mean of their places. The order of halving policies: within a rung by value, and whoever got to
    a higher rung stands above.

    Caveats: it takes being stopped early for being worse, which is what the policy believed and not what was measured.
    """
    counts, last = curves.counts, by_last_value(curves)
    # Equal pairs get one number, rising with the pair.
    _, places = np.unique(np.stack([counts, last], axis=1), axis=0, return_inverse=True)
    return np.asarray(rankdata(places.ravel()), dtype=np.float64)


def _signed(curves: CurveMatrix) -> Floats:
    return curves.values if curves.higher_is_better else -curves.values
