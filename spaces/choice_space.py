"""Base class for user-defined search spaces: named decisions and a function that builds the network."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, prod
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, SpaceError, check_task
from taurank.spaces.decision_space import DecisionSpace

if TYPE_CHECKING:
    from torch import nn

Option: TypeAlias = bool | int | float | str


class ChoiceSpace(DecisionSpace):
    """All combinations of the options of `named_decisions`.

    Its code is the options taken, such as `depth=2,width=16`. Its name is `package.module:Class`, under which an
    experiment finds it: `space: package.module:Class`.

    Example:
        >>> from torch import nn
        >>> class Towers(ChoiceSpace):
        ...     named_decisions = {"depth": (1, 2, 3), "activation": ("relu", "tanh")}
        ...
        ...     def network(self, taken, *, input_shape, classes):
        ...         activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[taken["activation"]]
        ...         layers = [layer for _ in range(taken["depth"]) for layer in (nn.LazyLinear(32), activation())]
        ...         return nn.Sequential(nn.Flatten(), *layers, nn.LazyLinear(classes))
        >>> Towers().size
        6
        >>> Towers().parse("depth=2, activation=relu").code
        'depth=2,activation=relu'

    A subclass whose constructor takes options (such as a width that all architectures share) returns them from
    `options`.

    Attributes:
        named_decisions: The options of each decision by its name: numbers, texts, True and False.
    """

    named_decisions: ClassVar[Mapping[str, Sequence[Option]]]

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "name" not in vars(cls):
            cls.name = f"{cls.__module__}:{cls.__qualname__}"
        if "network" in vars(cls) and not hasattr(cls, "named_decisions"):
            raise SpaceError(f"{cls.__qualname__}: named_decisions is missing; give the options of each decision")
        if "named_decisions" in vars(cls):
            _check_decisions(cls.__qualname__, cls.named_decisions)

    @abstractmethod
    def network(self, taken: dict[str, Any], *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Makes the untrained network of the options taken: images (batch, *input_shape) to logits (batch, classes).

        It may raise `SpaceError` for images it cannot accept.
        """

    def simplify(self, taken: dict[str, Any]) -> dict[str, Any]:
        """Returns the representative of all options that give the same function; `taken` itself by default.

        A decision without effect (such as the kernel of a missing layer) can be set to its first option. The result has
        to be a fixed point.
        """
        return taken

    @property
    def size(self) -> int:  # type: ignore[override]
        """Number of combinations."""
        return prod(map(len, self.named_decisions.values()))

    @property
    def feature_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The name of a decision between numbers; `DECISION_OPTION` for each option of any other."""
        return tuple(
            name
            for decision, options in self.named_decisions.items()
            for name in ([decision] if _are_numbers(options) else [f"{decision}_{option}" for option in options])
        )

    @property
    def options(self) -> dict[str, Any]:
        """Empty unless the subclass takes options."""
        return {}

    def taken(self, architecture: Architecture) -> dict[str, Any]:
        """The option taken for each decision, by name."""
        choices = self.choices(architecture)
        return {name: options[choice] for (name, options), choice in zip(self._items, choices, strict=True)}

    def architecture(self, **taken: Option) -> Architecture:
        """Returns the architecture with these options; the inverse of `taken`.

        Raises:
            SpaceError: A decision without an option, or one that it does not have.
        """
        return self.parse(",".join(f"{name}={option}" for name, option in taken.items()))

    def _read(self, code: str) -> list[int]:
        texts = dict(self._split(code))
        missing = [name for name in self.named_decisions if name not in texts]
        if missing:
            raise SpaceError(f"code: {code!r} has no {', '.join(missing)}; the form is {self._form!r}")
        choices = []
        for name, options in self._items:
            allowed = list(map(str, options))
            if texts[name] not in allowed:
                raise SpaceError(f"code: {name} of {code!r} is {texts[name]!r}; allowed are {', '.join(allowed)}")
            choices.append(allowed.index(texts[name]))
        return choices

    def _write(self, choices: Sequence[int]) -> str:
        return ",".join(
            f"{name}={options[choice]}" for (name, options), choice in zip(self._items, choices, strict=True)
        )

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        seen = set()
        for part in text.split(","):
            name, equals, option = (piece.strip() for piece in part.partition("="))
            if not equals or name not in self.named_decisions or name in seen:
                problem = "comes twice" if name in seen else "is not a decision with its option"
                raise SpaceError(f"code: {part.strip()!r} of {text!r} {problem}; the form is {self._form!r}")
            seen.add(name)
            yield name, option

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the architecture of the simplified options."""
        return self.architecture(**self.simplify(self.taken(architecture)))

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """The options of each of `named_decisions`, as text."""
        return tuple(tuple(map(str, options)) for _, options in self._items)

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """The simplified options: numbers as they are, others one-hot."""
        taken = self.simplify(self.taken(architecture))
        values: list[float] = []
        for name, options in self._items:
            if _are_numbers(options):
                values.append(taken[name])
            else:
                values += [taken[name] == option for option in options]
        return np.array(values, dtype=np.float64)

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Makes the network, by `network`."""
        from torch import nn

        check_task(input_shape, classes)
        network: object = self.network(self.taken(architecture), input_shape=input_shape, classes=classes)
        if not isinstance(network, nn.Module):
            raise SpaceError(f"space {self.name!r}: network returns {type(network).__name__}, not a torch.nn.Module")
        return network

    @property
    def _items(self) -> list[tuple[str, Sequence[Option]]]:
        return list(self.named_decisions.items())

    @property
    def _form(self) -> str:
        return ",".join(f"{name}={options[0]}" for name, options in self._items)


def _are_numbers(options: Sequence[Option]) -> bool:
    return all(isinstance(option, (int, float)) and not isinstance(option, bool) for option in options)


def _check_decisions(space: str, decisions: Mapping[str, Sequence[Option]]) -> None:
    where = f"named_decisions of {space}"
    if not isinstance(decisions, Mapping) or not decisions:
        raise SpaceError(f"{where}: {decisions!r} is not a dictionary of at least one decision with its options")
    for name, options in decisions.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise SpaceError(f"{where}: {name!r} is no name; use letters, digits and _")
        if not isinstance(options, (list, tuple)) or not options:
            raise SpaceError(f"{where}: {name} is {options!r}, not a list of at least one option")
        for option in options:
            usable = isinstance(option, (bool, int, str)) or (isinstance(option, float) and isfinite(option))
            if not usable or not re.fullmatch(r"[^\s,=;]+", str(option)):
                raise SpaceError(
                    f"{where}: {name} has {option!r}; an option is a number, True, False, or a text without blanks "
                    "and without , ; ="
                )
        if len(set(options)) < len(options) or len(set(map(str, options))) < len(options):
            raise SpaceError(f"{where}: {name} has an option twice: {', '.join(map(str, options))}")
