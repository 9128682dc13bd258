"""Selection of the options of each decision with the most capacity for their latency.

Source: Zhang et al., Fast Hardware-Aware Neural Architecture Search (HURRICANE, CVPR workshops 2020, arXiv 1910.11609).
Of the source only the abstract is public enough to rely on: that each layer gets a set of operations of its own,
chosen for the device. The measure is the reading of it that is used here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from torch import nn

from taurank.spaces import Architecture, SearchSpace, SpaceError
from taurank.spaces.architecture import check_positive
from taurank.spaces.flops import count_flops
from taurank.trainables.latency.capacity import Capacity
from taurank.trainables.latency.parts import Part, parts_of
from taurank.trainables.latency.table import LatencyTable


@dataclass(frozen=True)
class OptionMeasure:
    """An option in its place.

    Attributes:
        option: of its decision.
        capacity: of the parts of the network that come with it.
        milliseconds: of these parts.
        leaves_out: whether nothing comes with it.
        kept: whether it is selected.
    """

    option: str
    capacity: float
    milliseconds: float
    leaves_out: bool
    kept: bool

    @property
    def worth(self) -> float:
        """Capacity a millisecond, higher is better; 0 for nothing."""
        if not self.milliseconds:
            return float("inf") if self.capacity else 0.0
        return self.capacity / self.milliseconds


def every_option(space: SearchSpace) -> list[Architecture]:
    """Architectures in which every option of every decision occurs: what has to be in a latency table.

    The first takes the last option of each decision, which in a space with a depth is the deepest; each of the others
    takes one other option. A table of them holds all parts of a space of one operation a layer.

    Raises:
        SpaceError: the space has no fixed decisions.
    """
    return list(dict.fromkeys(one for changed in _one_changed(space) for one in changed))


def measure_options(
    space: SearchSpace,
    table: LatencyTable,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    capacity: Capacity = "flops",
    keep: int = 4,
) -> tuple[tuple[OptionMeasure, ...], ...]:
    """Capacity and latency of each option of each decision, in their order, and which are selected.

    What comes with an option are the parts of a network (see `latency_keys`) that those with the decision's other
    options do not all have. Of each decision the `keep` options of the highest

        capacity / latency

    are kept; of equal ones those that come first. An option that leaves a part out has neither; it is kept besides,
    so that the depth stays open.

    Args:
        space: has fixed decisions.
        table: has the parts of `every_option`.
        input_shape: (channels, height, width) of one image.
        classes: number of logits.
        capacity: what stands for it.
        keep: options of each decision.

    Raises:
        SpaceError: the space has no fixed decisions or cannot be built for this task, or `keep` is too small.
        LatencyError: the table lacks a part, or a network has no parts that can be looked up.
    """
    check_positive("keep", keep)
    if capacity not in get_args(Capacity):
        raise SpaceError(f"capacity: {capacity!r} is unknown; allowed are {', '.join(map(repr, get_args(Capacity)))}")
    measured = []
    for changed, options in zip(_one_changed(space), space.decisions, strict=True):
        parts = [parts_of(space, one, input_shape=input_shape, classes=classes) for one in changed]
        counts = [Counter(part.key for part in whole) for whole in parts]
        common = counts[0]
        for count in counts[1:]:
            common = common & count
        own = [_without(whole, common) for whole in parts]
        plain = [
            OptionMeasure(
                option=option,
                capacity=float(sum(_capacity_of(part, capacity) for part in rest)),
                milliseconds=table.total([part.key for part in rest]),
                leaves_out=all(isinstance(part.module, nn.Identity) for part in rest),
                kept=False,
            )
            for option, rest in zip(options, own, strict=True)
        ]
        measured.append(_with_choice(plain, keep))
    return tuple(measured)


def select_options(
    space: SearchSpace,
    table: LatencyTable,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    capacity: Capacity = "flops",
    keep: int = 4,
) -> tuple[tuple[str, ...], ...]:
    """The options of each decision that `measure_options` keeps: what `RestrictedSpace` is given."""
    measured = measure_options(space, table, input_shape=input_shape, classes=classes, capacity=capacity, keep=keep)
    return tuple(tuple(option.option for option in options if option.kept) for options in measured)


def _one_changed(space: SearchSpace) -> list[list[Architecture]]:
    """For each decision an architecture with each of its options, and the last option of all others."""
    if not space.decisions:
        raise SpaceError(f"space: {space.name} has no fixed decisions to select options of; take one that has")
    last = [len(options) - 1 for options in space.decisions]
    return [
        [space.choose([*last[:decision], choice, *last[decision + 1 :]]) for choice in range(len(options))]
        for decision, options in enumerate(space.decisions)
    ]


def _without(parts: Sequence[Part], common: Counter[str]) -> list[Part]:
    left, rest = Counter(common), []
    for part in parts:
        if left[part.key]:
            left[part.key] -= 1
        else:
            rest.append(part)
    return rest


def _capacity_of(part: Part, capacity: Capacity) -> int:
    if capacity == "flops":
        return count_flops(part.module, part.input_shape)
    return sum(weight.numel() for weight in part.module.parameters() if weight.requires_grad)


def _with_choice(measured: Sequence[OptionMeasure], keep: int) -> tuple[OptionMeasure, ...]:
    ranked = sorted((one for one in measured if not one.leaves_out), key=lambda one: -one.worth)
    kept = {one.option for one in ranked[:keep]} | {one.option for one in measured if one.leaves_out}
    return tuple(
        OptionMeasure(one.option, one.capacity, one.milliseconds, one.leaves_out, one.option in kept)
        for one in measured
    )
