"""Interface of a source of models."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from difflib import get_close_matches
from typing import TYPE_CHECKING

from taurank.spaces.architecture import SpaceError
from taurank.spaces.model_options import ModelOptions

if TYPE_CHECKING:
    from torch import nn


class ModelSource(ABC):
    """Models by name, untrained: nothing is ever downloaded.

    Attributes:
        prefix: What stands before the colon of a code.
    """

    prefix: str

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """All names, in natural order: resnet18 before resnet101.

        Raises:
            SpaceError: The library is not installed.
        """

    @abstractmethod
    def build(self, name: str, *, input_shape: tuple[int, int, int], classes: int, options: ModelOptions) -> nn.Module:
        """Makes a network for images of (channels, height, width), adapted as far as the library allows.

        Of the options it has those that the model takes.

        Raises:
            SpaceError: The library cannot.
        """

    @abstractmethod
    def module(self, name: str) -> str:
        """Name of the module that defines the model; models of one module are neighbours."""

    @abstractmethod
    def usual_shape(self, name: str) -> tuple[int, int, int]:
        """(channels, height, width) of the images that the model is designed for."""

    def published(self) -> dict[str, float]:
        """Published top-1 accuracy on ImageNet-1k of trained weights, in [0, 1], by name; models without are left out.

        Only weights that saw no other images than those of ImageNet-1k count, and the best of them.
        """
        return {}

    def check(self, name: str) -> None:
        """Checks that a name exists.

        Raises:
            SpaceError: It does not; the message suggests a similar name.
        """
        known = self.names()
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f" (did you mean {f'{self.prefix}:{close[0]}'!r}?)" if close else ""
            raise SpaceError(
                f"code: {self.prefix} has no model {name!r}{hint}; taurank models '{self.prefix}:*' lists them"
            )


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sorting key that compares numbers inside names as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
