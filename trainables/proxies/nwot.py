"""Difference of the activation codes of images (NASWOT)."""

from __future__ import annotations

from typing import ClassVar

import torch

from taurank.trainables.proxies.probe import Part, Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Need, Proxy


class Nwot(Proxy):
    """Log-determinant of the matrix that counts, for each pair of images, the units in the same state.

    Only units from which a path leads to the output count, a unit once for each use. Compare scores of equal batches
    and resolutions only: the score grows with both.
    """

    name = "nwot"
    source = "Mellor et al. 2021 (arXiv 2006.04647v3), section 3, equation 2"
    needs: ClassVar[frozenset[Need]] = frozenset({"rectifiers"})
    parts: ClassVar[frozenset[Part]] = frozenset({"codes"})
    published = Correlation(0.571, 0.762, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        probe.check_distinct()
        kernel = probe.shared.agreement
        if kernel is None:
            raise VoidScoreError("no unit with a bend at zero (ReLU, GELU, SiLU ...) lies between images and output")
        sign, logarithm = torch.linalg.slogdet(kernel)
        if float(sign) <= 0:
            raise VoidScoreError("the units tell some of the images not apart: the determinant is zero")
        return Measured(float(logarithm))
