"""Sizes of the models of libraries, kept on disk: a model takes some tenths of a second to size, a library minutes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from taurank.spaces.architecture import Architecture, Family
from taurank.spaces.size import Size, measure_size
from taurank.spaces.user_cache import cache_folder
from taurank.spaces.zoo.space import Zoo

LIBRARIES = ("timm", "torchvision")
_COUNTED_BY = ("depth.py", "flops.py", "size.py", "structure.py", "weightless.py", "zoo")
"""Files and folders beside the package `zoo` whose code decides on a size or a family."""
_log = logging.getLogger(__name__)


class KeptSizes:
    """A context that measures sizes of models by name, and takes those that an earlier one has measured.

    There is a file for each version of a library, of torch, and of the code that counts. A file that cannot be read or
    written is the same as none. Models of the user's own are measured each time, since their code may have changed.

    Args:
        folder: Where the files are; None for the cache folder of taurank.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "sizes"
        self._kept: dict[Path, dict[str, Any]] = {}
        self._measured: dict[Path, dict[str, Any]] = {}

    def __enter__(self) -> KeptSizes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what was measured, after an interruption too."""
        for file, measured in self._measured.items():
            # Another process may have written since.
            _write(file, _read(file) | measured)

    def measure(
        self, space: Zoo, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int
    ) -> tuple[Size, Family]:
        """The size of a model for this task, and its family.

        Raises:
            SpaceError: See `measure_size`.
        """
        library, _, name = architecture.code.partition(":")
        if library not in LIBRARIES:
            size = measure_size(space, architecture, input_shape=input_shape, classes=classes)
            return size, space.family(architecture)
        file = self._folder / f"{library}-{version(library)}-torch-{version('torch')}-{_code_version()}.json"
        if file not in self._kept:
            self._kept[file] = _read(file)
            _log.info("%d sizes of %s are read from %s", len(self._kept[file]), library, file)
        key = f"{name} {'x'.join(map(str, input_shape))} {classes}"
        found = _entry(self._kept[file].get(key))
        if found is None:
            size = measure_size(space, architecture, input_shape=input_shape, classes=classes)
            found = size, space.family(architecture)
            self._measured.setdefault(file, {})[key] = [size.parameters, size.flops, size.depth, found[1]]
        return found


@cache
def _code_version() -> str:
    here = Path(__file__).parents[1]
    found = hashlib.sha256()
    for place in _COUNTED_BY:
        for file in sorted((here / place).glob("*.py")) or [here / place]:
            found.update(file.read_bytes())
    return found.hexdigest()[:12]


def _entry(kept: Any) -> tuple[Size, Family] | None:
    match kept:
        case [int(parameters), int(flops), int() | None as depth, family] if min(
            parameters, flops, depth or 0
        ) >= 0 and family in get_args(Family):
            return Size(parameters, flops, depth), family
    return None


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: Path, content: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as new:
                json.dump(content, new)
            os.replace(partial, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
    except OSError as error:
        _log.info("sizes cannot be kept in %s: %s", file, error)
