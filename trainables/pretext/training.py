"""Training by a pretext task."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from taurank.trainables.data import Augmentation, ImageData, ImageSet, iterate_pixels
from taurank.trainables.pretext.task import BuildNetwork, Draws, PretextTask
from taurank.trainables.training import Recipe, Row, Training

CHECKED = 64
"""Images that a task checks before training."""
_HELD_BACK_STREAM = 7


class PretextTraining(Training):
    """Trains one network to answer a pretext task; see `Training` for what is drawn from what.

    Accuracies and losses are those of the task, on the images that ranking may look at; neither test images nor labels
    are used. The validation targets are the same after every epoch and for every candidate. An epoch costs one
    epoch-equivalent for each view of an image.

    Args:
        task: What is asked.
        build: Makes the network that is to be ranked.
        recipe: Of supervised training; see `PretextTask.recipe` for what becomes of it.
        data: Images.
        seed: See `Training`.
        device: See `Training`.
        epoch_share: What an epoch of one view costs, in (0, 1], where there is less than all data.

    Raises:
        PretextError: The images or the network are not fit for the task.
        ValueError: See `Training`.
    """

    def __init__(
        self,
        task: PretextTask,
        build: BuildNetwork,
        recipe: Recipe,
        data: ImageData,
        *,
        seed: int,
        device: str = "cpu",
        epoch_share: float = 1.0,
    ) -> None:
        task.check(data.train.images[:CHECKED])
        super().__init__(
            lambda: task.make_network(build, data.input_shape),
            task.recipe(recipe),
            data,
            seed=seed,
            device=device,
            epoch_share=epoch_share,
        )
        self.task = task
        self._epoch_images = task.answers * len(data.train)
        self._epoch_cost = task.views * epoch_share

    def measure(self, *, last: bool) -> Row:
        """Loss in nats and accuracy in [0, 1] of the task on the validation images, after the last epoch too."""
        loss, accuracy = self.evaluate(self.data.validation)
        return {"validation_loss": loss, "validation_accuracy": accuracy}

    def _make_batches(
        self,
        images: ImageSet,
        batch_size: int,
        *,
        generator: np.random.Generator | None,
        augmentation: Augmentation | None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        unit = self.recipe.scaling == "unit"
        channels = len(self.data.mean)
        draws = Draws(
            generator=np.random.default_rng(_HELD_BACK_STREAM) if generator is None else generator,
            training=generator is not None,
            mean=(0.0,) * channels if unit else self.data.mean,
            std=(255.0,) * channels if unit else self.data.std,
        )
        for pixels in iterate_pixels(images, batch_size=batch_size, generator=generator, augmentation=augmentation):
            inputs, targets = self.task.make_batch(pixels, draws)
            yield inputs.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)
