"""Sources of proposals that need no results: all architectures of a space, a random one, a mutant."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from taurank.spaces import Architecture, SearchSpace

LISTED = 100_000
"""Spaces of at most so many codes are listed; of larger ones architectures are drawn."""

_listed: WeakKeyDictionary[SearchSpace, tuple[Architecture, ...]] = WeakKeyDictionary()


def listed(space: SearchSpace) -> tuple[Architecture, ...] | None:
    """Every architecture of a small space that stands for a function, in the order of the space; None of a large one.

    Canonical and live ones only. Kept as long as the space is.
    """
    if space.size is None or space.size > LISTED:
        return None
    if space not in _listed:
        functions = dict.fromkeys(space.canonical(one) for one in space.enumerate())
        _listed[space] = tuple(one for one in functions if space.is_live(one))
    return _listed[space]


def draw_one(space: SearchSpace, generator: np.random.Generator) -> Architecture:
    """One at random, each function as likely."""
    every = listed(space)
    if every is None:
        return space.sample(1, generator)[0]
    return every[int(generator.integers(len(every)))]


def mutant(space: SearchSpace, parent: Architecture, generator: np.random.Generator) -> Architecture:
    """An architecture that takes another option for one random decision; as a function it may be its parent.

    In a space without fixed decisions it is a random neighbour, and a random architecture where there is none.
    """
    open_decisions = [place for place, options in enumerate(space.decisions) if len(options) > 1]
    if not open_decisions:
        neighbours = space.neighbours(parent)
        return neighbours[int(generator.integers(len(neighbours)))] if neighbours else draw_one(space, generator)
    choices = list(space.choices(parent))
    place = open_decisions[int(generator.integers(len(open_decisions)))]
    other = int(generator.integers(len(space.decisions[place]) - 1))
    choices[place] = other + (other >= choices[place])
    return space.choose(choices)
