"""Number of multiplications."""

from __future__ import annotations

from taurank.spaces.flops import run_counted
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Proxy


class Flops(Proxy):
    """Multiply-accumulates of all products of tensors for one image; dead branches do not count.

    The count is that of `taurank.spaces.Size`: half of what torch counts, which takes a multiplication and an addition
    as two.
    """

    name = "flops"
    source = "by definition; the literature's count, as in taurank.spaces.size"
    passes = 0.4
    published = Correlation(0.623, 0.799, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is taken as better."""
        _, flops = run_counted(probe.restored(), probe.batch.images[:1].clone())
        if flops == 0:
            raise VoidScoreError("no product of tensors (convolution, linear layer, attention ...) was computed")
        return Measured(float(flops))
