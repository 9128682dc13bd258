"""The user's own images: `folder:PATH`, `imagenet:PATH` and `npz:PATH`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from taurank.trainables.data.dataset import Dataset
from taurank.trainables.data.decoded_cache import Decoded, Progress, decode_files, image_digests
from taurank.trainables.data.duplicates import duplicate_warnings
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.file_list import FileList, list_folder, list_imagenet
from taurank.trainables.data.folder_walk import SHOWN
from taurank.trainables.data.image_set import ImageSet
from taurank.trainables.data.npz import read_npz_file

logger = logging.getLogger(__name__)

SIZE = 64
"""Pixels on each side of own images where no size is asked for."""

_LISTED: dict[str, Callable[[str, Path], FileList]] = {"folder": list_folder, "imagenet": list_imagenet}
KINDS = (*_LISTED, "npz")


def split_own(name: str) -> tuple[str, Path] | None:
    """Kind and path of `KIND:PATH`; None for any other name. `~` is the home folder.

    Raises:
        DataError: There is no path after the colon.
    """
    kind, colon, path = name.partition(":")
    if not colon or kind not in KINDS:
        return None
    if not path.strip():
        raise DataError(f"{name!r} has no path; write {kind}:PATH")
    return kind, Path(path.strip()).expanduser()


def count_own(name: str) -> tuple[int, int, int, int] | None:
    """Training, validation and test images and classes among own files, which are not decoded; None for arrays.

    Raises:
        DataError: The path is missing or has another layout.
    """
    found = split_own(name)
    if found is None or found[0] not in _LISTED:
        return None
    files = _LISTED[found[0]](name, found[1])
    return len(files.train), len(files.validation), len(files.test), len(files.classes)


def load_own(
    name: str, *, size: int | None = None, cache: Path | None = None, progress: Progress | None = None
) -> Dataset:
    """Reads the user's own images; files are decoded once and then kept, see `decode_files`.

    Args:
        name: `folder:PATH`, `imagenet:PATH` (see `list_folder`, `list_imagenet`) or `npz:PATH` (see `read_npz_file`).
        size: Pixels on each side that files are decoded to; None for `SIZE`. Arrays of an `.npz` keep their size.
        cache: Folder that decoded files are kept in; see `cache_folder`.
        progress: Called with the numbers of decoded and of all files.

    Raises:
        DataError: The path is missing or has another layout. Undecodable files are skipped and logged.
    """
    found = split_own(name)
    if found is None:
        raise DataError(f"{name!r} is none of {', '.join(f'{kind}:PATH' for kind in KINDS)}")
    kind, path = found
    if not path.exists():
        raise DataError(f"{name}: there is no {path.absolute()}")
    if kind == "npz":
        return _warned(read_npz_file(name, path))
    if size is None:
        logger.warning("%s: no size is given: images are brought to %d x %d", name, SIZE, SIZE)
    return _load_files(_LISTED[kind](name, path), size=size or SIZE, cache=cache, progress=progress)


def _warned(dataset: Dataset) -> Dataset:
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    digests = {name: image_digests(part.images[:]) for name, part in parts.items() if part is not None}
    for line in duplicate_warnings(dataset.name, digests):
        logger.warning("%s", line)
    return dataset


def _load_files(files: FileList, *, size: int, cache: Path | None, progress: Progress | None) -> Dataset:
    parts = {"train": files.train, "validation": files.validation, "test": files.test}
    listed = [entry for part in parts.values() for entry in part]
    names = [name for name, _ in listed]
    decoded = decode_files(files.root, names, size=size, cache=cache, progress=progress)
    labels = np.array([label for place, (_, label) in enumerate(listed) if place not in decoded.left_out], np.int64)
    whole = ImageSet(decoded.images, labels)
    rows: dict[str, npt.NDArray[np.intp]] = {}
    sets: dict[str, ImageSet] = {}
    start = kept = 0
    for part, entries in parts.items():
        broken = [place for place in range(start, start + len(entries)) if place in decoded.left_out]
        if entries and len(broken) == len(entries):
            raise DataError(
                f"{files.source}: no {part} image can be decoded; {names[broken[-1]]}: {decoded.left_out[broken[-1]]}"
            )
        rows[part] = np.arange(kept, kept + len(entries) - len(broken))
        sets[part] = whole.part(rows[part])
        start, kept = start + len(entries), kept + len(rows[part])
    empty = np.flatnonzero(np.bincount(sets["train"].labels, minlength=len(files.classes)) == 0)
    if len(empty):
        first = next(place for place, (_, label) in enumerate(files.train) if label == empty[0])
        raise DataError(
            f"{files.source}: no image of the class {files.classes[empty[0]]!r} can be decoded;"
            f" {names[first]}: {decoded.left_out[first]}"
        )
    digests = {part: decoded.digests[row] for part, row in rows.items()}
    # Warnings, so that they are seen where logging has not been set up.
    for line in (*files.notes, *_left_out(files.source, names, decoded), *duplicate_warnings(files.source, digests)):
        logger.warning("%s", line)
    validation, test = (sets[part] if parts[part] else None for part in ("validation", "test"))
    return Dataset(files.source, sets["train"], test, files.classes, validation)


def _left_out(source: str, names: Sequence[str], decoded: Decoded) -> Iterator[str]:
    """Yields warnings about undecodable files and the range of 16-bit images."""
    left_out = decoded.left_out
    if left_out:
        some = "; ".join(f"{names[place]}: {left_out[place]}" for place in sorted(left_out)[:SHOWN])
        more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
        yield f"{source}: {len(left_out)} of {len(names)} images are left out: {some}{more}"
    if decoded.deep is not None:
        count, low, high = decoded.deep
        black, white = decoded.levels
        images = "1 image has" if count == 1 else f"{count} images have"
        yield f"{source}: {images} 16 bits; range used {low}..{high}, scaled from {black}..{white} to 0..255"
