"""Cost of a step that computes all options at once."""

from __future__ import annotations

import numpy as np
import torch

from taurank.spaces.flops import run_counted
from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.paths import Paths

_DRAWN = 20
"""Paths that the mean cost is estimated from."""


@torch.no_grad()
def mixing_work(supernet: Supernet, paths: Paths, input_shape: tuple[int, int, int]) -> float:
    """FLOPs of mixing all options that occur among the candidates, in those of an average path; at least 1.

    The path takes each option of a decision with equal probability. FLOPs are those of one image,
    counted as in `taurank.spaces.Size`: what adds no layer with weights costs nothing.

    Args:
        supernet: can mix.
        paths: the candidates.
        input_shape: of an image.
    """
    images = torch.zeros(1, *input_shape, device=next(supernet.parameters()).device)
    was_training = supernet.training

    def flops() -> int:
        return run_counted(supernet, images)[1]

    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(_DRAWN):
        supernet.activate(paths.code([int(generator.choice(allowed)) for allowed in paths.allowed]))
        drawn.append(flops())
    even = [torch.full((width,), 1.0 / width) for width in paths.options]
    with supernet.weighted(even, paths.allowed):
        mixed = flops()
    supernet.train(was_training)
    return max(1.0, mixed / float(np.mean(drawn)))
