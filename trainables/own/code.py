"""Finds the user's training code by its name, or as an object that a program has given, and checks how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taurank.spaces import SpaceError, import_own

METHODS = ("step", "state_dict", "load_state_dict")
"""What a class needs; a function is a generator instead."""
_GIVEN: dict[str, Callable[..., Any]] = {}
"""Objects of this process by name, which resolves to them before it is imported."""


class OwnCodeError(ValueError):
    """Training code that cannot be used, or that does not keep to its interface; one line with the way out."""


@dataclass(frozen=True)
class OwnCode:
    """Training code as it is sent to workers.

    Attributes:
        name: ``package.module:name``.
        given: the object itself if workers cannot import it, since a script or a notebook defines it.
    """

    name: str
    given: Callable[..., Any] | None = None

    def load(self) -> Callable[..., Any]:
        """The function or class, checked.

        Raises:
            OwnCodeError: It cannot be imported, or cannot be called as training code is.
        """
        try:
            found = import_own(self.name) if self.given is None else self.given
        except SpaceError as error:
            raise OwnCodeError(f"trainable: {str(error).removeprefix('code: ')}") from None
        _check(found, self.name)
        return found


def give_own_code(code: object) -> str:
    """Takes a function or class from a program; returns the name by which an experiment calls it.

    Raises:
        OwnCodeError: It cannot be called as training code is.
    """
    if isinstance(code, str):
        return code
    place = f"{getattr(code, '__module__', None) or '__main__'}:{getattr(code, '__name__', type(code).__name__)}"
    _check(code, place)
    _GIVEN[place] = code  # type: ignore[assignment]
    return place


def find_own_code(name: str) -> OwnCode:
    """The training code of a name, checked in this process before anything is spent.

    Raises:
        OwnCodeError: It cannot be imported, or cannot be called as training code is.
    """
    given = _GIVEN.get(name)
    if given is None and name.startswith("__main__:"):
        raise OwnCodeError(
            f"trainable: {name.partition(':')[2]} was given by a script or a notebook; give it again: "
            "run.resume(trainable=...), or move it into a module"
        )
    # What a module defines at its top is imported by workers, so that it need not be pickled.
    imported = given is not None and _is_importable(name, given)
    code = OwnCode(name, None if imported else given)
    code.load()
    return code


def _is_importable(name: str, given: object) -> bool:
    if name.startswith("__main__:"):
        return False
    try:
        return import_own(name) is given
    except SpaceError:
        return False


def _check(code: object, name: str) -> None:
    """Refuses what cannot be called as training code is.

    Raises:
        OwnCodeError: One line that says how it is called.
    """
    short = name.partition(":")[2]
    if not callable(code):
        raise OwnCodeError(f"trainable: {name} is {type(code).__name__}, not a function or a class")
    if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
        raise OwnCodeError(f"trainable: {name} is asynchronous; write a plain generator, `def {short}(...)`")
    arguments: dict[str, Any] = {"epochs": 1, "seed": 0, "device": "cpu"}
    if isinstance(code, type):
        lacking = [method for method in METHODS if not callable(getattr(code, method, None))]
        if lacking:
            raise OwnCodeError(f"trainable: the class {name} lacks {', '.join(lacking)}; it needs {', '.join(METHODS)}")
    else:
        arguments["checkpoint"] = Path()
    try:
        signature = inspect.signature(code)
    except (TypeError, ValueError):  # of a compiled function
        return
    try:
        signature.bind("candidate", **arguments)
    except TypeError as error:
        raise OwnCodeError(
            f"trainable: {name}{signature} is called as {short}(candidate, *, {', '.join(arguments)}), and cannot be: "
            f"{error}"
        ) from None
