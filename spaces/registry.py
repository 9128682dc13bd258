"""Search spaces by name."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from taurank.spaces.architecture import SearchSpace, SpaceError
from taurank.spaces.own_code import import_own, is_own_code

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

    A space of the user's own is named by where it is: `get_space("package.module:MySpace")`.

    Raises:
        SpaceError: No such space, no such option, or the space refuses an option's value.
    """
    space = _SPACES.get(name) or _own_space(name)
    allowed = list(inspect.signature(space).parameters)
    for option in options:
        if option not in allowed:
            known = f"its options are {_join(allowed)}" if allowed else "it has no options"
            raise SpaceError(f"space {name!r}: option {option!r} is unknown{_suggestion(option, allowed)}; {known}")
    return space(**options)


def list_spaces(pattern: str = "*") -> list[str]:
    """Lists the registered names that match a shell pattern, in alphabetical order."""
    return sorted(name for name in _SPACES if fnmatchcase(name, pattern))


def _own_space(name: str) -> type[SearchSpace]:
    if not is_own_code(name):
        raise SpaceError(
            f"space: {name!r} is unknown{_suggestion(name, list(_SPACES))}; there are {_join(list_spaces())}"
        )
    try:
        space = import_own(name)
    except SpaceError as error:
        raise SpaceError(f"space: {str(error).removeprefix('code: ')}") from error.__cause__
    if not isinstance(space, type) or not issubclass(space, SearchSpace):
        raise SpaceError(
            f"space: {name!r} is no class of search spaces; let it inherit from taurank.spaces.ChoiceSpace"
        )
    missing = sorted(getattr(space, "__abstractmethods__", ()))
    if missing:
        raise SpaceError(f"space: {name!r} does not define {', '.join(missing)}")
    if getattr(space, "name", name) != name:
        # Workers make the space again from its name, and have imported nothing else.
        raise SpaceError(f"space: {name!r} calls itself {space.name!r}; leave out `name`, or set it to {name!r}")
    return space


def _suggestion(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _join(names: list[str]) -> str:
    return ", ".join(names)
