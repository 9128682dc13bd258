"""Number of weights."""

from __future__ import annotations

from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Measured, Proxy


class Params(Proxy):
    """Number of trainable weights, those that are never computed with included, as the benchmarks count.

    The baseline that every other proxy has to beat.
    """

    name = "params"
    source = "by definition"
    passes = 0.1

    def score(self, probe: Probe) -> Measured:
        """Higher is taken as better."""
        count = sum(parameter.numel() for parameter in probe.restored().parameters() if parameter.requires_grad)
        if count == 0:
            raise VoidScoreError("the network has no weights")
        return Measured(float(count))
