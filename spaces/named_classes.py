"""Registry of classes by name."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, Generic, TypeVar

from taurank.spaces.names import hint_or

Kind = TypeVar("Kind")
ClassOf = TypeVar("ClassOf", bound=type)


class NamedClasses(Generic[Kind]):
    """A registry of classes: built-in ones by import path, others added by a decorator.

    Args:
        kind: Noun for the classes, used in messages.
        error: Exception type for taken and unknown names.
        own: `package.module:Class` of the built-in classes by name; imported on first use.
    """

    def __init__(self, kind: str, error: type[Exception], own: Mapping[str, str] | None = None) -> None:
        self._kind, self._error = kind, error
        self._places = dict(own or {})
        self._classes: dict[str, type[Kind]] = {}

    def register(self, one: ClassOf, name: str | None = None) -> ClassOf:
        """Registers a class under a name, its attribute `name` by default; usable as a decorator.

        Raises:
            Exception: Of the type `error`: another class has the name, or the class has none.
        """
        name = getattr(one, "name", "") if name is None else name
        where = f"register_{self._kind}"
        if not name:
            raise self._error(f"{where}: {one.__qualname__} has no name; set the class attribute `name`")
        if name in self:
            raise self._error(
                f"{where}: the name {name!r} of {_place_of(one)} is taken by {_place_of(self.find(name))}; "
                "choose another name"
            )
        self._classes[name] = one
        return one

    def find(self, name: str) -> type[Kind]:
        """Returns the class registered under a name.

        Raises:
            Exception: Of the type `error`, with a suggestion.
        """
        self.check(name)
        if name not in self._classes:
            module, _, attribute = self._places[name].partition(":")
            self._classes[name] = getattr(import_module(module), attribute)
        return self._classes[name]

    def check(self, name: str) -> None:
        """Refuses an unknown name as `find` does, and imports nothing."""
        if name not in self:
            names = self.names()
            raise self._error(f"unknown {self._kind} {name!r}; {hint_or(name, names, 'there are ' + ', '.join(names))}")

    def unimported(self, name: str) -> str | None:
        """`package.module:Class` of a name whose class has not been imported so far; None if it has. See `find`."""
        self.check(name)
        return None if name in self._classes else self._places[name]

    def make(self, name: str, *arguments: Any, **options: Any) -> Kind:
        """Returns an instance of the class registered under a name; see `find`."""
        return self.find(name)(*arguments, **options)

    def names(self, pattern: str = "*") -> list[str]:
        """Returns the names that match a shell pattern, in alphabetical order."""
        return sorted(name for name in {*self._places, *self._classes} if fnmatchcase(name, pattern))

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self._classes


def _place_of(one: type) -> str:
    return f"{one.__module__}.{one.__qualname__}"
