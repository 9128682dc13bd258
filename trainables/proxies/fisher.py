"""Sensitivity of the loss to removing channels (Fisher)."""

from __future__ import annotations

from typing import ClassVar

from taurank.trainables.proxies.probe import Part, Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Need, Proxy


class Fisher(Proxy):
    """Half the mean over images of (sum over positions of activation * gradient)^2, summed over channels and layers.

    Activations are the outputs of convolutions, linear and attention layers, gradients those of the mean cross-entropy.
    Coverage is the share of these layers that the loss reaches.
    """

    name = "fisher"
    source = "Theis et al. 2018 (arXiv 1801.05787), equation 3; Turner et al. 2020 (arXiv 1906.04113), section 3"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})
    parts: ClassVar[frozenset[Part]] = frozenset({"activations"})
    published = Correlation(None, 0.36, "all of NAS-Bench-201, CIFAR-10: Abdelfattah et al. 2021, table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        probe.labels  # noqa: B018  (raises where there are none)
        shared = probe.shared
        if shared.fisher is None:
            raise VoidScoreError("the loss depends on no layer's activations")
        if float(shared.fisher) == 0:
            raise VoidScoreError("every activation or its gradient is zero: the last layer starts at zero")
        return Measured(float(shared.fisher), shared.fisher_layers / shared.layers)
