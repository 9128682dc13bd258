"""Training of a supernet, a group of paths a step, and the score of any of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.trainables.data import ImageData, ImageSet
from taurank.trainables.supernet.batch_norm import batch_statistics, recalibrate
from taurank.trainables.supernet.config import SupernetConfig
from taurank.trainables.supernet.judging import FORWARD_SHARE, HeldBackJudge, hold_back
from taurank.trainables.supernet.mixing import mixing_work
from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers import Outcome, PathSampler, make_sampler
from taurank.trainables.supernet.split import SplitSupernet
from taurank.trainables.supernet.statistics import OptionStatistics
from taurank.trainables.training import EVALUATION_BATCH, Recipe, Row, Training

# Streams of random numbers beside those of ``taurank.trainables.training.training``.
_PATH_STREAM = 2
_CALIBRATION_STREAM = 3


@dataclass(frozen=True)
class PathScore:
    """Score of one path with inherited weights, and its uncertainty.

    Attributes:
        path: its code.
        accuracy: on the validation images, in [0, 1]; NaN where the loss is not finite.
        accuracy_sd: standard deviation of that accuracy over draws of validation images, sqrt(p (1 - p) / n). That all
            paths share their weights adds to it what no number of images shows.
        loss: mean cross-entropy on the validation images, in nats.
        updates: paths trained so far that were this one.
        option_updates: mean over its decisions of the paths trained that took its option; NaN without decisions.
    """

    path: str
    accuracy: float
    accuracy_sd: float
    loss: float
    updates: int
    option_updates: float


class SupernetTraining(Training):
    """A ``Training`` whose network holds all candidates, of which each step trains a group of paths.

    An epoch is as much work as a pass over the training images, whatever the sampler: one that trains four paths on
    each batch sees a quarter of the batches in an epoch, and evaluations of paths count too. The gradients
    of a group are summed for one optimiser step. Weights that a step does not use get no gradient at all, so neither
    momentum nor weight decay moves them.

    All paths are scored on the same validation images. What is drawn in an epoch depends on ``(seed, epoch)`` and on
    what the sampler has learned, so a restored training continues with the same numbers.

    A step that mixes options costs ``work`` steps of one path; it trains all options that occur among the candidates,
    and counts as an update of each of them, but of no path.

    Args:
        build: makes the supernet; called inside a seeded context.
        recipe: how to train; see `Recipe.for_own_targets`.
        data: images.
        paths: the candidates.
        config: sampler, batch norm, splitting.
        seed: of weights, order, augmentation and paths; 0 or more.
        device: where the supernet lives.

    Attributes:
        updates: paths trained so far, by candidate; those that are no candidate are not counted.
        statistics: the same by option, and the loss that went with it.
        mixed: options of each decision that its steps mix; None where they compute one path at a time.
        work: cost of one image in a step, in those of a path.

    Raises:
        ValueError: a negative seed, or settings that the space, the candidates or the number of images do not allow.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        recipe: Recipe,
        data: ImageData,
        *,
        paths: Paths,
        config: SupernetConfig,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self.sampler: PathSampler = make_sampler(config.sampler, paths, **config.options)
        rest, held_back = hold_back(data.train, self.sampler.judging_share, seed=seed)
        super().__init__(build, recipe.for_own_targets(), replace(data, train=rest), seed=seed, device=device)
        self.mixed = paths.allowed if self.sampler.mixes else None
        self.work = 1.0 if self.mixed is None else mixing_work(self.supernet, paths, data.input_shape)
        self._epoch_images = len(data.train)
        self._judge = HeldBackJudge(self, held_back, mixed=self.mixed, work=self.work, book=self.book)
        self.paths, self.config = paths, config
        self.updates = dict.fromkeys(paths.codes, 0)
        self.statistics = OptionStatistics(paths)
        self._calibration_source = data.train
        self._check_split()
        self._start_draws()

    def _check_split(self) -> None:
        if self.config.split_after is None:
            return
        if not self.sampler.can_be_split:
            raise ValueError(
                f"split_after is {self.config.split_after}, but the sampler {self.config.sampler} cannot train a "
                "supernet that is split; leave it out"
            )
        decision = self.config.split_decision
        allowed = self.paths.allowed if decision is None else self.paths.allowed[decision : decision + 1]
        if max(map(len, allowed), default=0) < 2:
            which = "no decision" if decision is None else f"decision {decision}"
            raise ValueError(
                f"split_after is {self.config.split_after}, but {which} of {self.paths.space.name} has two options "
                "among the candidates; leave it out"
            )

    @property
    def supernet(self) -> Supernet:
        """The network with shared weights."""
        assert isinstance(self.model, Supernet)
        return self.model

    @property
    def progress(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        return min((self.epoch + self._epoch_share) / self.recipe.epochs, 1.0)

    @property
    def split_decision(self) -> int | None:
        """The decision whose options have weights of their own, if the supernet has been split."""
        return self.supernet.decision if isinstance(self.supernet, SplitSupernet) else None

    @property
    def cost_per_score(self) -> float:
        """Epoch-equivalents of scoring one path, recalibration included."""
        images = len(self.data.validation)
        if self.config.batch_norm == "recalibrated":
            images += len(self._calibration_images)
        return FORWARD_SHARE * images / self._epoch_images

    def step_epoch(self) -> Row:
        """Trains one epoch without using validation images.

        Raises:
            NonFiniteLossError: the mean training loss of the epoch is NaN or infinite.
            RuntimeError: called again after the last epoch.
        """
        self._start_draws()
        after = self.config.split_after
        if after is not None and self.split_decision is None and self.epoch >= after * self.recipe.epochs:
            self._split(self._most_impact if self.config.split_decision is None else self.config.split_decision)
        if self.sampler.enter(self.supernet, self.epoch / self.recipe.epochs):
            self.optimizer.state.clear()
        row = super().step_epoch()
        if self.mixed is not None:
            self.statistics.add_mixed(len(self._trained))
            return row
        self.statistics.add(self._trained, torch.stack(self._losses).double().cpu().numpy())
        for path in self._trained:
            if path in self.updates:
                self.updates[path] += 1
        return row

    def _start_draws(self) -> None:
        self._draws = np.random.default_rng([self.seed, self.epoch, _PATH_STREAM])
        self._judge.start_epoch(self.epoch)
        # Read at the end of an epoch: reading a loss at each step would make a GPU wait for the CPU.
        self._trained: list[str] = []
        self._losses: list[Tensor] = []

    @property
    def _most_impact(self) -> int:
        impact = self.statistics.impact
        impact[[len(options) < 2 for options in self.paths.allowed]] = -1.0
        return int(np.argmax(impact))

    def _split(self, decision: int) -> None:
        """Gives every option of a decision weights of its own; the optimiser starts without momentum."""
        self.model = SplitSupernet(self.supernet, self.paths, decision).to(self.device)
        self.model = self.model.to(memory_format=self._memory_format)  # type: ignore[call-overload]
        self.optimizer = self.recipe.make_optimizer(self.model)

    def train_batch(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One step on the paths drawn for it; mean loss and mean number of correct predictions of the group."""
        group = self.sampler.draw(self._draws, self._judge, self.progress)
        self._clear_gradients()
        soft: Tensor | None = None
        if group.teacher == "frozen":
            soft = self._frozen_predictions(images)
        outcomes = []
        for place, path in enumerate(group.paths):
            self.supernet.activate(path)
            with self.supernet.weighted(group.weights, self.mixed), self.autocast():
                logits = self.model(images)
                hard = functional.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
                loss = hard
                if soft is not None:
                    distilled = functional.cross_entropy(logits, soft)
                    loss = distilled if group.teacher == "first" else hard + distilled
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            correct = (logits.detach().argmax(1) == labels).sum()
            outcomes.append(Outcome(path, hard.detach(), correct, len(labels)))
            self.book(self.work * len(labels))
            if group.teacher == "first" and place == 0:
                soft = logits.detach().float().softmax(1)
        self._take_step()
        self._trained += [outcome.path for outcome in outcomes]
        self._losses += [outcome.loss for outcome in outcomes]
        self.sampler.learn(outcomes, self._judge)
        self.model.train()
        correct = torch.stack([outcome.correct for outcome in outcomes]).double().mean()
        return torch.stack([outcome.loss for outcome in outcomes]).mean(), correct

    @torch.no_grad()
    def _frozen_predictions(self, images: Tensor) -> Tensor:
        teacher = self.sampler.teacher
        assert teacher is not None
        teacher.to(self.device).train()
        with self.autocast():
            logits: Tensor = teacher(images)
        self.book(FORWARD_SHARE * len(images))
        return logits.float().softmax(1)

    def book(self, images: float) -> None:
        """Adds the cost of a forward and a backward pass over so many images to this epoch's."""
        self._passed += images

    def measure(self, *, last: bool) -> Row:
        """Nothing: paths are scored after the last epoch."""
        return {}

    def score(self, path: str) -> PathScore:
        """Accuracy and loss of one path; does not depend on what was scored before."""
        self.supernet.activate(path)
        if self.config.batch_norm == "recalibrated":
            batches = self.batches(self._calibration_images, EVALUATION_BATCH)
            with self.autocast():
                recalibrate(self.model, (pixels for pixels, _ in batches))
        if self.config.batch_norm == "batch":
            with batch_statistics(self.model):
                loss, accuracy = self.evaluate_as_is(self.data.validation)
        else:
            loss, accuracy = self.evaluate(self.data.validation)
        if not math.isfinite(loss):
            accuracy = math.nan
        return PathScore(
            path=path,
            accuracy=accuracy,
            accuracy_sd=math.sqrt(accuracy * (1 - accuracy) / len(self.data.validation)),
            loss=loss,
            updates=self.updates.get(path, 0),
            option_updates=self.statistics.updates_of(path),
        )

    @cached_property
    def _calibration_images(self) -> ImageSet:
        """Random training images, the same for every path."""
        source = self._calibration_source
        generator = np.random.default_rng([self.seed, 0, _CALIBRATION_STREAM])
        return source.take(generator.permutation(len(source))[: self.config.calibration_images])

    def weights(self) -> dict[str, Any]:
        """State needed for scoring, without optimiser and sampler."""
        return {
            "model": self.model.state_dict(),
            "split": self.split_decision,
            "updates": dict(self.updates),
            "statistics": self.statistics.state_dict(),
        }

    def load_weights(self, weights: dict[str, Any]) -> None:
        """Takes over ``weights`` to score paths, not to train on."""
        if weights["split"] is not None and self.split_decision is None:
            self._split(int(weights["split"]))
        self.model.load_state_dict(weights["model"])
        self.updates = {path: int(count) for path, count in weights["updates"].items()}
        self.statistics.load_state_dict(weights["statistics"])

    def state_dict(self) -> dict[str, Any]:
        """State of the training and the sampler."""
        return super().state_dict() | self.weights() | {"sampler": self.sampler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""
        self.load_weights(state)
        super().load_state_dict(state)
        self.sampler.load_state_dict(state["sampler"])


@torch.no_grad()
def extract(supernet: Supernet, path: str, network: nn.Module) -> nn.Module:
    """Copies the weights of ``path`` into ``network``, the architecture built alone, and returns it."""
    network.load_state_dict(supernet.inherited(path))
    return network


def score_paths(training: SupernetTraining, paths: Sequence[str] | None = None) -> list[PathScore]:
    """Scores of ``paths``, by default of all candidates."""
    return [training.score(path) for path in (training.paths.codes if paths is None else paths)]
