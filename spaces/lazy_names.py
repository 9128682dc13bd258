"""Public names of a package that are imported when they are first used, as PEP 562 allows.

Listing spaces and parsing codes need no torch, whose import alone takes more than a second.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy_names(package: str) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a package, which imports names listed under `if TYPE_CHECKING:` in its `__init__`.

    Type checkers and editors read these imports; at run time a module is imported when one of its names is used.

    Example:
        In `package/__init__.py`::

            if TYPE_CHECKING:
                from package.module import Name

            __all__ = ["Name"]
            __getattr__ = lazy_names(__name__)
    """
    module = sys.modules[package]
    sources = _read_sources(Path(str(module.__file__)))

    def get(name: str) -> Any:
        if name not in sources:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(sources[name]), name)
        setattr(module, name, value)
        return value

    return get


def _read_sources(file: Path) -> dict[str, str]:
    """Module of each name that a file imports under `if TYPE_CHECKING:`."""
    checked = [
        node
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    return {
        alias.name: str(statement.module)
        for block in checked
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
