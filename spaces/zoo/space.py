"""Models by name: of torchvision, of timm, and of user code.

All models are untrained: nothing is downloaded, and names of trained weights are rejected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import (
    Architecture,
    Distinct,
    Family,
    SearchSpace,
    SpaceError,
    check_choices,
    check_distinct,
    check_task,
    draw,
    one_line,
)
from taurank.spaces.model_options import UNCHANGED, ModelOptions
from taurank.spaces.own_code import is_own_code
from taurank.spaces.zoo.own import OwnModels
from taurank.spaces.zoo.source import ModelSource
from taurank.spaces.zoo.timm import TimmModels
from taurank.spaces.zoo.torchvision import TorchvisionModels

if TYPE_CHECKING:
    from torch import nn

    from taurank.spaces.structure import Structure

LISTED: dict[str, ModelSource] = {source.prefix: source for source in (TorchvisionModels(), TimmModels())}
"""Sources that can be listed, by what stands before the colon."""

FORMS = "timm:NAME, torchvision:NAME or package.module:factory"

_OWN = OwnModels()
_WILDCARDS = "*?["
_REFERENCE_CLASSES = 1000
_OTHER_SIDES = (32, 64, 28)
"""Images that own code may be made for, where it cannot be made for the usual ones."""


class Zoo(SearchSpace):
    """Models by name: timm:NAME, torchvision:NAME, package.module:factory.

    Args:
        models: Codes, and patterns such as `timm:convnext*`, that the space lists and samples.
            Other codes are accepted by `parse`, too.
    """

    name = "zoo"
    foreign = True
    feature_names = (
        "log_parameters",
        "layers",
        "convolutions",
        "depthwise",
        "mean_kernel",
        "attentions",
        "batch_norms",
        "other_norms",
        "log_width",
        *get_args(Family),
    )

    def __init__(self, models: Sequence[str] = ("torchvision:*",)) -> None:
        if isinstance(models, str) or not models or not all(isinstance(text, str) for text in models):
            raise SpaceError(f"models: {models!r} is not a list of names and patterns, such as [timm:convnext*]")
        self.models = list(models)

    @cached_property
    def _codes(self) -> tuple[str, ...]:
        found = (architecture.code for text in self.models for architecture in self.match(text) or [self.parse(text)])
        return tuple(dict.fromkeys(found))

    @property
    def size(self) -> int:  # type: ignore[override]
        """Number of models that `models` names."""
        return len(self._codes)

    def parse(self, text: str) -> Architecture:
        """Parses a name and looks it up; user code is imported."""
        code = text.strip()
        source, name = _find(code)
        try:
            source.check(name)
        except SpaceError as error:
            close = get_close_matches(code.partition(":")[0], LISTED, n=1) if source is _OWN else []
            hint = f" (did you mean {close[0]}:?)" if close else ""
            raise SpaceError(f"{error}{hint}") from error.__cause__
        return Architecture(self.name, code)

    def match(self, text: str) -> list[Architecture] | None:
        """Returns the models that match a pattern with `*`, `?` or `[...]`.

        Raises:
            SpaceError: No model matches.
        """
        pattern = text.strip()
        prefix, colon, rest = pattern.partition(":")
        if not any(sign in pattern for sign in _WILDCARDS):
            return None
        if prefix not in LISTED or not colon:
            raise SpaceError(
                f"code: {text!r} is not a pattern of timm: or torchvision:; own code has to be named in full"
            )
        names = [name for name in LISTED[prefix].names() if fnmatchcase(name, rest)]
        if not names:
            raise SpaceError(f"code: no model matches {text!r}; taurank models '{prefix}:*' lists them")
        return [Architecture(self.name, f"{prefix}:{name}") for name in names]

    def own_code(self, architecture: Architecture) -> str | None:
        """The code itself where it names a factory of the user's own; None for a model of a library."""
        source, name = _find(self.code_of(architecture))
        return name if source is _OWN else None

    def _enumerate(self) -> Iterator[Architecture]:
        return (Architecture(self.name, code) for code in self._codes)

    def sample(
        self, count: int, generator: np.random.Generator, *, distinct: Distinct = "function"
    ) -> list[Architecture]:
        """Draws among `models`."""
        check_distinct(distinct)
        return draw(list(self.enumerate()), count, generator, "models")

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the architecture itself, in its normal spelling: two names may stand for one network."""
        return self.parse(self.code_of(architecture))

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """One decision: which of `models`."""
        return (self._codes,)

    def choices(self, architecture: Architecture) -> tuple[int, ...]:
        """Position among `models`."""
        code = self.code_of(architecture)
        if code not in self._codes:
            raise SpaceError(f"choices: {code!r} is not among the models of this zoo; name it in its option models")
        return (self._codes.index(code),)

    def choose(self, choices: Sequence[int]) -> Architecture:
        """The model at that position."""
        check_choices(self, choices)
        return Architecture(self.name, self._codes[choices[0]])

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Lists the models defined in the same module: all ResNets are neighbours of each other."""
        here = self.code_of(architecture)
        return [
            Architecture(self.name, code)
            for code in self._codes
            if code != here and _relatives(code) == _relatives(here)
        ]

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Parameters, counts of layers by kind, kernels, width, family one-hot, of the model made for 1,000 classes.

        The first call builds the model on the meta device, which takes some tenths of a second.
        """
        found = _structure(self.code_of(architecture))
        family = [float(found.family == kind) for kind in get_args(Family)]
        return np.array(
            [
                math.log10(max(found.parameters, 1)),
                found.convolutions + found.linears,
                found.convolutions,
                found.depthwise,
                found.kernels / max(found.spatial, 1),
                found.attentions,
                found.batch_norms,
                found.other_norms,
                math.log10(max(found.widest, 1)),
                *family,
            ],
            dtype=np.float64,
        )

    def family(self, architecture: Architecture) -> Family:
        """Kind of network, by its layers."""
        return _structure(self.code_of(architecture)).family

    @staticmethod
    def published() -> dict[str, float]:
        """Published top-1 accuracy on ImageNet-1k by code, in [0, 1]; user code and models without weights have none.

        It is of weights that saw no other images: the best over their recipes and sizes of images.
        """
        return {
            f"{prefix}:{name}": accuracy
            for prefix, source in LISTED.items()
            for name, accuracy in source.published().items()
        }

    def usual_shape(self, architecture: Architecture) -> tuple[int, int, int]:
        """(channels, height, width) of the images that the model is designed for."""
        source, name = _find(self.code_of(architecture))
        return source.usual_shape(name)

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Makes the untrained model for this task, as far as its library can adapt it.

        timm's models accept any number of channels; torchvision's accept colour images, and grey ones are repeated
        three times. Models of a fixed size are built for the requested size where the library supports it. Whether the
        model accepts such images is known only after a pass; see `measure_size`.
        """
        code = self.code_of(architecture)
        check_task(input_shape, classes)
        return _make(code, input_shape, classes)

    def build_with(
        self,
        architecture: Architecture,
        options: ModelOptions,
        *,
        input_shape: tuple[int, int, int],
        classes: int,
    ) -> nn.Module:
        """Like `build`, with those of the options that the model takes; see `ModelOptions`."""
        code = self.code_of(architecture)
        check_task(input_shape, classes)
        return _make(code, input_shape, classes, options)


