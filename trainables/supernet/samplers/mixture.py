"""All options at once, each with a weight that is learned by gradient descent."""

from __future__ import annotations

import numpy as np
import torch

from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.registry import can_mix
from taurank.trainables.supernet.samplers.logits import LogitSampler
from taurank.trainables.supernet.samplers.sampler import Group, Judge


class MixtureSampler(LogitSampler):
    """Differentiable search, first order: in each step the logits A learn, then the weights, both through a mixture.

    What a decision puts out is the sum over its options k of softmax(A)_k times what k puts out. The logits take a step
    by the gradient on held-back images, then the weights one by that on training images. Both compute all options, so
    a step costs several of a single path (`supernet.mixing`) and holds as much more memory, and an epoch has
    as many fewer of them. `LogitSampler` documents how the logits are learned, what its arguments are, and what the
    scores can tell.

    Known to end in skip connections: they pass gradients on from the first step, while convolutions have to learn, so
    their weight grows, the more the longer it goes on (Zela et al. 2020, arXiv 1909.09656; on NAS-Bench-201 the source
    ends in cells of nothing else). A mixture is also no network of the space: what it says of the single best options
    is a guess.

    Source: Liu et al. 2019, DARTS, arXiv 1806.09055, section 2.3 with xi = 0; github.com/quark0/darts.

    Raises:
        ValueError: also where the supernet of the space cannot mix.
    """

    can_be_split = False
    mixes = True

    def __init__(self, paths: Paths, *, learning_rate: float = 3e-4, seed: int = 0) -> None:
        super().__init__(paths, learning_rate=learning_rate, seed=seed)
        if not can_mix(paths.space):
            raise ValueError(
                f"the sampler mixture computes all options at once, which the supernet of {paths.space.name} cannot; "
                "take gumbel"
            )

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """Takes a step of the logits, then gives the mixture to train; its path is the most probable one."""
        self.learn_logits(judge, self._most_probable, self.cut(self.log_probabilities.exp()))
        with torch.no_grad():
            weights = self.cut(self.log_probabilities.exp())
        return Group((self._most_probable,), weights=weights)

    @property
    def _most_probable(self) -> str:
        return self.paths.code(self.log_probabilities.argmax(1).tolist())
