"""What a search space is: the contract that every space of the package keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.names import suggestion

if TYPE_CHECKING:
    from torch import nn

Distinct = Literal["code", "function"]
"""What may not occur twice in a sample: the same code, or the same function."""

Family = Literal["cnn", "bare_cnn", "modern_cnn", "transformer"]
"""Kinds of networks that want to be trained differently.

`cnn`: convolutions with batch normalisation (ResNet, MobileNet, RegNet). `bare_cnn`: convolutions without any
normalisation (AlexNet, VGG). `modern_cnn`: convolutions with layer or group normalisation (ConvNeXt). `transformer`:
attention, or other mixing of tokens without convolutions (ViT, Swin, MLP-Mixer).
"""

ENUMERATION_LIMIT = 10_000_000
"""Spaces with more codes than this are sampled, not listed."""


LONGEST = 2000
"""Characters of a message: what somebody has written may be of any length, and messages repeat it."""


class SpaceError(ValueError):
    """A search space was asked for something that it does not have."""

    def __init__(self, message: str) -> None:
        cut = len(message) > LONGEST
        super().__init__(f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}" if cut else message)


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
    """A set of architectures with their texts, relations, numeric features and networks.

    A subclass keeps the keyword options of its constructor and returns them from `options`, so that a worker can make
    the same space again from name and options: `get_space(space.name, **space.options)`.

    Attributes:
        name: Registered name.
        size: Number of codes; None when they cannot be counted.
        feature_names: One name for each entry of `features`.
        foreign: Whether its networks are made by others, so that it has to be tried whether they take the images at
            hand and classify them.
    """

    name: str
    foreign: bool = False
    size: int | None
    feature_names: tuple[str, ...]

    def __repr__(self) -> str:
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        return f"get_space({self.name!r}{options})"

    @property
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Keyword options that this space was made with, defaults included."""

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """Reads a code and returns it in its normal spelling (white space removed). It is not made canonical.

        Raises:
            SpaceError: The text is not a code of this space; the message says what is wrong, where, what is allowed.
        """

    def own_code(self, architecture: Architecture) -> str | None:
        """The `package.module:name` of the user's own code that builds an architecture; None where a library does."""
        return None

    def match(self, text: str) -> list[Architecture] | None:
        """The architectures that a pattern stands for; None where the text is no pattern. By default there are none.

        Raises:
            SpaceError: It is a pattern, but of nothing.
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
        """Returns the one that stands for all architectures that the space knows to be equal as functions.

        Idempotent: `canonical(canonical(a)) == canonical(a)`.
        """

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """The options of each decision that an architecture is made of, in a fixed order.

        By default none: the space has no fixed number of decisions, and no `choices`.
        """
        return ()

    def choices(self, architecture: Architecture) -> tuple[int, ...]:
        """The option taken, by position, for each of `decisions`.

        Raises:
            SpaceError: The architecture is of another space, or the space has no fixed decisions.
        """
        self.code_of(architecture)
        raise SpaceError(f"choices: {self.name} has no fixed decisions")

    def choose(self, choices: Sequence[int]) -> Architecture:
        """The architecture that takes these options: the reverse of `choices`.

        Raises:
            SpaceError: Too few or too many, an option that is not there, or the space has no fixed decisions.
        """
        raise SpaceError(f"choose: {self.name} has no fixed decisions")

    def is_live(self, architecture: Architecture) -> bool:
        """Says whether every part of it takes part in its function; by default yes."""
        self.code_of(architecture)
        return True

    @abstractmethod
    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Lists the architectures that differ in exactly one decision; a symmetric relation."""

    @abstractmethod
    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Numeric description, shape (len(feature_names),), always finite; needs no network."""

    def family(self, architecture: Architecture) -> Family:
        """Which kind of network it is, for those who train each kind by its own recipe; by default `cnn`."""
        self.code_of(architecture)
        return "cnn"

    def short(self, architecture: Architecture) -> str:
        """A name for places where the code is too long; `parse` reads it too. By default the code itself."""
        return self.code_of(architecture)

    @abstractmethod
    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Makes the untrained network: images (batch, *input_shape) to logits (batch, classes).

        The initial weights are drawn from torch's global generator, as torch's layers do. For weights that depend on a
        seed alone, call it inside `with torch.random.fork_rng():` after `torch.manual_seed(seed)`.

        Args:
            architecture: What to build.
            input_shape: (channels, height, width) of one image.
            classes: Number of logits.

        Raises:
            SpaceError: The architecture is not of this space, or the network cannot take such images.
        """

    def thin(self, architecture: Architecture, *, classes: int) -> nn.Module | None:
        """Makes the smallest network that still has the architecture in it: its linear regions can be counted.

        Images (batch, 1, height, width) of 3x3 or more to logits (batch, classes). The initial weights are drawn as in
        `build`. By default None: the space has no such network.

        Raises:
            SpaceError: The architecture is not of this space, or `classes` is not a positive whole number.
        """
        self.code_of(architecture)
        check_positive("classes", classes)
        return None

    def code_of(self, architecture: Architecture) -> str:
        """Returns the architecture's code after checking that it belongs here.

        Raises:
            SpaceError: The architecture is of another space.
        """
        if architecture.space != self.name:
            raise SpaceError(
                f"architecture: {architecture.code!r} is of space {architecture.space!r}, not of {self.name!r}; "
                f"use get_space({architecture.space!r})"
            )
        return architecture.code


