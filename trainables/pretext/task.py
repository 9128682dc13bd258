"""Interface of pretext tasks, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from taurank.spaces.named_classes import NamedClasses

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from taurank.trainables.data import Images
    from taurank.trainables.training import Recipe

BuildNetwork: TypeAlias = "Callable[[tuple[int, int, int], int], nn.Module]"
"""Makes an untrained network for images `(C, H, W)` and a number of classes."""


class PretextError(ValueError):
    """A task that there is not, or that these images or this network are not fit for; one line, with the way out."""


@dataclass(frozen=True)
class Draws:
    """Settings of a batch of a task.

    Attributes:
        generator: Of everything that the task draws.
        training: Whether it is to be trained on; a task may change such images more than those it is measured on.
        mean: Of each channel, in 0..255 units.
        std: Of each channel, in 0..255 units.
    """

    generator: np.random.Generator
    training: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


class PretextTask(ABC):
    """A task on images whose targets are computed from the images; labels are not used.

    How well an architecture learns to answer it orders architectures much as supervised training does (Liu et al. 2020,
    arXiv 2003.12056, sections 3 and 4).

    Attributes:
        name: Registered name; evidence has it as `pretext:NAME`.
        source: Paper that the task comes from.
        views: Forward passes that an image takes; the cost of an epoch is so many epoch-equivalents.
        answers: Rows of targets that an image makes.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    views: ClassVar[int] = 1
    answers: ClassVar[int] = 1

    @abstractmethod
    def check(self, images: Images) -> None:
        """Checks some of the training images.

        Raises:
            PretextError: The task cannot be applied to them.
        """

    @abstractmethod
    def make_batch(self, images: Images, draws: Draws) -> tuple[Tensor, Tensor]:
        """Returns inputs, float32 `(views * n, C, h, w)`, and targets, int64.

        Args:
            images: `(n, H, W, C)`, augmented already; they stay as they are.
            draws: Settings of the batch.
        """

    @abstractmethod
    def make_network(self, build: BuildNetwork, input_shape: tuple[int, int, int]) -> nn.Module:
        """The network with a head for the task; weights are drawn from torch's global generator.

        Args:
            build: Makes the network itself.
            input_shape: `(C, H, W)` of the images that the question is asked of.

        Raises:
            PretextError: The network has no place for such a head.
        """

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe for the task: as many views a step as it has images, at the learning rate divided by the views.

        As in the code of Liu et al. 2020: 32 images, 128 views, a rate of .025, beside 128 images and .1 with labels.
        """
        plain = recipe.for_own_targets()
        size = max(recipe.batch_size // self.views, 2)
        return replace(plain, batch_size=size, learning_rate=plain.learning_rate / self.views)


_TASKS: NamedClasses[PretextTask] = NamedClasses(
    "task",
    PretextError,
    {
        "colorization": "taurank.trainables.pretext.colorization:Colorization",
        "jigsaw": "taurank.trainables.pretext.jigsaw:Jigsaw",
        "rotation": "taurank.trainables.pretext.rotation:Rotation",
    },
)
register_task = _TASKS.register
check_task = _TASKS.check
get_task = _TASKS.make
list_tasks = _TASKS.names
