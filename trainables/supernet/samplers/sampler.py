"""Interface of path samplers, which choose the paths of each training step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from taurank.trainables.supernet.paths import Paths

if TYPE_CHECKING:
    from torch import Tensor, nn

    from taurank.trainables.supernet.network import Supernet

Teacher = Literal["none", "first", "frozen"]


@dataclass(frozen=True)
class Group:
    """Paths whose gradients are summed into one optimiser step, all on the same images.

    Attributes:
        paths: codes, at least one; they need not be candidates.
        teacher: what they learn from. ``none``: the labels. ``first``: the first path learns from the labels, the
            others from its predictions alone (in-place distillation). ``frozen``: the labels, and with equal weight the
            predictions of the network that the sampler froze (``PathSampler.teacher``).
        weights: of the options (options,) of each decision in what a sampler that ``mixes`` trains instead of the path;
            None for others.
    """

    paths: tuple[str, ...]
    teacher: Teacher = "none"
    weights: Sequence[Tensor] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Outcome:
    """Result of a path on one batch, before the step that the batch was drawn for.

    Attributes:
        path: its code.
        loss: mean cross-entropy with the labels in nats, (); on the device: reading it makes a GPU wait.
        correct: number of correct predictions, ().
        images: images in the batch.
    """

    path: str
    loss: Tensor
    correct: Tensor
    images: int


class Judge(Protocol):
    """Tries paths on images that no weight is trained on: a share of the training images that is held back.

    Every call draws the next batch, of the recipe's size; batch norm uses the statistics of the batch. What it costs is
    counted: a third of a training step for each evaluated path, a whole one for a gradient.
    """

    def look(self, paths: Sequence[str]) -> list[Outcome]:
        """Evaluates the paths, all on the same images."""

    def backpropagate(self, path: str, gates: Sequence[Tensor]) -> Outcome:
        """Adds the gradient of the loss to whatever the ``gates`` were computed from.

        A gate is a tensor (options,), one for each decision, that requires a gradient (`Supernet.gated`, or for a
        sampler that mixes `Supernet.decided`). The weights of the supernet get none.
        """


class PathSampler(ABC):
    """Draws the paths of each step.

    Everything random comes from the generator that is passed in. Whatever it learns is in ``state_dict``.

    Args:
        paths: the candidates.

    Attributes:
        judging_share: share of the training images, in [0, 1), that it needs held back for its judge.
        teacher: the frozen network that groups with the teacher ``frozen`` learn from; None before there is one.
        can_be_split: the supernet may be split while it samples.
        by_decision: it draws every decision by itself, so the space must have fixed decisions, and paths that are no
            candidates come up.
        mixes: it has all options computed at once; its steps are never of a single path.
    """

    judging_share: ClassVar[float] = 0.0
    by_decision: ClassVar[bool] = False
    can_be_split: ClassVar[bool] = True
    mixes: ClassVar[bool] = False

    def __init__(self, paths: Paths) -> None:
        if self.by_decision and not paths.allowed:
            raise ValueError(
                f"the sampler {type(self).__name__} decides option by option, but {paths.space.name} has no fixed "
                "decisions; take uniform"
            )
        self.paths = paths
        self.teacher: nn.Module | None = None

    def enter(self, supernet: Supernet, progress: float) -> bool:
        """Called before the first step of each epoch; ``progress`` is the share of the training that is done.

        Returns:
            Whether it has moved weights to other places, so that the optimiser's memory of them is of no use.
        """
        return False

    @abstractmethod
    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """The paths of the next step."""

    def learn(self, outcomes: Sequence[Outcome], judge: Judge) -> None:  # noqa: B027 - by default nothing
        """Called after each step with the outcomes of its paths before the step."""

    def scores(self, codes: Sequence[str]) -> NDArray[np.float64] | None:
        """Scores of the sampler for paths, (paths,), higher is better; None where it has none."""
        return None

    def option_scores(self) -> NDArray[np.float64] | None:
        """Terms of `scores`: (decisions, options of the widest), NaN for an option that no candidate has.

        None where it has no view, or where its scores are no such sums.
        """
        return None

    def state_dict(self) -> dict[str, Any]:
        """Learned state as lists, numbers, text and tensors; empty by default."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027 - by default nothing
        """Restores a state of ``state_dict``."""
