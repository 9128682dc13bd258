"""Number of weights of a supernet that each candidate uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.paths import Paths

_CHECKED = 20
"""Candidates on which the sum over decisions has to hold exactly before it is used."""


def count_weights(supernet: Supernet, paths: Paths) -> NDArray[np.int64]:
    """Elements of the weights and buffers that each candidate inherits, (candidates,).

    In most spaces every option adds a number of its own, whatever the others are. Then the numbers of one candidate and
    of all its changes in one decision give those of all; that is checked on some candidates, and where it does not hold
    every candidate is counted by itself.
    """

    def count(code: str) -> int:
        return sum(tensor.numel() for tensor in supernet.inherited(code).values())

    if paths.allowed and len(paths) > _CHECKED + sum(map(len, paths.allowed)):
        choices = np.array([paths.choices(code) for code in paths.codes])
        first, whole = choices[0], count(paths.codes[0])
        sizes = np.full(len(paths), whole, dtype=np.int64)
        for decision, options in enumerate(paths.allowed):
            for option in options:
                changed = first.copy()
                changed[decision] = option
                sizes[choices[:, decision] == option] += count(paths.code(changed.tolist())) - whole
        checked = np.linspace(0, len(paths) - 1, _CHECKED).astype(int)
        if all(count(paths.codes[place]) == sizes[place] for place in checked):
            return sizes
    return np.array([count(code) for code in paths.codes], dtype=np.int64)
