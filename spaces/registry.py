"""Search spaces by name."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from spaces.architecture import SearchSpace, SpaceError

_SPACES: dict[str, type[SearchSpace]] = {}

SpaceClass = TypeVar("SpaceClass", bound=type[SearchSpace])


def register_space(space: SpaceClass) -> SpaceClass:
    """Class decorator: makes a search space known under its `name`.

    Raises:
        SpaceError: The class has no name, or another class has it already.
    """
    name = getattr(space, "name", "")
    if not name:
        raise SpaceError(f"register_space: {space.__qualname__} has no name; set the class attribute `name`")
    if name in _SPACES:
        taken = _SPACES[name]
        raise SpaceError(
            f"register_space: the name {name!r} of {space.__module__}.{space.__qualname__} is taken by "
            f"{taken.__module__}.{taken.__qualname__}; choose another"
        )
    _SPACES[name] = space
    return space


def get_space(name: str, **options: Any) -> SearchSpace:
    """Makes a search space from its name and its keyword options.

    Example:
        >>> get_space("nasbench201", width=8).parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|").space
        'nasbench201'

    Raises:
        SpaceError: No such space, no such option, or the space refuses an option's value.
    """
    if name not in _SPACES:
        raise SpaceError(
            f"space: {name!r} is unknown{_suggestion(name, list(_SPACES))}; there are {_join(list_spaces())}"
        )
    space = _SPACES[name]
    allowed = list(inspect.signature(space).parameters)
    for option in options:
        if option not in allowed:
            known = f"its options are {_join(allowed)}" if allowed else "it has no options"
            raise SpaceError(f"space {name!r}: option {option!r} is unknown{_suggestion(option, allowed)}; {known}")
    return space(**options)


def list_spaces(pattern: str = "*") -> list[str]:
    """Lists the registered names that match a shell pattern, in alphabetical order."""
    return sorted(name for name in _SPACES if fnmatchcase(name, pattern))


def _suggestion(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _join(names: list[str]) -> str:
    return ", ".join(names)
