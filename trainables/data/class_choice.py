"""Some of the classes of a data set: the first ones, or those of a list."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from taurank.trainables.data.dataset import Dataset
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.file_list import FileList, Listed
from taurank.trainables.data.image_set import ImageSet
from taurank.trainables.data.imagenet_layout import is_synset

Classes = int | Sequence[str]
"""How many, the first in the order of their names; or their names."""


def read_classes(path: Path) -> list[str]:
    """Names of classes, one on each line.

    Raises:
        DataError: the file cannot be read, or names none.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise DataError(f"data.classes: {path} cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise DataError(f"data.classes: {path} cannot be read: it is not UTF-8 text") from None
    if not any(names):
        raise DataError(f"data.classes: {path} names no class; write one on each line")
    return [name for name in names if name]


def find_classes(source: str, wanted: Classes, classes: Sequence[str]) -> list[int]:
    """Positions of the wanted ones among the classes, ascending.

    A class of ImageNet is also found by its synset alone, and by a line that begins with it.

    Raises:
        DataError: fewer than two, more than there are, or one that is not there.
    """
    if isinstance(wanted, int):
        if not 2 <= wanted <= len(classes):
            raise DataError(f"{source}: {wanted} classes are asked for; it has {len(classes)}, and takes at least 2")
        return list(range(wanted))
    place_of = {name.split()[0]: place for place, name in enumerate(classes)}
    by_synset = len(place_of) == len(classes) and all(map(is_synset, place_of))
    place_of = (place_of if by_synset else {}) | {name: place for place, name in enumerate(classes)}
    found = []
    for name in wanted:
        place = place_of.get(name, place_of.get(name.split()[0]) if by_synset else None)
        if place is None:
            close = difflib.get_close_matches(name, place_of, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise DataError(f"{source}: has no class {name!r}{hint}")
        found.append(place)
    if len(set(found)) < max(len(found), 2):
        raise DataError(f"{source}: data.classes has to name at least 2 classes, each once")
    return sorted(found)


def list_of_classes(files: FileList, wanted: Classes) -> FileList:
    """The files of some classes."""
    chosen = find_classes(files.source, wanted, files.classes)
    label_of = {old: new for new, old in enumerate(chosen)}

    def kept(listed: Listed) -> Listed:
        return tuple((name, label_of[label]) for name, label in listed if label in label_of)

    parts = {part: kept(listed) for part, listed in files.parts.items()}
    for part, listed in files.parts.items():
        if listed and not parts[part]:
            raise DataError(f"{files.source}: the {part} part has no images of these classes")
    return replace(
        files,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        classes=tuple(files.classes[place] for place in chosen),
    )


def dataset_of_classes(dataset: Dataset, wanted: Classes) -> Dataset:
    """The images of some classes; those in a file stay there."""
    chosen = find_classes(dataset.name, wanted, dataset.classes)
    kept = {name: None if part is None else images_of_classes(part, chosen) for name, part in dataset.parts.items()}
    for name, part in kept.items():
        if part is not None and not len(part):
            raise DataError(f"{dataset.name}: the {name} part has no images of these classes")
    names = tuple(dataset.classes[place] for place in chosen)
    train = kept["train"]
    assert train is not None
    return Dataset(dataset.name, train, kept["test"], names, kept["validation"])


def images_of_classes(images: ImageSet, chosen: Sequence[int]) -> ImageSet:
    """The images with these labels, which become 0, 1, ... in their order."""
    new: npt.NDArray[np.int64] = np.full(int(max(images.labels.max(initial=0), *chosen)) + 1, -1)
    new[list(chosen)] = np.arange(len(chosen))
    kept = images.part(np.flatnonzero(new[images.labels] >= 0))
    return ImageSet(kept.images, new[kept.labels])
