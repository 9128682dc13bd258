"""Classes of one kind, known by their names."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import ClassVar, Generic, Protocol, TypeVar


class Named(Protocol):
    """What has a name as a class, and is made without arguments."""

    name: ClassVar[str]


Kind = TypeVar("Kind", bound=Named)
ClassOf = TypeVar("ClassOf", bound=type)


class NamedClasses(Generic[Kind]):
    """A registry that its classes enter by a decorator.

    Args:
        kind: one word for what they are, for messages.
        error: what a name that is taken or unknown raises, with one line.
    """

    def __init__(self, kind: str, error: type[Exception]) -> None:
        self._kind, self._error = kind, error
        self._classes: dict[str, type[Kind]] = {}

    def register(self, one: ClassOf) -> ClassOf:
        """Class decorator: makes a class known under its `name`; raises the error where another one has it."""
        name = one.name  # type: ignore[attr-defined]
        if name in self._classes:
            taken = self._classes[name]
            raise self._error(
                f"register_{self._kind}: {name!r} is taken by {taken.__module__}.{taken.__qualname__}; choose another "
                "name"
            )
        self._classes[name] = one
        return one

    def make(self, name: str) -> Kind:
        """One of that name; raises the error, with the name that was probably meant, where there is none."""
        if name not in self._classes:
            close = get_close_matches(name, self._classes, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self.names())}"
            raise self._error(f"unknown {self._kind} {name!r}; {hint}")
        return self._classes[name]()

    def names(self, pattern: str = "*") -> list[str]:
        """Names that match a shell pattern, in alphabetical order."""
        return sorted(name for name in self._classes if fnmatchcase(name, pattern))
