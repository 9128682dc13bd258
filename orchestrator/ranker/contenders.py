"""Contenders: candidates whose order a supernet cannot settle, and their order once they were trained on.

The question that the source of the nine MNIST networks leaves open (github.com/basic-go-ahead/supernet-mnist): take the
candidates that are too close to call out of the supernet, with their weights, train them a little on their own, and
rank them again among themselves.
"""

from __future__ import annotations

import numpy as np

from taurank.orchestrator.ranker.gaussian_process import Array

SHARING_SD = 0.25
"""Standard deviation of what sharing weights adds to a score, in log-odds: no number of images makes it smaller."""
UNSETTLED = 1.64
"""Gap, in standard deviations of the difference, below which the order of two candidates is not settled."""


def find_contenders(accuracies: Array, sds: Array, *, most: int | None = None) -> tuple[int, ...]:
    """Candidates that the order does not separate from a neighbour; with ``most`` those of the closest calls.

    Args:
        accuracies: with inherited weights, in [0, 1], (candidates,); NaN where there is none.
        sds: their standard deviations over draws of images, (candidates,).
        most: how many at most; None for no bound.

    Returns:
        Their positions, from the best to the worst by ``accuracies``.
    """
    order, distances = _distances(accuracies, sds)
    taken = np.zeros(len(order), dtype=bool)
    for pair in np.argsort(distances, kind="stable"):
        with_pair = taken.copy()
        with_pair[pair : pair + 2] = True
        if distances[pair] >= UNSETTLED:
            break
        if most is None or with_pair.sum() <= most:
            taken = with_pair
    return tuple(int(place) for place in order[taken])


def rank_again(accuracies: Array, sds: Array, trained_on: Array) -> Array:
    """Scores in which contenders share out the places of their group by how they did when trained on.

    A group is a chain of neighbours in the order that were all trained on, each too close to the next. It keeps the
    places that it has among the others. Equal accuracies, which are frequent with few images, are separated by the
    smallest step that there is.

    Args:
        accuracies: with inherited weights, (candidates,).
        sds: their standard deviations over draws of images, (candidates,).
        trained_on: accuracies after training on, (candidates,); NaN for those that were not.
    """
    order, distances = _distances(accuracies, sds)
    known = np.isfinite(trained_on[order])
    joined = (distances < UNSETTLED) & known[:-1] & known[1:]
    again = accuracies.copy()
    for group in np.split(order, np.flatnonzero(~joined) + 1):
        if len(group) > 1:
            best_first = group[np.argsort(-trained_on[group], kind="stable")]
            again[best_first] = _places(accuracies[group], trained_on[best_first])
    return again


def _places(accuracies: Array, trained_on: Array) -> Array:
    """Accuracies, best first, that fall wherever ``trained_on`` does."""
    places = accuracies.copy()
    for later in range(1, len(places)):
        before = places[later - 1]
        places[later] = min(
            places[later], np.nextafter(before, -np.inf) if trained_on[later] < trained_on[later - 1] else before
        )
    return places


def _distances(accuracies: Array, sds: Array) -> tuple[np.ndarray, Array]:
    """Candidates with an accuracy, best first, and how far each is from the next.

    That is their gap in log-odds over ``sqrt(s_i^2 + s_j^2)``, s being evaluation noise and ``SHARING_SD`` together.
    """
    order = np.flatnonzero(np.isfinite(accuracies))
    order = order[np.argsort(-accuracies[order], kind="stable")]
    inside = np.clip(accuracies[order], 1e-4, 1 - 1e-4)
    noise = np.hypot(np.nan_to_num(sds[order]) / (inside * (1 - inside)), SHARING_SD)
    return order, -np.diff(np.log(inside / (1 - inside))) / np.hypot(noise[:-1], noise[1:])
