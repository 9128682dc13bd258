"""Entropy of the spectrum of the Fisher information (VKDNW)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Proxy
from taurank.trainables.proxies.sensitivities import entry_sensitivities

IMAGES = 32
"""Images that the Fisher information is averaged over: the first ones of the batch."""

TENSORS = 128
"""Parameters that it is about, the first ones of the network: time and memory grow with them."""

DIRECTIONS = 16
"""With more classes than this, so many random combinations of logits stand for all of them."""


class Vkdnw(Proxy):
    """Number of parameter tensors, plus the entropy of the spectrum of the Fisher information of one entry of each.

    With Jacobian J of an image's logits with respect to the first entries of the first 128 tensors (weights, biases and
    scales alike) and class probabilities p: F = mean over images of J^T (diag(p) - p p^T) J. The entropy
    -sum(q log q) is that of the nine inner deciles of the eigenvalues of F, scaled to sum 1; it lies in [0, log 9] and
    is highest where all directions can be estimated equally well. Tensors count 1 each, so that it orders networks of
    about equal depth; the number alone is most of the correlation. Labels are not used.

    The network keeps its weights (the source redraws them as He et al.), batch normalisation uses the statistics of
    the batch as constants (in the source those of the single image), and 32 images stand for 64. F has no more than
    images * (classes - 1) eigenvalues above zero: with two or three classes the entropy is uninformative.

    The published aggregate, tau .750 on the same cells, is `fusion.log_rank_sum` of vkdnw, jacob_cov, az_expressivity,
    az_trainability and flops.
    """

    name = "vkdnw"
    source = "Tybl and Neumann 2025 (arXiv 2502.04975), equations 8 to 12"
    passes = 3.1
    published = Correlation(0.618, 0.815, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        network = probe.fresh()
        tensors = list(network.parameters())
        chosen = tensors[:TENSORS]
        rows, read = entry_sensitivities(network, chosen, probe.batch.images[:IMAGES], fisher_directions)
        if len(read) < 9:
            raise VoidScoreError(f"only {len(read)} parameters act on the logits, too few for deciles; it takes 9")
        scaled = rows.flatten(0, 1) / math.sqrt(rows.shape[1])  # (combinations * n, parameters)
        if not bool(torch.isfinite(scaled).all()):
            raise VoidScoreError("the gradients are not finite")
        entropy = decile_entropy(torch.linalg.eigvalsh(scaled.T @ scaled))
        return Measured(len(tensors) + entropy, len(read) / len(chosen))


def fisher_directions(logits: Tensor) -> Tensor:
    """Combinations u of the logits of each image with sum(u u^T) = diag(p) - p p^T for p = softmax(logits).

    Up to 16 classes as many as there are classes, and exact; for more classes 16 random ones, right in expectation.

    Args:
        logits: (n, classes).

    Returns:
        float64, (combinations, n, classes).
    """
    p = logits.double().softmax(1)
    n, classes = p.shape
    if classes <= DIRECTIONS:
        mixtures = torch.eye(classes, dtype=p.dtype, device=p.device)[:, None, :]
    else:
        signs = torch.randint(0, 2, (DIRECTIONS, n, classes), device=p.device)
        mixtures = (signs.to(p.dtype) * 2 - 1) / math.sqrt(DIRECTIONS)
    weighted = mixtures * p.sqrt()
    return weighted - p * weighted.sum(2, keepdim=True)


def decile_entropy(eigenvalues: Tensor) -> float:
    """Entropy of the deciles .1 to .9 of a spectrum, scaled to sum 1: between 0 and log 9.

    Raises:
        VoidScoreError: All of them are zero.
    """
    eigenvalues = eigenvalues.clamp_min(0)
    levels = torch.arange(1, 10, dtype=eigenvalues.dtype, device=eigenvalues.device) / 10
    deciles = torch.quantile(eigenvalues, levels)
    if not bool(deciles[-1] > 0):
        raise VoidScoreError("the logits depend on too few of the parameters")
    shares = deciles / deciles.sum()
    return -float(torch.xlogy(shares, shares).sum())
