"""Interface of search spaces."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.model_options import ModelOptions
from taurank.spaces.names import suggestion

if TYPE_CHECKING:
    from torch import nn

Distinct = Literal["code", "function"]
"""Whether the members of a sample differ in their codes or in their functions."""

Family = Literal["cnn", "bare_cnn", "modern_cnn", "transformer"]
"""Kinds of networks that need different training recipes.

`cnn`: convolutions with batch normalisation (ResNet, MobileNet, RegNet). `bare_cnn`: convolutions without any
normalisation (AlexNet, VGG). `modern_cnn`: convolutions with layer or group normalisation (ConvNeXt). `transformer`:
attention, or other mixing of tokens without convolutions (ViT, Swin, MLP-Mixer).
"""

ENUMERATION_LIMIT = 10_000_000
"""Spaces with more codes than this are sampled, not listed."""


MAX_MESSAGE = 2000
"""Characters of an error message; longer user input that a message repeats is cut."""


class SpaceError(ValueError):
    """Invalid request to a search space."""

    def __init__(self, message: str) -> None:
        cut = len(message) > MAX_MESSAGE
        super().__init__(f"{message[: MAX_MESSAGE // 2]} ... {message[-MAX_MESSAGE // 2 :]}" if cut else message)


@dataclass(frozen=True, order=True, slots=True)
class Architecture:
    """A point of a search space. Ordered by space, then by code.

    Attributes:
        space: Registered name of the search space.
        code: Text of the architecture, as `SearchSpace.parse` writes it.
    """

    space: str
    code: str

    def __str__(self) -> str:
        return self.code


class SearchSpace(ABC):
    """A set of architectures with codes, neighbours, numeric features and networks.

    A subclass returns the keyword options of its constructor from `options`, so that a worker can rebuild the space:
    `get_space(space.name, **space.options)`.

    Attributes:
        name: Registered name.
        size: Number of codes; None when they cannot be counted.
        feature_names: One name for each entry of `features`.
        foreign: Whether its networks come from other code, so that a trial pass has to show that they accept the images
            and return logits.
    """

    name: str
    foreign: bool = False
    size: int | None
    feature_names: tuple[str, ...]

    def __repr__(self) -> str:
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        return f"get_space({self.name!r}{options})"

    @property
    def options(self) -> dict[str, Any]:
        """Keyword options of the constructor, defaults included; by default the attributes of their names."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """Parses a code and normalises its spelling; does not make it canonical.

        Raises:
            SpaceError: The text is not a code of this space; the message names the place and the allowed values.
        """

    def own_code(self, architecture: Architecture) -> str | None:
        """The `package.module:name` of the user's own code that builds an architecture; None where a library does."""
        return None

    def match(self, text: str) -> list[Architecture] | None:
        """Returns the architectures that match a pattern; None where the text is not a pattern, as by default.

        Raises:
            SpaceError: The pattern matches nothing.
        """
        return None

    def enumerate(self) -> Iterator[Architecture]:
        """Lists every code once, in a fixed order.

        Raises:
            SpaceError: The space cannot be counted or has more than `ENUMERATION_LIMIT` codes.
        """
        if self.size is None or self.size > ENUMERATION_LIMIT:
            size = "an unknown number of" if self.size is None else f"{self.size:,}"
            raise SpaceError(f"enumerate: {self.name} has {size} codes, too many to list; use sample(count, generator)")
        return self._enumerate()

    @abstractmethod
    def _enumerate(self) -> Iterator[Architecture]:
        """Lists every code once, in a fixed order; called only when the space is small enough."""

    @abstractmethod
    def sample(
        self, count: int, generator: np.random.Generator, *, distinct: Distinct = "function"
    ) -> list[Architecture]:
        """Draws architectures uniformly and without repeats.

        With `distinct="function"` the draw is among the canonical architectures that have a path from input to output:
        no two are equal by `canonical`, and none is disconnected. With `distinct="code"` it is among all codes.

        Raises:
            SpaceError: `count` is negative or larger than the number there is to draw from.
        """

    @abstractmethod
    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the representative of all architectures known to compute the same function.

        Idempotent: `canonical(canonical(a)) == canonical(a)`.
        """

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """Options of each decision of an architecture, in a fixed order.

        Empty by default: the space has no fixed number of decisions, and no `choices`.
        """
        return ()

    def choices(self, architecture: Architecture) -> tuple[int, ...]:
        """Position of the option taken for each of `decisions`.

        Raises:
            SpaceError: The architecture is of another space, or the space has no fixed decisions.
        """
        self.code_of(architecture)
        raise SpaceError(f"choices: {self.name} has no fixed decisions")

    def choose(self, choices: Sequence[int]) -> Architecture:
        """Returns the architecture with these options; the inverse of `choices`.

        Raises:
            SpaceError: Wrong number of choices, a position out of range, or the space has no fixed decisions.
        """
        raise SpaceError(f"choose: {self.name} has no fixed decisions")

    def is_live(self, architecture: Architecture) -> bool:
        """Whether every part of the architecture affects its output; True by default."""
        self.code_of(architecture)
        return True

    @abstractmethod
    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Lists the architectures that differ in exactly one decision; a symmetric relation."""

    @abstractmethod
    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Numeric description, shape (len(feature_names),), always finite; needs no network."""

    def depth(self, architecture: Architecture) -> int | None:
        """Layers with weights on the longest path of its network, found without one; None where that takes a network.

        The same number as `taurank.spaces.Size.depth`, which is measured on the network.
        """
        self.code_of(architecture)
        return None

    def size_terms(self, architecture: Architecture) -> tuple[Architecture, list[Architecture]] | None:
        """A base and terms: its size is that of the base, and what each term has more than the base.

        `taurank.spaces.measure_size` measures base and terms once, then adds parameters and FLOPs. A space with
        `size_terms` has a `depth`, too. None where sizes do not add up, as by default.
        """
        self.code_of(architecture)
        return None

    def family(self, architecture: Architecture) -> Family:
        """Kind of network, which selects the training recipe; `cnn` by default."""
        self.code_of(architecture)
        return "cnn"

    def short(self, architecture: Architecture) -> str:
        """Short form of the code, accepted by `parse`; the code itself by default."""
        return self.code_of(architecture)

    @abstractmethod
    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Makes the untrained network: images (batch, *input_shape) to logits (batch, classes).

        The initial weights are drawn from torch's global generator, as torch's layers do. For weights that depend on a
        seed alone, call it inside `with torch.random.fork_rng():` after `torch.manual_seed(seed)`.

        Raises:
            SpaceError: The architecture is not of this space, or the network cannot take such images.
        """

    def build_with(
        self,
        architecture: Architecture,
        options: ModelOptions,
        *,
        input_shape: tuple[int, int, int],
        classes: int,
    ) -> nn.Module:
        """Like `build`, with dropout and the like; by default the networks of a space have no such settings."""
        return self.build(architecture, input_shape=input_shape, classes=classes)

    def thin(self, architecture: Architecture, *, classes: int) -> nn.Module | None:
        """Builds the smallest network that contains the architecture, for counting linear regions.

        Images (batch, 1, height, width) of 3x3 or more to logits (batch, classes). The initial weights are drawn as in
        `build`. None by default: the space has no such network.
        """
        self.code_of(architecture)
        check_positive("classes", classes)
        return None

    def code_of(self, architecture: Architecture) -> str:
        """Returns the architecture's code, checked to be of this space."""
        if architecture.space != self.name:
            raise SpaceError(
                f"architecture: {architecture.code!r} is of space {architecture.space!r}, not of {self.name!r}; "
                f"use get_space({architecture.space!r})"
            )
        return architecture.code


