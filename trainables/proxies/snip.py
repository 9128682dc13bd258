"""Sensitivity of the loss to removing single weights (SNIP)."""

from __future__ import annotations

from typing import ClassVar

from taurank.trainables.proxies.gradients import sum_over_layers
from taurank.trainables.proxies.probe import Part, Probe
from taurank.trainables.proxies.proxy import Correlation, Measured, Need, Proxy


class Snip(Proxy):
    """Sum over weights of |weight * gradient of the loss|: how much the loss feels that a weight is taken out.

    On NAS-Bench-201 it is uninformative among the best fifth of cells.
    """

    name = "snip"
    source = "Lee et al. 2019 (arXiv 1810.02340), section 4.1; Abdelfattah et al. 2021 (arXiv 2101.08134), equation 1"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})
    parts: ClassVar[frozenset[Part]] = frozenset({"gradients"})
    published = Correlation(0.431, 0.591, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        return sum_over_layers(probe, lambda weight, gradient: (weight * gradient).abs().sum())
