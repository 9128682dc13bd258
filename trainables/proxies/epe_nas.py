"""Correlation of input Jacobians within the classes (EPE-NAS)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional

from taurank.trainables.proxies.jacob_cov import jacobian_of, unit_rows
from taurank.trainables.proxies.probe import Part, Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Measured, Need, Proxy

EPSILON = 1e-5
MANY_CLASSES = 100


class EpeNas(Proxy):
    """How little the input Jacobians of images of one class correlate.

    With the correlation matrix R of the Jacobians of one class, s = sum(log(|R| + k)), k = 1e-5: sum over classes of
    |s|. Above 100 classes: s is divided by the images of its class, and the score is the sum over all ordered pairs of
    classes of |s - s'|, divided by the number of classes. Classes are those of which the batch holds two images or
    more; coverage is the share of images in them. With few images a class it is uninformative: tau falls from .58 to
    .22 where 256 images are spread over 120 classes. Compare scores of equal batches only.
    """

    name = "epe_nas"
    source = "Lopes et al. 2021 (arXiv 2102.08099), section 3; code of VascoLopes/EPE-NAS and NASLib"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})
    parts: ClassVar[frozenset[Part]] = frozenset({"jacobian"})

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        _, labels, counts = torch.unique(probe.labels, return_inverse=True, return_counts=True)
        belongs = functional.one_hot(labels).double()[:, counts > 1]  # (n, classes)
        if belongs.shape[1] == 0:
            raise VoidScoreError("no class has two images in the batch")
        rows = jacobian_of(probe)
        unit = unit_rows(rows)
        logarithms = ((unit @ unit.T).abs() + EPSILON).log()
        of_class = (belongs * (logarithms @ belongs)).sum(0)  # (classes,), sums over pairs of its images
        if len(of_class) <= MANY_CLASSES:
            value = of_class.abs().sum()
        else:
            of_class = of_class / belongs.sum(0)
            value = torch.cdist(of_class[:, None], of_class[:, None], p=1).sum() / len(of_class)
        return Measured(float(value), float(belongs.sum()) / len(rows))