def check_choices(space: SearchSpace, choices: Sequence[int]) -> None:
    """Checks the number and the range of choices."""
    decisions = space.decisions
    if len(choices) != len(decisions):
        raise SpaceError(f"choices: {len(choices)} given, but {space.name} has {len(decisions)} decisions")
    for place, (choice, options) in enumerate(zip(choices, decisions, strict=True)):
        if not 0 <= choice < len(options):
            raise SpaceError(f"choices: {choice} for decision {place} is not among its {len(options)} options")


def check_distinct(distinct: str) -> None:
    """Checks that `distinct` is "code" or "function"."""
    if distinct not in get_args(Distinct):
        raise SpaceError(f"distinct: {distinct!r} is unknown; allowed are {', '.join(map(repr, get_args(Distinct)))}")


def check_positive(argument: str, value: object) -> None:
    """Checks that a value is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpaceError(f"{argument}: {value!r} is not a whole number of at least 1")


def check_factor(argument: str, value: object) -> None:
    """Checks that a value is a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise SpaceError(f"{argument}: {value!r} is not a positive number")


def as_tuple(argument: str, values: object, *, ascending: bool = False) -> tuple[Any, ...]:
    """Returns a list with at least one entry as a tuple, checked to ascend without repeats where required."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise SpaceError(f"{argument}: {values!r} is not a list of at least one entry")
    if ascending and list(values) != sorted(set(values)):
        raise SpaceError(f"{argument}: {list(values)} is not in ascending order without repeats")
    return tuple(values)


def check_variant(variant: object, variants: Iterable[str], *, more: str = "") -> None:
    """Checks that a variant exists."""
    known = list(variants)
    if variant not in known:
        meant = suggestion(str(variant), known)
        raise SpaceError(f"variant: {variant!r} is unknown{meant}; there are {', '.join(known)}{more}")


def check_task(input_shape: tuple[int, int, int], classes: int) -> None:
    """Checks an image shape and a number of classes."""
    if len(input_shape) != 3:
        raise SpaceError(f"input_shape: {input_shape!r} has {len(input_shape)} entries; give (channels, height, width)")
    for argument, value in zip(("channels", "height", "width"), input_shape, strict=True):
        check_positive(f"input_shape: {argument}", value)
    check_positive("classes", classes)


def check_count(count: object) -> None:
    """Checks that a count is an integer of at least 0."""
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
        raise SpaceError(f"count: {count!r} is not a whole number of at least 0")


def draw(pool: Sequence[Architecture], count: int, generator: np.random.Generator, kind: str) -> list[Architecture]:
    """Draws uniformly without replacement, in random order.

    Args:
        pool: What to draw from, without repeats.
        count: How many.
        generator: Source of randomness.
        kind: What the pool holds, for the error message.

    Raises:
        SpaceError: `count` is negative or larger than the pool.
    """
    check_count(count)
    if count > len(pool):
        raise SpaceError(f"count: {count:,} requested, but there are only {len(pool):,} {kind}")
    return [pool[index] for index in generator.choice(len(pool), size=count, replace=False)]


def one_line(error: BaseException, most: int = 200) -> str:
    """Type and message of an error on one line, shortened to so many characters."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= most else text[:most] + "..."
