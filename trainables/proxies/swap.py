"""How many different on/off codes over the images the units of a network have (SWAP)."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import torch
from torch import Tensor, nn

from trainables.proxies.probe import Probe
from trainables.proxies.proxy import Measured, Need, Proxy, VoidScoreError, register_proxy
from trainables.proxies.recorders import CodeRecorder, LayerRecorder

IMAGES = 16
"""Images that the codes are over: the first ones of the batch."""

REPEATS = 32
"""Draws of the weights that are averaged over."""


@register_proxy
class Swap(Proxy):
    """Number of different on/off codes over 16 images among the units of the network, mean over 32 draws of weights.

    The code of a unit says for each image whether the unit is on; every unit that is computed counts. Weights of
    convolutions, linear and attention layers are drawn from N(0, 1) and biases are 0, in training mode; the weights
    that the network has do not matter. The score is at most 2^images: 65,536 for 16 images, which large networks come
    close to, and all networks reach if the batch has only a few images.

    Regularised, the authors multiply it by exp(-(params - mu)^2 / sigma), where mu and sigma say what size is wanted
    and are chosen for each space. That takes knowledge of all candidates and not of one network, so it is no proxy
    here: put `swap` and `params` together over the list, for instance by `fusion.log_rank_sum`.
    """

    name = "swap"
    source = "Peng et al. 2024 (arXiv 2403.04161), section 3"
    needs: ClassVar[frozenset[Need]] = frozenset({"rectifiers"})

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
            weights = _weights_of(network, images)
            for _ in range(REPEATS):
                _draw(network, weights)
                seen.zero_()
                with CodeRecorder(on_code):
                    finite &= network(images).isfinite().all()
                counts.append(seen.sum())
        if not units:
            raise VoidScoreError("no unit with a bend at zero (ReLU, GELU, SiLU ...) was computed")
        if not bool(finite):
            raise VoidScoreError("the output is not finite with weights from N(0, 1)")
        return Measured(float(torch.stack(counts).double().mean()))


def _weights_of(network: nn.Module, images: Tensor) -> list[Tensor]:
    by_id: dict[int, Tensor] = {}

    def on_layer(weights: Collection[Tensor], output: Tensor) -> None:
        by_id.update((id(weight), weight) for weight in weights)

    with LayerRecorder(on_layer):
        network(images)
    return list(by_id.values())


def _draw(network: nn.Module, weights: Collection[Tensor]) -> None:
    for weight in weights:
        weight.normal_()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
