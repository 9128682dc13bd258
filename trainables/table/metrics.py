"""The metrics that have a fixed meaning in every table."""

from __future__ import annotations

from collections.abc import Iterable

from taurank.trainables.table.format import Metric

_KNOWN = {
    "parameters": Metric("none", "count"),
    "flops": Metric("none", "operations"),
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


def describe(name: str) -> Metric:
    """What a metric means by its name: `..._accuracy`, `..._loss`, `..._perplexity`, sizes and costs; else a number."""
    if is_accuracy(name):
        return Metric("higher", "share")
    if name.endswith("_accuracy_sd"):
        return Metric("lower", "share")
    if name == "loss" or name.endswith("_loss"):
        return Metric("lower", "nats")
    if name == "perplexity" or name.endswith("_perplexity"):
        return Metric("lower")
    return _KNOWN.get(name, Metric())


def describe_all(names: Iterable[str]) -> dict[str, Metric]:
    """`describe` for several names, in their order."""
    return {name: describe(name) for name in names}
