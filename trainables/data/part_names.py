"""Names of the parts of a data set, as folders and in a column `split`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from taurank.trainables.data.errors import DataError

Part = Literal["train", "validation", "test"]

NAMES: dict[Part, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""Names of each part, in either case."""
_PART_OF: dict[str, Part] = {name: part for part, names in NAMES.items() for name in names}


def plain(name: str) -> str:
    """A name without what only its spelling adds: case, width, space at the ends."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def part_of(name: str) -> Part | None:
    """The part that a name stands for; None for any other name."""
    return _PART_OF.get(plain(name))


def resembles_part(name: str) -> Part | None:
    """Returns the part named by a word of a name, as in `train_set`; None where there is none."""
    words = re.split(r"[\W\d_]+", plain(name))
    return next((_PART_OF[word] for word in words if word in _PART_OF), None)


def assign_parts(source: str, names: Iterable[str]) -> dict[Part, str]:
    """Assigns names to parts. Without a test part the validation part is the test part.

    Raises:
        DataError: Two names stand for one part.
    """
    found: dict[Part, str] = {}
    for name in sorted(names):
        part = part_of(name)
        if part is None:
            continue
        if part in found:
            raise DataError(
                f"{source}: both {found[part]!r} and {name!r} can be read as the {part} images; join them, or rename"
                " the one that is not"
            )
        found[part] = name
    if "validation" in found and "test" not in found:
        found["test"] = found.pop("validation")
    return found
