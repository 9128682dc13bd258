"""Covariance of input Jacobians."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from taurank.trainables.proxies.probe import Part, Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Proxy

EPSILON = 1e-5


def jacobian_of(probe: Probe) -> Tensor:
    """Gradient of the sum of the logits for each image, float64, (n, channels * height * width).

    Raises:
        VoidScoreError: The output does not depend on the images, or two images are equal.
    """
    jacobian = probe.shared.jacobian
    if jacobian is None or not bool((jacobian != 0).any()):
        raise VoidScoreError("the output does not depend on the images")
    probe.check_distinct()
    return jacobian.double()


def unit_rows(rows: Tensor) -> Tensor:
    """Centres the rows of a Jacobian (n, entries) and scales them to length 1.

    Raises:
        VoidScoreError: A row is constant.
    """
    centred = rows - rows.mean(1, keepdim=True)
    lengths = centred.norm(dim=1, keepdim=True)
    if not bool((lengths > 0).all()):
        raise VoidScoreError("the output does not depend on some of the images")
    unit: Tensor = centred / lengths
    return unit


class JacobCov(Proxy):
    """How uncorrelated the input Jacobians of different images are.

    With eigenvalues v of the correlation matrix of the rows of the Jacobian: -sum(log(v + k) + 1 / (v + k)), k = 1e-5.
    The highest value, for n orthogonal rows, is -n (log(1 + k) + 1 / (1 + k)): compare scores of equal batches only.
    The batch needs fewer images than an image has values, preferably at most half as many.
    """

    name = "jacob_cov"
    source = (
        "Mellor et al. 2020 (arXiv 2006.04647v1), section 3; Abdelfattah et al. 2021 (arXiv 2101.08134), section 3.2"
    )
    parts: ClassVar[frozenset[Part]] = frozenset({"jacobian"})
    published = Correlation(0.616, 0.800, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        rows = jacobian_of(probe)
        if len(rows) >= rows.shape[1]:
            raise VoidScoreError(
                f"Jacobians of {rows.shape[1]} numbers each cannot all differ in direction for {len(rows)} images: "
                "take fewer images"
            )
        unit = unit_rows(rows)
        eigenvalues = torch.linalg.eigvalsh(unit @ unit.T).clamp_min(0) + EPSILON
        return Measured(-float((eigenvalues.log() + 1 / eigenvalues).sum()))
