"""Weights times gradients, signs kept."""

from __future__ import annotations

from typing import ClassVar

from taurank.trainables.proxies.gradients import sum_over_layers
from taurank.trainables.proxies.probe import Part, Probe
from taurank.trainables.proxies.proxy import Measured, Need, Proxy


class Plain(Proxy):
    """Sum over weights of weight * gradient of the loss.

    Positive and negative terms cancel, so that it is mostly noise: it is here because studies list it.
    """

    name = "plain"
    source = "Abdelfattah et al. 2021 (arXiv 2101.08134), released code"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})
    parts: ClassVar[frozenset[Part]] = frozenset({"gradients"})
    published = None

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        return sum_over_layers(probe, lambda weight, gradient: (weight * gradient).sum())
