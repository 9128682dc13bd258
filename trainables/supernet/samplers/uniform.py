"""Every candidate with equal probability."""

from __future__ import annotations

import numpy as np

from taurank.trainables.supernet.samplers.sampler import Group, Judge, PathSampler


class UniformSampler(PathSampler):
    """One candidate a step, each as likely as any other (single path one-shot, Guo et al. 2020, section 3.2)."""

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """Any candidate."""
        return Group((self.paths.codes[generator.integers(len(self.paths))],))
