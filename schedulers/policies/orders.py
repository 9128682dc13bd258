"""Final orders from the curves alone: what to rank by when a policy has left them at different epochs."""

import numpy as np

from taurank.schedulers.curves import CurveMatrix, Floats


def by_last_value(curves: CurveMatrix) -> Floats:
    """``last_value`` of each trial, (trials,), higher is better; -inf for none.

    Caveats: fair only where all trials stand at the same epoch, and as noisy as one validation.
    """
    from taurank.schedulers.curves import last_value

    return np.nan_to_num(last_value(curves), nan=-np.inf)


def by_best_so_far(curves: CurveMatrix) -> Floats:
    """``best_so_far`` of each trial, (trials,), higher is better; -inf for none.

    Less noisy than the last value, above all while the learning rate is large.

    Caveats: fair only where all trials stand at the same epoch; it favours trials with more epochs.
    """
    from taurank.schedulers.curves import best_so_far

    return np.nan_to_num(best_so_far(curves), nan=-np.inf)


def by_epochs_and_value(curves: CurveMatrix) -> Floats:
    """Places by (epochs trained, value there), (trials,), higher is better, from 1.

    Equal ones share the mean of their places. The order of halving policies: within a rung by value, and a trial
    that reached a higher rung stands above.

    Caveats: a trial that was stopped early counts as worse, which is the policy's guess and not a measurement.
    """
    counts, last = curves.counts, by_last_value(curves)
    # Equal pairs get one number, rising with the pair.
    _, places, sizes = np.unique(np.stack([counts, last], axis=1), axis=0, return_inverse=True, return_counts=True)
    means = sizes.cumsum() - (sizes - 1) / 2
    return np.asarray(means[places.ravel()])
