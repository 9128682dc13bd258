"""Norm of the weights."""

from __future__ import annotations

from typing import ClassVar

import torch

from taurank.trainables.proxies.probe import Part, Probe
from taurank.trainables.proxies.proxy import Measured, Proxy


class L2Norm(Proxy):
    """Sum over layers of the Euclidean norm of the initial weights: the size of the layers that are computed.

    With PyTorch's initialisation a layer's norm depends on its width alone, so that it mostly counts layers.
    """

    name = "l2_norm"
    source = "Abdelfattah et al. 2021 (arXiv 2101.08134), released code"
    parts: ClassVar[frozenset[Part]] = frozenset({"weights"})
    passes = 0.5

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        weights = probe.shared.weights
        total = torch.stack([weight.double().norm() for weight in weights]).sum()
        return Measured(float(total), probe.covered(weights))
