"""The metrics that have a fixed meaning in every table."""

from __future__ import annotations

import re
from collections.abc import Iterable

from taurank.trainables.table.format import Direction, Metric

_KNOWN = {
    "parameters": Metric("none", "count"),
    "flops": Metric("none", "operations"),
    "depth": Metric("none", "layers"),
    "score": Metric("higher"),
    "latency": Metric("lower", "ms"),
    "energy": Metric("lower", "mJ"),
    "updates": Metric("none", "count"),
    "option_updates": Metric("none", "count"),
    "sampler_score": Metric("higher"),
}


def is_accuracy(name: str) -> bool:
    """Whether a metric is an accuracy, and so a share in [0, 1]."""
    return name == "accuracy" or name.endswith("_accuracy")


_LOWER = frozenset((
    "bpb", "bpc", "brier", "cer", "cost", "cross_entropy", "crossentropy", "divergence", "drop", "ece", "energy",
    "entropy", "err", "error", "errors", "fid", "gap", "kl", "latency", "loss", "losses", "mae", "mape", "mse",
    "mspe", "nll", "perplexity", "place", "ppl", "rank", "regret", "rmse", "seconds", "std", "time", "wer",
))  # fmt: skip
_HIGHER = frozenset((
    "acc", "accuracies", "accuracy", "ap", "auc", "auprc", "auroc", "bleu", "correlation", "dice", "elbo", "f1",
    "fps", "iou", "kappa", "likelihood", "map", "mcc", "miou", "ndcg", "precision", "psnr", "r2", "recall", "return",
    "reward", "rouge", "score", "sensitivity", "specificity", "ssim", "throughput", "top1", "top5",
))  # fmt: skip
"""Words for numbers of which the lower or the higher ones are better."""
_NEGATED = frozenset(("neg", "negative", "minus"))


def direction_of(name: str) -> Direction:
    """Direction of a number by the last word of its name that determines it; "none" where no word does.

    Example:
        >>> direction_of("val_top1_error"), direction_of("testAcc"), direction_of("value")
        ('lower', 'higher', 'none')
    """
    words = [part for word in re.findall(r"[A-Za-z0-9]+", name) for part in _parts_of(word)]
    known = [word for word in words if word in _LOWER or word in _HIGHER]
    if not known:
        return "none"
    lower = (known[-1] in _LOWER) != (not _NEGATED.isdisjoint(words))
    return "lower" if lower else "higher"


def _parts_of(word: str) -> list[str]:
    """`validationLoss` as validation and loss; a word that says it as a whole (`mIoU`, `f1`) as it is."""
    if word.lower() in _LOWER | _HIGHER:
        return [word.lower()]
    return [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", word)]


def is_fixed(name: str) -> bool:
    """Whether a name has one meaning in every table, so that its direction cannot be chosen."""
    return describe(name).unit != "" or name in _KNOWN or name == "perplexity" or name.endswith("_perplexity")


def describe(name: str) -> Metric:
    """Meaning of a metric by its name: accuracies, losses, sizes and costs; else a number with `direction_of`."""
    if is_accuracy(name):
        return Metric("higher", "share")
    if name.endswith("_accuracy_sd"):
        return Metric("lower", "share")
    if name == "loss" or name.endswith("_loss"):
        return Metric("lower", "nats")
    if name == "perplexity" or name.endswith("_perplexity"):
        return Metric("lower")
    return _KNOWN.get(name) or Metric(direction_of(name))


def describe_all(names: Iterable[str]) -> dict[str, Metric]:
    """`describe` for several names, in their order."""
    return {name: describe(name) for name in names}
