"""Number of different on/off codes of the units of a network (SWAP)."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Measured, Need, Proxy
from taurank.trainables.proxies.recorders import CodeRecorder, WeightRecorder

IMAGES = 16
"""Images that the codes are over: the first ones of the batch."""

REPEATS = 8
"""Draws of the weights that are averaged over. The source takes 32; the order of NAS-Bench-201 cells by one half of 16
draws agrees with that by the other half with tau .95."""


class Swap(Proxy):
    """Number of different on/off codes over 16 images among the units of the network, mean over draws of weights.

    The code of a unit contains for each image whether the unit is on; every unit that is computed counts. Weights of
    convolutions, linear and attention layers are drawn from N(0, 1) and biases are 0, in training mode; the weights
    that the network has do not matter. The score is at most 2^images: 65,536 for 16 images, which large networks come
    close to, and all networks reach if the batch has only a few images. `size_regularised` is for a list of networks.
    """

    name = "swap"
    source = "Peng et al. 2024 (arXiv 2403.04161), section 3"
    needs: ClassVar[frozenset[Need]] = frozenset({"rectifiers"})
    passes = 5.5

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        network, images = probe.fresh(), probe.batch.images[:IMAGES]
        n = len(images)
        powers = 2.0 ** torch.arange(n, device=images.device)
        seen = torch.zeros(2**n, dtype=torch.bool, device=images.device)
        finite = torch.ones((), dtype=torch.bool, device=images.device)
        counts, units = [], 0

        def on_code(code: Tensor) -> None:
            nonlocal units
            if code.dim() and code.shape[0] % n == 0:
                of_unit = code.reshape(n, -1)  # (n, units)
                seen[(powers @ of_unit.float()).long()] = True
                units += of_unit.shape[1]

        with torch.no_grad():
            with WeightRecorder() as layers:
                network(images)
            for _ in range(REPEATS):
                _draw(network, layers.weights)
                seen.zero_()
                with CodeRecorder(on_code):
                    finite &= network(images).isfinite().all()
                counts.append(seen.sum())
        if not units:
            raise VoidScoreError("no unit with a bend at zero (ReLU, GELU, SiLU ...) was computed")
        if not bool(finite):
            raise VoidScoreError("the output is not finite with weights from N(0, 1)")
        return Measured(float(torch.stack(counts).double().mean()))


def size_regularised(swap: ArrayLike, params: ArrayLike) -> NDArray[np.float64]:
    """Scores of a list of networks that favour the larger ones: swap * exp(-(params - mu)^2 / sigma).

    mu and sigma define the preferred size. The source sets them for each space; here mu is the size of the largest
    network of the list and sigma is mu^2, so that the factor falls from 1 for the largest to 1/e for one without
    weights. That takes no knowledge of accuracies, but supposes that within the list larger is better. On 60 cells of
    NAS-Bench-201: tau .75 with accuracy on CIFAR-10, against .64 of swap and .69 of params.

    Args:
        swap: (networks,).
        params: Number of weights, (networks,).

    Returns:
        (networks,), NaN where one of the two is. Higher is better.
    """
    sizes = np.asarray(params, np.float64)
    factor: NDArray[np.float64] = np.exp(-((sizes / np.nanmax(sizes) - 1) ** 2))
    return np.asarray(swap, np.float64) * factor


def _draw(network: nn.Module, weights: Collection[Tensor]) -> None:
    for weight in weights:
        weight.normal_()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
