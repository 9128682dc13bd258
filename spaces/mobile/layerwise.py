"""Base class of spaces with one operation per layer of a fixed skeleton."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, SpaceError, check_task
from taurank.spaces.decision_space import DecisionSpace, draw_weighted
from taurank.spaces.mobile.layerwise_skeleton import Skeleton
from taurank.spaces.mobile.shapes import LayerShape

if TYPE_CHECKING:
    from torch import nn

    from taurank.spaces.mobile.layerwise_network import LayerFactory, LayerwiseNetwork


class LayerwiseSpace(DecisionSpace):
    """A space of one operation per layer.

    A code lists the operations from input to output, joined by `-` within a stage and by `_` between stages. Digits are
    accepted too: the position of each layer's operation in `operations`, with or without commas.

    Args:
        skeleton: Macro structure of all architectures.
        options: Constructor options of the space.

    Attributes:
        operations: Possible operations of a layer; the last omits a layer that keeps the shape.
    """

    operations: ClassVar[tuple[str, ...]]

    def __init__(self, skeleton: Skeleton, options: dict[str, Any]) -> None:
        self.skeleton = skeleton
        self._options = options
        self._decisions = tuple(self.allowed(shape) for shape in skeleton.shapes)
        self._movable = self._find_movable()
        self.size = prod(len(allowed) for allowed in self._decisions)
        self.feature_names = self._feature_names()

    def allowed(self, shape: LayerShape) -> tuple[str, ...]:
        """Returns the operations allowed for a layer of this shape, a prefix of `operations`; all by default."""
        return self.operations

    @abstractmethod
    def make_layer(self, operation: str, shape: LayerShape) -> nn.Module:
        """Makes a layer."""

    @abstractmethod
    def assemble(self, make: LayerFactory, *, channels: int, classes: int) -> LayerwiseNetwork:
        """Builds the network around the layers and draws its weights."""

    @property
    def options(self) -> dict[str, Any]:
        """`variant`, `width`, and what may be changed of the variant."""
        return dict(self._options)

    def _split(self, text: str) -> list[str]:
        stages = [stage.split("-") for stage in text.strip().split("_")]
        form = repr(self._architecture([allowed[0] for allowed in self._decisions]).code)
        if len(stages) != len(self.skeleton.depths):
            raise SpaceError(
                f"code: {text!r} has {len(stages)} stages, not {len(self.skeleton.depths)}; the form is {form}"
            )
        for number, (stage, depth) in enumerate(zip(stages, self.skeleton.depths, strict=True), start=1):
            if len(stage) != depth:
                raise SpaceError(
                    f"code: stage {number} of {text!r} has {len(stage)} layers, not {depth}; the form is {form}"
                )
        return [operation for stage in stages for operation in stage]

    def short(self, architecture: Architecture) -> str:
        """One digit a layer: the position of its operation."""
        return "".join(str(self.operations.index(operation)) for operation in self.layers(architecture))

    def layers(self, architecture: Architecture) -> list[str]:
        """The operation of each layer."""
        return self._split(self.code_of(architecture))

    @property
    def functions(self) -> int:
        """Number of canonical codes."""
        movable = {place for start, end in self._movable for place in range(start, end)}
        fixed = prod(len(allowed) for place, allowed in enumerate(self._decisions) if place not in movable)
        blocks = len(self.operations) - 1
        rows = [sum(int(blocks**depth) for depth in range(end - start + 1)) for start, end in self._movable]
        return fixed * prod(rows)

    @property
    def _min_functions(self) -> int:
        return self.functions

    def _draw(self, generator: np.random.Generator, *, functions: bool) -> Architecture:
        taken = [allowed[generator.integers(len(allowed))] for allowed in self._decisions]
        if functions:
            for start, end in self._movable:
                blocks = len(self.operations) - 1
                # As many canonical codes have a depth as there are blocks for its layers.
                depth = draw_weighted([blocks**depth for depth in range(end - start + 1)], generator)
                kept = [self.operations[place] for place in generator.integers(blocks, size=depth)]
                taken[start:end] = kept + [self.operations[-1]] * (end - start - depth)
        return self._architecture(taken)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Moves omitted layers behind others of the same shape, which does not change the function."""
        taken, identity = self.layers(architecture), self.operations[-1]
        for start, end in self._movable:
            taken[start:end] = sorted(taken[start:end], key=lambda operation: operation == identity)
        return self._architecture(taken)

    def _find_movable(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each run of layers that keep the shape and may be omitted."""
        shapes, runs = self.skeleton.shapes, []
        can_go = [
            shape.is_kept and self.operations[-1] in allowed
            for shape, allowed in zip(shapes, self._decisions, strict=True)
        ]
        for movable, places in groupby(range(len(shapes)), key=lambda place: can_go[place]):
            row = list(places)
            if movable:
                runs.append((row[0], row[-1] + 1))
        return tuple(runs)

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """The operation of each layer."""
        return self._decisions

    def _read(self, code: str) -> list[int]:
        digits = code.strip().replace(",", "")
        if digits.isdecimal():
            taken = [self.operations[int(digit)] if int(digit) < len(self.operations) else digit for digit in digits]
            if len(taken) != len(self._decisions):
                raise SpaceError(f"code: {code!r} has {len(taken)} digits, not {len(self._decisions)}, one a layer")
        else:
            taken = self._split(code)
        for layer, (operation, allowed) in enumerate(zip(taken, self._decisions, strict=True), start=1):
            if operation not in allowed:
                raise SpaceError(f"code: layer {layer} of {code!r} is {operation!r}; allowed are {', '.join(allowed)}")
        return [self.operations.index(operation) for operation in taken]

    def _write(self, choices: Sequence[int]) -> str:
        return self._architecture([self.operations[choice] for choice in choices]).code

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Depth, counts of operations, depth by stage, operations one-hot by layer, of the canonical code."""
        taken = self.layers(self.canonical(architecture))
        blocks = self.operations[:-1]
        ends = np.cumsum(self.skeleton.depths)
        stages = [taken[end - depth : end] for end, depth in zip(ends, self.skeleton.depths, strict=True)]
        depths = [sum(operation in blocks for operation in stage) for stage in stages]
        counts = [taken.count(block) for block in blocks]
        one_hot = [
            operation == option for operation, allowed in zip(taken, self._decisions, strict=True) for option in allowed
        ]
        return np.array([sum(depths), *counts, *depths, *one_hot], dtype=np.float64)

    def _feature_names(self) -> tuple[str, ...]:
        depths = [f"stage{stage}_depth" for stage in range(1, len(self.skeleton.depths) + 1)]
        one_hot = [
            f"layer{layer}_{option}" for layer, allowed in enumerate(self._decisions, start=1) for option in allowed
        ]
        return ("depth", *self.operations[:-1], *depths, *one_hot)

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> LayerwiseNetwork:
        """Makes the network; images of any size. Draws its weights from torch's global generator."""
        check_task(input_shape, classes)
        taken = self.layers(architecture)
        return self.assemble(
            lambda position, shape: self.make_layer(taken[position], shape), channels=input_shape[0], classes=classes
        )

    def _architecture(self, taken: Sequence[str]) -> Architecture:
        stages, start = [], 0
        for depth in self.skeleton.depths:
            stages.append("-".join(taken[start : start + depth]))
            start += depth
        return Architecture(self.name, "_".join(stages))
