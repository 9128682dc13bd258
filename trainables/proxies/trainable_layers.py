"""Number of layers with weights."""

from __future__ import annotations

from typing import ClassVar

from taurank.trainables.proxies.probe import Part, Probe
from taurank.trainables.proxies.proxy import Correlation, Measured, Proxy


class TrainableLayers(Proxy):
    """Number of weights of convolutions, linear and attention layers that are computed: a measure of depth.

    A weight that is used several times counts once. Many candidates tie.
    """

    name = "trainable_layers"
    source = "Tybl and Neumann 2025 (VKDNW, arXiv 2502.04975), section 4"
    parts: ClassVar[frozenset[Part]] = frozenset({"weights"})
    passes = 0.5
    published = Correlation(0.626, 0.767, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is taken as better."""
        weights = probe.shared.weights
        return Measured(float(len(weights)), probe.covered(weights))
