"""Labels and parts of listed files, of which some cannot be decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taurank.trainables.data.dataset import Dataset
from taurank.trainables.data.decoded_cache import Digests, levels_of
from taurank.trainables.data.duplicates import duplicate_warnings
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.file_list import FileList
from taurank.trainables.data.folder_walk import SHOWN
from taurank.trainables.data.image_set import AnyImages, ImageSet, Labels
from taurank.trainables.data.part_names import Part


@dataclass(frozen=True)
class Arranged:
    """What is left of a list of files.

    Attributes:
        labels: of the images that are left, in the order of the files.
        rows: positions among those, by part.
    """

    labels: Labels
    rows: dict[Part, npt.NDArray[np.intp]]


def arrange(files: FileList, left_out: Mapping[int, str]) -> Arranged:
    """Labels and parts of files without some.

    Args:
        files: the list.
        left_out: positions among the files of those that are left out, with the reason.

    Raises:
        DataError: a part, or a class in training, has no images left.
    """
    names, labels = files.names, np.array(files.labels, np.int64)
    there = np.array([place not in left_out for place in range(len(names))])
    rows: dict[Part, npt.NDArray[np.intp]] = {}
    start = kept = 0
    for part, entries in files.parts.items():
        left = int(there[start : start + len(entries)].sum())
        if entries and not left:
            last = start + len(entries) - 1
            raise DataError(f"{files.source}: no {part} image can be decoded; {names[last]}: {left_out[last]}")
        rows[part] = np.arange(kept, kept + left)
        start, kept = start + len(entries), kept + left
    arranged = Arranged(labels[there], rows)
    empty = np.flatnonzero(np.bincount(arranged.labels[rows["train"]], minlength=len(files.classes)) == 0)
    if len(empty):
        first = next(place for place, (_, label) in enumerate(files.train) if label == empty[0])
        raise DataError(
            f"{files.source}: no image of the class {files.classes[empty[0]]!r} can be decoded;"
            f" {names[first]}: {left_out[first]}"
        )
    return arranged


def dataset_of(
    name: str, images: AnyImages, labels: Labels, rows: Mapping[Part, npt.NDArray[np.intp]], classes: Sequence[str]
) -> Dataset:
    """The data set of these images; parts without images are not there."""
    whole = ImageSet(images, labels)
    sets = {part: whole.part(found) if len(found) else None for part, found in rows.items()}
    assert sets["train"] is not None
    return Dataset(name, sets["train"], sets["test"], tuple(classes), sets["validation"])


def lines_about(
    files: FileList,
    left_out: Mapping[int, str],
    deep: tuple[int, int, int] | None,
    digests: Mapping[Part, Digests],
    *,
    brief: bool = False,
) -> Iterator[str]:
    """Yields lines on files that were not read, on the range of 16-bit images, and on equal images.

    Args:
        files: the list.
        left_out: positions among the files of those that are left out, with the reason.
        deep: number and range of the 16-bit images; None where there are none.
        digests: of the images, by part.
        brief: whether files that were not read are only counted, since they have been named before.
    """
    source, names = files.source, files.names
    if not brief:
        yield from files.notes
    if left_out and brief:
        yield f"{source}: {len(left_out)} of {len(names)} images are left out"
    elif left_out:
        some = "; ".join(f"{names[place]}: {left_out[place]}" for place in sorted(left_out)[:SHOWN])
        more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
        yield f"{source}: {len(left_out)} of {len(names)} images are left out: {some}{more}"
    if deep is not None:
        count, low, high = deep
        black, white = levels_of(deep)
        images = "1 image has" if count == 1 else f"{count} images have"
        yield f"{source}: {images} 16 bits; range used {low}..{high}, scaled from {black}..{white} to 0..255"
    yield from duplicate_warnings(source, digests)
