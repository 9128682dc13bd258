"""Specification of a trial."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taurank.trainables.proxies import ProxyConfig, PruningConfig
from taurank.trainables.supernet import SupernetConfig
from taurank.trainables.training import Recipe


@dataclass(frozen=True)
class TrialSpec:
    """Settings of one trial; passed to the worker through the object store, so it may be large.

    Attributes:
        trial: key of the trial in the evidence log.
        label: a short name for display.
        space: name of the search space.
        space_options: the options it is made with.
        recipe: how to train; its ``epochs`` are the trial's.
        seed: of the training.
        checkpoint: file that the trial keeps its state in; every node has to see it.
        architectures: the one to train, or all that a supernet trains or scores, or that proxies score.
        supernet: settings of the supernet that is trained, or whose weights are used.
        candidates: those that the supernet was trained for, where its weights are used.
        epoch_share: what an epoch costs of one on all images at their full size; see ``data.less_data``.
        task: name of the pretext task that is trained by; None for training with labels.
        last_epoch: when given, report the saved rows up to this epoch and end, without training.
        until: when given, the trial is complete after that many epochs of its schedule.
        proxies: settings of a trial that scores untrained networks.
        pruning: settings of a trial that prunes a network of all operations; `epoch_share` is what a network costs.
        kept: file that a complete training is kept in for other runs, and taken from; empty for none.
        trainable: name of the user's training code; empty for trainings by taurank.
        metric: that the trial reports in each result, and that is NaN where it fails.
        lower_is_better: direction of the metric.
        best: file for the weights of the epoch with the best value of the metric; empty for none.
    """

    trial: str
    label: str
    space: str
    space_options: Mapping[str, Any]
    recipe: Recipe
    seed: int
    checkpoint: str
    architectures: tuple[str, ...]
    supernet: SupernetConfig | None = None
    last_epoch: int | None = None
    until: int | None = None
    proxies: ProxyConfig | None = None
    pruning: PruningConfig | None = None
    candidates: tuple[str, ...] = ()
    epoch_share: float = 1.0
    task: str | None = None
    kept: str = ""
    trainable: str = ""
    metric: str = "validation_accuracy"
    lower_is_better: bool = False
    best: str = ""

    @property
    def fingerprint(self) -> str:
        """Digest of all settings that the numbers of the trial depend on, except the images."""
        options = sorted(self.space_options.items())
        what = (self.trial, self.space, options, self.recipe, self.seed, self.architectures, self.supernet)
        more = (self.proxies, self.candidates, self.epoch_share, self.task)
        own = (self.trainable, self.metric) if self.trainable else ()
        pruned = (self.pruning,) if self.pruning else ()
        return hashlib.sha256(repr(what + more + own + pruned).encode()).hexdigest()
