"""Import of user code named `package.module:name`."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from taurank.spaces.architecture import SpaceError, one_line

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def is_own_code(text: str) -> bool:
    """Whether a text has the form `package.module:name`."""
    return _NAME.fullmatch(text) is not None


def import_own(text: str) -> Any:
    """Imports the object named `package.module:name`; the working directory is on the search path.

    Raises:
        SpaceError: The text is malformed, the module or name does not exist, or the import fails.
    """
    if not is_own_code(text):
        raise SpaceError(f"code: {text!r} does not name own code; the form is package.module:name")
    module_name, _, name = text.partition(":")
    here = str(Path.cwd())
    # An installed command does not search the working directory; Ray's workers do.
    if here not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise SpaceError(
                f"code: {text!r}: there is no module {error.name!r}; call taurank in the folder that has it, "
                "or install it"
            ) from None
        raise SpaceError(f"code: {text!r}: {module_name} needs {error.name!r}, which is not installed") from None
    except Exception as error:
        raise SpaceError(f"code: {text!r}: {module_name} fails when it is imported: {one_line(error)}") from error
    if not hasattr(module, name):
        raise SpaceError(f"code: {text!r}: {module_name} has no {name!r}")
    return getattr(module, name)
