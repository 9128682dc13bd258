"""The user's own images: `folder:PATH`, `imagenet:PATH`, `packed:FILE` and `npz:PATH`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from taurank.spaces import cache_folder
from taurank.trainables.data.class_choice import Classes, dataset_of_classes, list_of_classes
from taurank.trainables.data.dataset import Dataset
from taurank.trainables.data.decoded_cache import CHANNELS, Progress, decode_files, files_key, image_digests
from taurank.trainables.data.duplicates import duplicate_warnings
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.file_list import FileList, list_folder
from taurank.trainables.data.imagenet_layout import list_imagenet
from taurank.trainables.data.listed import arrange, dataset_of, lines_about
from taurank.trainables.data.npz import read_npz_file
from taurank.trainables.data.pack_file import PackIndex, read_index
from taurank.trainables.data.packed import PackedImages
from taurank.trainables.data.packing import SHORT_SIDE, Packing, write_pack

logger = logging.getLogger(__name__)

SIZE = 64
"""Pixels on each side of own images where no size is asked for."""

_LISTED: dict[str, Callable[[str, Path], FileList]] = {"folder": list_folder, "imagenet": list_imagenet}
KINDS = (*_LISTED, "packed", "npz")

PACKED_BYTES = 20_000_000_000
"""Files that would be more than this once decoded are packed instead."""


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


def prefix_hint(name: str, kinds: Sequence[str] = KINDS) -> str:
    """``; did you mean 'folder:photos'?`` for the bare path of something that is there, else an empty text."""
    path = Path(name).expanduser()
    kind = "folder" if path.is_dir() else {".csv": "folder", ".npz": "npz"}.get(path.suffix, "packed")
    return f"; did you mean '{kind}:{name}'?" if kind in kinds and path.exists() else ""


def count_own(name: str, classes: Classes | None = None) -> tuple[int, int, int, int] | None:
    """Training, validation and test images and classes among own files, which are not decoded; None for arrays.

    Args:
        name: `KIND:PATH`.
        classes: Those that are counted; None for all.

    Raises:
        DataError: The path is missing or has another layout, or a class is not there.
    """
    kind, path, classes = _found(name, KINDS, classes)
    if kind == "npz":
        return None
    if kind == "packed":
        whole = _of_pack(name, path, read_index(path), SIZE, None)
        dataset = whole if classes is None else dataset_of_classes(whole, classes)
        validation, test = (0 if part is None else len(part) for part in (dataset.validation, dataset.test))
        return len(dataset.train), validation, test, len(dataset.classes)
    files = _listed(name, kind, path, classes)
    return len(files.train), len(files.validation), len(files.test), len(files.classes)


def split_number(path: Path) -> tuple[Path, int | None]:
    """Path and number of classes of `PATH#100`; None where there is no such number, or a file has that very name."""
    stem, hash_, number = path.name.rpartition("#")
    if path.exists() or not hash_ or not number.isdecimal():
        return path, None
    return path.with_name(stem), int(number)


def load_own(
    name: str,
    *,
    size: int | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    classes: Classes | None = None,
    local_copy: Path | None = None,
) -> Dataset:
    """Reads the user's own images.

    Files are decoded once and then kept, see `decode_files`; those that would be more than `PACKED_BYTES` are packed,
    see `write_pack`, and decoded as they are used.

    Args:
        name: `folder:PATH`, `imagenet:PATH` (see `list_folder`, `list_imagenet`), `packed:FILE` (see `pack_images`) or
            `npz:PATH` (see `read_npz_file`). `#100` at its end takes the first hundred classes.
        size: Pixels on each side that files are decoded to; None for `SIZE`. Arrays of an `.npz` keep their size.
        cache: Folder that decoded files are kept in; see `cache_folder`.
        progress: Called with the numbers of decoded and of all files.
        classes: Those that are read; None for all.
        local_copy: Folder on a local disk to which a packed file is copied once before it is read.

    Raises:
        DataError: The path is missing or has another layout. Undecodable files are skipped and logged.
    """
    kind, path, classes = _found(name, KINDS, classes)
    if kind != "npz" and size is None:
        logger.warning("%s: no size is given: images are brought to %d x %d", name, SIZE, SIZE)
    if kind in _LISTED:
        files = _listed(name, kind, path, classes)
        return _load_files(files, size=size or SIZE, cache=cache, progress=progress, local_copy=local_copy)
    if kind == "packed":
        dataset = _of_pack(name, path, read_index(path), size or SIZE, local_copy)
    else:
        dataset = _warned(read_npz_file(name, path))
    return dataset if classes is None else dataset_of_classes(dataset, classes)


def pack_images(
    name: str, path: Path, packing: Packing | None = None, *, progress: Progress | None = None
) -> PackIndex:
    """Packs the images of a folder, of ImageNet's layout or of a CSV into one file; see `write_pack`.

    Args:
        name: `folder:PATH` or `imagenet:PATH`, perhaps with `#100`.
        path: of the file of packed images, which `packed:FILE` then names.
        packing: how; None for JPEGs of quality 90 whose short side is 256.
        progress: called with the numbers of packed and of all files.

    Raises:
        DataError: they cannot be read, or the file cannot be written; one line.
    """
    return write_pack(_listed(name, *_found(name, tuple(_LISTED), None)), path, packing or Packing(), progress=progress)


def _found(name: str, kinds: Sequence[str], classes: Classes | None) -> tuple[str, Path, Classes | None]:
    """Kind, path and classes of a name."""
    own = split_own(name)
    if own is None or own[0] not in kinds:
        raise DataError(f"{name!r} is none of {', '.join(f'{kind}:PATH' for kind in kinds)}{prefix_hint(name, kinds)}")
    kind, path = own
    there, number = split_number(path)
    if number is not None and classes is not None:
        raise DataError(f"{name}: #{number} and data.classes both choose classes; omit one")
    if not there.exists():
        partial = there.with_name(f"{there.name}.partial")
        _, hash_, wrong = there.name.rpartition("#")
        if hash_ and there.with_name(there.name.removesuffix(f"#{wrong}")).exists():
            raise DataError(f"{name}: #{wrong} is no number of classes; write #100, or list classes in data.classes")
        unfinished = f", only {partial.name}; taurank data pack continues it" if partial.exists() else ""
        raise DataError(f"{name}: there is no {there.absolute()}{unfinished}")
    return kind, there, number or classes


def _listed(name: str, kind: str, path: Path, classes: Classes | None) -> FileList:
    files = _LISTED[kind](name, path)
    return files if classes is None else list_of_classes(files, classes)


def _warned(dataset: Dataset) -> Dataset:
    digests = {name: image_digests(part.images[:]) for name, part in dataset.parts.items() if part is not None}
    for line in duplicate_warnings(dataset.name, digests):
        logger.warning("%s", line)
    return dataset


def _load_files(
    files: FileList, *, size: int, cache: Path | None, progress: Progress | None, local_copy: Path | None
) -> Dataset:
    pixels = len(files.names) * size**2 * CHANNELS
    if pixels > PACKED_BYTES:
        short_side = max(SHORT_SIDE, size * 8 // 7)
        logger.warning(
            "%s: %d images at %d x %d would be %.0f GB: they are packed as JPEGs with a short side of %d, and decoded"
            " as they are used",
            *(files.source, len(files.names), size, size, pixels / 1e9, short_side),
        )
        packing = Packing(short_side)
        key = files_key(files.root, files.names, short_side, files.labels, files.classes)
        path = cache_folder(cache) / f"{key}.packed"
        lines = "later_lines" if path.exists() else "lines"
        index = write_pack(files, path, packing, progress=progress)
        return _of_pack(files.source, path, index, size, local_copy, lines=lines)
    decoded = decode_files(files.root, files.names, size=size, cache=cache, progress=progress)
    arranged = arrange(files, decoded.left_out)
    digests = {part: decoded.digests[row] for part, row in arranged.rows.items()}
    # Warnings, so that they are seen where logging has not been set up.
    for line in lines_about(files, decoded.left_out, decoded.deep, digests):
        logger.warning("%s", line)
    return dataset_of(files.source, decoded.images, arranged.labels, arranged.rows, files.classes)


def _of_pack(
    name: str, path: Path, index: PackIndex, size: int, local_copy: Path | None, *, lines: str = "later_lines"
) -> Dataset:
    for line in index.noted.get(lines, index.noted["lines"]):
        logger.warning("%s", line)
    ends = np.cumsum(list(index.noted["counts"].values()))
    rows = {part: np.arange(end - n, end) for (part, n), end in zip(index.noted["counts"].items(), ends, strict=True)}
    black, white = index.noted["levels"]
    images = PackedImages(path.absolute(), index.header, index.rows, (black, white), size, local_copy)
    return dataset_of(name, images, index.labels, rows, index.noted["classes"])
