"""The user's own images: `folder:PATH`, `imagenet:PATH` and `npz:PATH`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from taurank.trainables.data.dataset import Dataset
from taurank.trainables.data.decoded_cache import Progress, decode_files
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.file_list import SHOWN, FileList, list_folder, list_imagenet
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


def load_own(
    name: str, *, size: int | None = None, cache: Path | None = None, progress: Progress | None = None
) -> Dataset:
    """Reads the user's own images; files are decoded once and then kept, see `decode_files`.

    Args:
        name: `folder:PATH`, `imagenet:PATH` (see `list_folder`, `list_imagenet`) or `npz:PATH` (see `read_npz_file`).
        size: Pixels on each side that files are decoded to; None for `SIZE`. Arrays of an `.npz` keep their size.
        cache: Folder that decoded files are kept in; see `cache_folder`.
        progress: Told how many files are decoded.

    Raises:
        DataError: Nothing there, or not laid out so; files that cannot be decoded are left out and named in the log.
    """
    found = split_own(name)
    if found is None:
        raise DataError(f"{name!r} is none of {', '.join(f'{kind}:PATH' for kind in KINDS)}")
    kind, path = found
    if not path.exists():
        raise DataError(f"{name}: there is no {path.absolute()}")
    if kind == "npz":
        return read_npz_file(name, path)
    if size is None:
        logger.warning("%s: no size is given: images are brought to %d x %d", name, SIZE, SIZE)
    return _load_files(_LISTED[kind](name, path), size=size or SIZE, cache=cache, progress=progress)


def _load_files(files: FileList, *, size: int, cache: Path | None, progress: Progress | None) -> Dataset:
    listed = [*files.train, *files.test]
    names = [name for name, _ in listed]
    decoded = decode_files(files.root, names, size=size, cache=cache, progress=progress)
    _say_what_is_left_out(files, names, decoded.left_out)
    labels = np.array([label for place, (_, label) in enumerate(listed) if place not in decoded.left_out], np.int64)
    n_train = len(files.train) - sum(place < len(files.train) for place in decoded.left_out)
    empty = np.flatnonzero(np.bincount(labels[:n_train], minlength=len(files.classes)) == 0)
    if len(empty):
        first = next(place for place, (_, label) in enumerate(files.train) if label == empty[0])
        raise DataError(
            f"{files.source}: no image of the class {files.classes[empty[0]]!r} can be decoded;"
            f" {names[first]}: {decoded.left_out[first]}"
        )
    whole = ImageSet(decoded.images, labels)
    train = whole.part(np.arange(n_train))
    test = whole.part(np.arange(n_train, len(labels)))
    if files.test and not len(test):
        raise DataError(
            f"{files.source}: no test image can be decoded; {names[-1]}: {decoded.left_out[len(names) - 1]}"
        )
    return Dataset(
        files.source,
        train.images,
        train.labels,
        test.images if files.test else None,
        test.labels if files.test else None,
        files.classes,
    )


def _say_what_is_left_out(files: FileList, names: list[str], left_out: dict[int, str]) -> None:
    # Warnings, so that they are seen where logging has not been set up.
    if files.ignored:
        logger.warning("%s: %d files that are no images are not looked at", files.source, files.ignored)
    if left_out:
        some = "; ".join(f"{names[place]}: {left_out[place]}" for place in sorted(left_out)[:SHOWN])
        more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
        logger.warning("%s: %d of %d images are left out: %s%s", files.source, len(left_out), len(names), some, more)
