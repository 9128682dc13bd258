"""The data sets by name."""

import difflib
import os
from pathlib import Path

import numpy as np

from taurank.trainables.data.class_choice import Classes, dataset_of_classes
from taurank.trainables.data.dataset import Dataset
from taurank.trainables.data.decoded_cache import Progress
from taurank.trainables.data.download import download as fetch
from taurank.trainables.data.errors import DataError, IncompleteError
from taurank.trainables.data.image_set import ImageSet
from taurank.trainables.data.own_images import KINDS, load_own, prefix_hint, split_own
from taurank.trainables.data.packed import PackedImages
from taurank.trainables.data.published import PUBLISHED, Published


def list_datasets() -> tuple[str, ...]:
    """The names that `load_dataset` knows, in alphabetical order."""
    return tuple(sorted(["digits", *PUBLISHED]))


def check_dataset_name(name: str) -> None:
    """Checks that `load_dataset` knows a name, without searching for files."""
    if name not in list_datasets() and split_own(name) is None:
        close = difflib.get_close_matches(name, list_datasets(), n=1)
        hint = prefix_hint(name) or (f"; did you mean {close[0]!r}?" if close else "")
        own = ", ".join(f"{kind}:PATH" for kind in KINDS)
        raise DataError(f"unknown data set {name!r}; there are {', '.join(list_datasets())}, and {own}{hint}")


def load_dataset(
    name: str,
    *,
    root: Path | None = None,
    download: bool = False,
    size: int | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    classes: Classes | None = None,
    local_copy: Path | None = None,
) -> Dataset:
    """Reads a data set, into memory unless it is a very large set of user files.

    Args:
        name: One of `list_datasets()`, or the user's own images; see `load_own`. `digits` is part of scikit-learn; the
            other published ones are looked for below `root`.
        root: Folder that holds the data sets' own folders (`mnist`, `MNIST/raw`, `cifar-10-batches-bin`, ...). Default:
            the environment variable `TAURANK_DATA`, else `data` in the working directory.
        download: Whether a missing data set is downloaded into `root` through torchvision. The log names the origin
            and the size.
        size: Pixels on each side that own files are decoded to; published images keep theirs.
        cache: Folder that decoded files are kept in.
        progress: Called with the numbers of decoded and of all files.
        classes: The first so many classes, or those of these names; None for all.
        local_copy: Folder on a local disk to which packed images are copied once before they are read.

    Raises:
        DataError: An unknown name, nothing found, or a broken file.

    Example:
        >>> load_dataset("digits").train.images.shape
        (1797, 8, 8, 1)
    """
    check_dataset_name(name)
    if name not in list_datasets():
        where = {"cache": cache, "local_copy": local_copy}
        dataset = load_own(name, size=size, progress=progress, classes=classes, **where)
    else:
        dataset = _digits() if name == "digits" else _published(name, root, download)
        dataset = dataset if classes is None else dataset_of_classes(dataset, classes)
    if local_copy is not None and not isinstance(dataset.train.images, PackedImages):
        raise DataError(f"local_copy: only packed images are copied, and {name} is not packed; omit it")
    return dataset


def _published(name: str, root: Path | None, download: bool) -> Dataset:
    published = PUBLISHED[name]
    root = Path(os.environ.get("TAURANK_DATA") or "data") if root is None else Path(root)
    parts = _find(published, root, tolerant=download)
    if parts is None and download:
        fetch(name, published, root)
        parts = _find(published, root, tolerant=False)
    if parts is None:
        raise DataError(
            f"{name} not found: looked for {published.forms} in {', '.join(published.folders)} below {root}"
            f"{'' if root.is_dir() else ' (no such folder)'}; point --data-dir at the folder that holds one of them,"
            f" or add --download to fetch {published.megabytes} MB from {published.origin}"
        )
    return Dataset(name, *parts, published.classes)


def _find(published: Published, root: Path, *, tolerant: bool) -> tuple[ImageSet, ImageSet] | None:
    """The first whole copy below `root`; an incomplete one is an error only if there is no other, unless `tolerant`."""
    incomplete: IncompleteError | None = None
    for folder in published.folders:
        for read in published.readers:
            try:
                parts = read(root / folder, published.shape, len(published.classes))
            except IncompleteError as error:
                incomplete = incomplete or error
                continue
            if parts is not None:
                return parts
    if incomplete is not None and not tolerant:
        raise DataError(f"{incomplete}; add the missing files, or --download to fetch them all") from incomplete
    return None


def _digits() -> Dataset:
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries; grey values 0..16 stretched to 0..255."""
    from sklearn.datasets import load_digits  # takes a second, and only this data set needs it

    images, labels = load_digits(return_X_y=True)
    pixels = np.rint(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return Dataset("digits", ImageSet(pixels, labels.astype(np.int64)), None, tuple("0123456789"))
