"""Evaluates paths on held-back training images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from taurank.trainables.data import ImageSet
from taurank.trainables.supernet.batch_norm import batch_statistics
from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.samplers import Outcome
from taurank.trainables.training import Training

FORWARD_SHARE = 1 / 3
"""Cost of a forward pass as a share of a forward and a backward pass."""

# Streams of random numbers beside those of the training.
_SHARE_STREAM = 4
_JUDGING_STREAM = 5


def hold_back(images: ImageSet, share: float, *, seed: int) -> tuple[ImageSet, ImageSet]:
    """Cuts a share off at random: what is left to train on, and what paths are judged on."""
    if not share:
        return images, images.part(np.arange(0))
    order = np.random.default_rng([seed, 0, _SHARE_STREAM]).permutation(len(images))
    count = round(share * len(images))
    return images.part(order[count:]), images.part(order[:count])


class HeldBackJudge:
    """The judge of a training's sampler (`samplers.Judge`); cycles through its images in new orders.

    Args:
        training: Of a supernet.
        images: What paths are judged on.
        mixed: Options of each decision that a path of gates mixes; see `Supernet.weighted`.
        work: Cost of one image in a step, in those of a path.
        book: Called with the cost of every look, in images that a path is trained on.
    """

    def __init__(
        self,
        training: Training,
        images: ImageSet,
        *,
        mixed: Sequence[Sequence[int]] | None,
        work: float,
        book: Callable[[float], None],
    ) -> None:
        self._training, self._images = training, images
        self._mixed, self._work, self._book = mixed, work, book
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Begins the batches of an epoch, which do not depend on those of earlier ones."""
        self._batches = self._endless(np.random.default_rng([self._training.seed, epoch, _JUDGING_STREAM]))

    def _endless(self, generator: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        if len(self._images) < 2:
            raise ValueError("the sampler judges paths, but no training images are held back for it")
        while True:
            yield from self._training.batches(self._images, self._training.recipe.batch_size, generator=generator)

    @property
    def _supernet(self) -> Supernet:
        assert isinstance(self._training.model, Supernet)
        return self._training.model

    @torch.no_grad()
    def look(self, paths: Sequence[str]) -> list[Outcome]:
        """Evaluates the paths, all on the same images."""
        training = self._training
        images, labels = next(self._batches)
        outcomes = []
        with batch_statistics(training.model):
            for path in paths:
                self._supernet.activate(path)
                with training.autocast():
                    logits = training.model(images).float()
                loss, correct = functional.cross_entropy(logits, labels), (logits.argmax(1) == labels).sum()
                outcomes.append(Outcome(path, loss, correct, len(labels)))
                self._book(FORWARD_SHARE * len(labels))
        return outcomes

    def backpropagate(self, path: str, gates: Sequence[Tensor]) -> Outcome:
        """Adds the gradient of the loss to whatever the ``gates`` were computed from."""
        training = self._training
        images, labels = next(self._batches)
        supernet = self._supernet
        with batch_statistics(training.model):
            supernet.activate(path)
            with supernet.weighted(gates, self._mixed):
                with training.autocast():
                    logits = training.model(images).float()
                    loss = functional.cross_entropy(logits, labels)
                wanted = [gate for gate in gates if gate.requires_grad]
                gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
        self._book(self._work * len(labels))
        for gate, gradient in zip(wanted, gradients, strict=True):
            if gradient is not None:
                gate.backward(gradient, retain_graph=True)  # type: ignore[no-untyped-call]
        return Outcome(path, loss.detach(), (logits.detach().argmax(1) == labels).sum(), len(labels))
