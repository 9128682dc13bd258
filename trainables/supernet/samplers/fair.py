"""Every option of every decision equally often, in every single step."""

from __future__ import annotations

import numpy as np

from taurank.trainables.supernet.samplers.sampler import Group, Judge, PathSampler


class FairSampler(PathSampler):
    """Strict fairness: m paths a step that together take every option of a decision once.

    For each decision a random permutation of its m options is drawn, in every step and independently of the
    others; path j takes the j-th of each, and the gradients of all m are summed into one step. Where decisions differ
    in their number of options, m is the largest, and a decision with fewer uses further permutations, so that
    in no step two of its options are taken more than one time apart. A step costs m paths.

    Fair is the use of options, not of candidates: the paths are whatever the permutations make of them.

    Source: Chu et al. 2021, FairNAS, arXiv 1907.01845. Published code that uses the same permutations for
    a whole epoch trains only m paths in it; here they are those of one step.

    Args:
        paths: the candidates; the options that occur among them are drawn.

    Raises:
        ValueError: the space has no fixed decisions.
    """

    by_decision = True

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """As many paths as the decision with the most options has."""
        size = max(map(len, self.paths.allowed))
        columns = []
        for options in self.paths.allowed:
            rounds = -(-size // len(options))
            columns.append(np.concatenate([generator.permutation(options) for _ in range(rounds)])[:size])
        return Group(tuple(self.paths.code(row) for row in np.stack(columns, axis=1).tolist()))