def check_choices(space: SearchSpace, choices: Sequence[int]) -> None:
    """Refuses choices that do not fit the decisions of a space.

    Raises:
        SpaceError: Too few or too many, or an option that is not there.
    """
    decisions = space.decisions
    if len(choices) != len(decisions):
        raise SpaceError(f"choices: {len(choices)} given, but {space.name} has {len(decisions)} decisions")
    for place, (choice, options) in enumerate(zip(choices, decisions, strict=True)):
        if not 0 <= choice < len(options):
            raise SpaceError(f"choices: {choice} for decision {place} is not among its {len(options)} options")


def check_distinct(distinct: str) -> None:
    """Refuses a kind of distinctness that does not exist.

    Raises:
        SpaceError: `distinct` is neither "code" nor "function".
    """
    if distinct not in get_args(Distinct):
        raise SpaceError(f"distinct: {distinct!r} is unknown; allowed are {', '.join(map(repr, get_args(Distinct)))}")


def check_positive(argument: str, value: object) -> None:
    """Refuses anything but a positive whole number.

    Raises:
        SpaceError: `value` is not an integer of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpaceError(f"{argument}: {value!r} is not a whole number of at least 1")


def check_variant(variant: object, variants: Iterable[str], *, more: str = "") -> None:
    """Refuses a variant that a space does not have.

    Raises:
        SpaceError: `variant` is not among `variants`; the message ends with `more`.
    """
    known = list(variants)
    if variant not in known:
        meant = suggestion(str(variant), known)
        raise SpaceError(f"variant: {variant!r} is unknown{meant}; there are {', '.join(known)}{more}")


def check_task(input_shape: tuple[int, int, int], classes: int) -> None:
    """Refuses a task that no network can be built for.

    Raises:
        SpaceError: `input_shape` is not three positive whole numbers, or `classes` is not a positive one.
    """
    if len(input_shape) != 3:
        raise SpaceError(f"input_shape: {input_shape!r} has {len(input_shape)} entries; give (channels, height, width)")
    for argument, value in zip(("channels", "height", "width"), input_shape, strict=True):
        check_positive(f"input_shape: {argument}", value)
    check_positive("classes", classes)


def draw(pool: Sequence[Architecture], count: int, generator: np.random.Generator, kind: str) -> list[Architecture]:
    """Draws uniformly and without repeats from a list; the order of the result is random too.

    Args:
        pool: What to draw from, without repeats.
        count: How many.
        generator: Source of randomness.
        kind: What the pool holds, for the error message.

    Raises:
        SpaceError: `count` is negative or larger than the pool.
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
        raise SpaceError(f"count: {count!r} is not a whole number of at least 0")
    if count > len(pool):
        raise SpaceError(f"count: {count:,} asked, but there are only {len(pool):,} {kind}")
    return [pool[index] for index in generator.choice(len(pool), size=count, replace=False)]


def one_line(error: BaseException, most: int = 200) -> str:
    """Type and message of an error on one line, shortened to so many characters."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= most else text[:most] + "..."
