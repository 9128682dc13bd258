"""Number of multiplications."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Proxy, register_proxy


@register_proxy
class Flops(Proxy):
    """Multiply-accumulates of convolutions, linear layers and attention for one image; dead branches do not count.

    Half of what torch counts, which takes a multiplication and an addition as two.
    """

    name = "flops"
    source = "by definition; the literature's count, as in taurank.spaces.size"
    passes = 0.4
    published = Correlation(0.623, 0.799, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is taken as better."""
        # eval: batch norm refuses to train on a single value per channel, which one small image gives.
        network, counter = probe.fresh().eval(), FlopCounterMode(display=False)
        with torch.no_grad(), counter:
            network(probe.batch.images[:1])
        if counter.get_total_flops() == 0:
            raise VoidScoreError("no convolution, linear or attention layer was computed")
        return Measured(counter.get_total_flops() / 2)
