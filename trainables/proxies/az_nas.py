"""Expressivity, progressivity and trainability of the blocks of a network (AZ-NAS)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.trainables.proxies.blocks import Chain, chain_of_blocks
from taurank.trainables.proxies.initialisation import initialise
from taurank.trainables.proxies.layout import as_maps
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Measured, Need, Proxy

IMAGES = 64
SOURCE = "Lee and Ham 2024 (arXiv 2403.19232), section 3; code of cvlab-yonsei/AZ-NAS"
NEEDS: frozenset[Need] = frozenset({"blocks"})


class AzExpressivity(Proxy):
    """How evenly the features between the blocks spread over directions, summed over blocks.

    For the eigenvalues of the covariance of the channels, over images and positions, divided by their sum: p. Score:
    sum over blocks of the entropy -sum(p log(p + 1e-8)). It grows with the number of blocks and of channels. Random
    inputs (64, standard normal) and weights (He's initialisation), so that it needs no data; with `az_progressivity`,
    `az_trainability` and `flops` it makes the set `az_nas` of `fusion`, which is a rank sum over a list of candidates.

    The three take one pass together: its time is counted for the first of them. Coverage is the share of the network's
    blocks that lie on its longest chain.
    """

    name = "az_expressivity"
    source = SOURCE
    needs: ClassVar[frozenset[Need]] = NEEDS

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        flow = _flow_of(probe)
        return Measured(math.fsum(flow.entropies), flow.share)


class AzProgressivity(Proxy):
    """Smallest gain of expressivity from one block to the next.

    The least difference of the entropies of `az_expressivity` between neighbours. One block decides it.
    """

    name = "az_progressivity"
    source = SOURCE
    needs: ClassVar[frozenset[Need]] = NEEDS

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        flow = _flow_of(probe)
        gains = [after - before for before, after in zip(flow.entropies, flow.entropies[1:], strict=False)]
        return Measured(min(gains), flow.share)


class AzTrainability(Proxy):
    """How near to one the spectral norm of the blocks' Jacobians is.

    Mean over blocks of 2 - s - 1 / (s + 1e-6), at most 0: s is the spectral norm of the mean over images and positions
    of g_in g_out^T, with signs g_out drawn at random for the output of a block and g_in the gradient for its input.
    Where a block divides height and width, the positions that become one count as channels.

    A block that hands on its input unchanged is left out, since its s is one by construction; the original gives the
    whole network the worst score for it. Coverage falls with each block left out.
    """

    name = "az_trainability"
    source = SOURCE
    needs: ClassVar[frozenset[Need]] = NEEDS

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        flow = _flow_of(probe)
        terms = [2 - norm - 1 / (norm + 1e-6) for norm in flow.norms if not math.isnan(norm)]
        if not terms:
            raise VoidScoreError("every block hands on its input unchanged or enlarges it")
        return Measured(math.fsum(terms) / len(terms), flow.share * len(terms) / len(flow.norms))


@dataclass(frozen=True)
class _Flow:
    """Result of the pass.

    Attributes:
        entropies: Of the features before the first block and after each.
        norms: Spectral norm for each block but, where the images themselves go into it, the first; NaN where none can
            be had.
        share: Share of the network's blocks that were measured.
    """

    entropies: list[float]
    norms: list[float]
    share: float


def _flow_of(probe: Probe) -> _Flow:
    return probe.once("az_nas", partial(_measure, probe))


def _measure(probe: Probe) -> _Flow:
    network, images = probe.fresh(), probe.batch.images
    initialise(network, _he_normal)
    inputs = torch.randn(IMAGES, *images.shape[1:], device=images.device)
    chain = chain_of_blocks(network, inputs)
    if not bool(torch.stack([features.isfinite().all() for features in chain.features]).all()):
        raise VoidScoreError("the features of some blocks are not finite")
    layout = partial(_maps, inputs)
    entropies = torch.stack([entropy(layout(features.detach())) for features in chain.features])
    norms = torch.stack(_norms(chain, layout))
    return _Flow(entropies.tolist(), norms.tolist(), chain.share)


def _he_normal(weight: Tensor) -> Tensor:
    return nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")


def _maps(inputs: Tensor, features: Tensor) -> Tensor:
    maps = as_maps(features, inputs)
    if maps is None:
        raise VoidScoreError(f"the features before the first block have {features.dim()} dimensions, not 3 or 4")
    return maps


def _norms(chain: Chain, layout: Callable[[Tensor], Tensor]) -> list[Tensor]:
    found = []
    for before, after in zip(chain.features, chain.features[1:], strict=False):
        sign = torch.randint_like(after, 2) * 2 - 1
        (gradient,) = torch.autograd.grad(after, before, sign, retain_graph=True, materialize_grads=True)
        found.append(spectral_norm(layout(gradient), layout(sign)))
    return found


def entropy(maps: Tensor) -> Tensor:
    """Entropy of the spectrum of the channels' covariance, -sum(p log(p + 1e-8)), float64.

    Args:
        maps: (n, channels, height, width).
    """
    rows = _rows(maps)
    centred = rows - rows.mean(0)
    spectrum = torch.linalg.eigvalsh((centred.T @ centred).double()).clamp_min(0)
    share: Tensor = spectrum / spectrum.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return -(share * (share + 1e-8).log()).sum()


def spectral_norm(gradient: Tensor, sign: Tensor) -> Tensor:
    """Spectral norm of the mean over images and positions of gradient times sign transposed, float64.

    Args:
        gradient: For the input of a block, (n, channels, height, width).
        sign: For its output, likewise; where it has fewer positions, `factor` x `factor` of the input become one, after
            padding with zeros.

    Returns:
        NaN where the two are the same, or the positions do not fit.
    """
    nowhere = torch.full((), math.nan, dtype=torch.float64, device=sign.device)
    height, width = sign.shape[2:]
    factor = math.ceil(gradient.shape[2] / height)
    if factor != math.ceil(gradient.shape[3] / width) or gradient.shape[2] < height or gradient.shape[3] < width:
        return nowhere
    rows, columns = factor * height - gradient.shape[2], factor * width - gradient.shape[3]
    folded = functional.pixel_unshuffle(functional.pad(gradient, (0, columns, 0, rows)), factor)
    into, out = _rows(folded), _rows(sign)
    norm: Tensor = torch.linalg.matrix_norm((into.T @ out / len(out)).double(), ord=2)
    return torch.where((gradient == sign).all(), nowhere, norm) if gradient.shape == sign.shape else norm


def _rows(maps: Tensor) -> Tensor:
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])  # (n * height * width, channels)