def _find(code: str) -> tuple[ModelSource, str]:
    """Returns the source of a code and the name of the model in it."""
    prefix, _, name = code.partition(":")
    if prefix in LISTED and name:
        return LISTED[prefix], name
    if not is_own_code(code):
        raise SpaceError(f"code: {code!r} names no model; write {FORMS}")
    return _OWN, code


def _relatives(code: str) -> str:
    source, name = _find(code)
    return source.module(name)


def _make(code: str, input_shape: tuple[int, int, int], classes: int, options: ModelOptions = UNCHANGED) -> nn.Module:
    import torch

    from taurank.spaces.zoo.lazy import complete

    source, name = _find(code)
    try:
        network = source.build(name, input_shape=input_shape, classes=classes, options=options)
        return complete(network, input_shape)
    except (SpaceError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        shape = "x".join(map(str, input_shape))
        raise SpaceError(f"input_shape: {code} cannot be made for {shape} images: {one_line(error)}") from error


@cache
def _structure(code: str) -> Structure:
    from taurank.spaces.structure import describe_structure
    from taurank.spaces.weightless import build_weightless

    source, name = _find(code)
    usual = source.usual_shape(name)
    shapes = [usual, *((usual[0], side, side) for side in _OTHER_SIDES if source is _OWN)]
    for shape in shapes:
        try:
            return describe_structure(build_weightless(partial(_make, code, shape, _REFERENCE_CLASSES)))
        except SpaceError as error:
            problem = error
    raise problem
