"""The data sets by name, in memory."""

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.data.cifar import read_cifar_binary_folder, read_cifar_python_folder
from trainables.data.download import download as fetch
from trainables.data.errors import DataError, IncompleteError
from trainables.data.idx import read_idx_folder
from trainables.data.image_set import Images, ImageSet, Labels
from trainables.data.npz import read_npz_folder

__all__ = ["DataError", "Dataset", "list_datasets", "load_dataset"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as it is published: images `(n, H, W, C)`, 0..255, RGB order, and labels `(n,)`.

    `test_images` and `test_labels` are None where there is no official test set. Label `i` is `classes[i]`.
    """

    name: str
    train_images: Images
    train_labels: Labels
    test_images: Images | None
    test_labels: Labels | None
    classes: tuple[str, ...]

    @property
    def train(self) -> ImageSet:
        """The official training set."""
        return ImageSet(self.train_images, self.train_labels)

    @property
    def test(self) -> ImageSet | None:
        """The official test set, where there is one."""
        if self.test_images is None or self.test_labels is None:
            return None
        return ImageSet(self.test_images, self.test_labels)


# (folder, (H, W, C), number of classes) -> (train, test), or None where the folder has no file of this form.
_FolderReader = Callable[[Path, tuple[int, int, int], int], tuple[ImageSet, ImageSet] | None]


@dataclass(frozen=True)
class _Published:
    """Where a data set is found on disk and on the net, and what every copy of it must look like."""

    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    folders: tuple[str, ...]
    readers: tuple[_FolderReader, ...]
    forms: str
    torchvision_name: str
    origin: str
    megabytes: int


_PUBLISHED = {
    "mnist": _Published(
        shape=(28, 28, 1),
        classes=tuple("0123456789"),
        folders=("mnist", "MNIST", "MNIST/raw", "mnist/raw"),
        readers=(read_idx_folder, read_npz_folder),
        forms="IDX, IDX.gz or *train*.npz with *test*.npz",
        torchvision_name="MNIST",
        origin="https://ossci-datasets.s3.amazonaws.com/mnist",
        megabytes=12,
    ),
    "fashion-mnist": _Published(
        shape=(28, 28, 1),
        classes=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        folders=("fashion-mnist", "fashion_mnist", "FashionMNIST", "FashionMNIST/raw", "fashion-mnist/raw"),
        readers=(read_idx_folder, read_npz_folder),
        forms="IDX, IDX.gz or *train*.npz with *test*.npz",
        torchvision_name="FashionMNIST",
        origin="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        megabytes=31,
    ),
    "cifar10": _Published(
        shape=(32, 32, 3),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        folders=(
            "cifar10",
            "cifar-10",
            "CIFAR10",
            "cifar-10-batches-py",
            "cifar-10-batches-bin",
            "cifar10/cifar-10-batches-py",
            "cifar10/cifar-10-batches-bin",
        ),
        readers=(read_npz_folder, read_cifar_binary_folder, read_cifar_python_folder),
        forms="*train*.npz with *test*.npz, binary batches or Python batches",
        torchvision_name="CIFAR10",
        origin="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        megabytes=170,
    ),
}


def list_datasets() -> tuple[str, ...]:
    """The names that `load_dataset` knows, in alphabetical order."""
    return tuple(sorted(["digits", *_PUBLISHED]))


def load_dataset(name: str, *, root: Path | None = None, download: bool = False) -> Dataset:
    """Reads a data set into memory.

    Args:
        name: One of `list_datasets()`. `digits` is part of scikit-learn; the others are looked for below `root`.
        root: Folder that holds the data sets' own folders (`mnist`, `MNIST/raw`, `cifar-10-batches-bin`, ...). Default:
            the environment variable `TAURANK_DATA`, else `data` in the working directory.
        download: Whether a data set that is not there may be fetched into `root`, through torchvision. A line says
            what comes from where, and how big it is.

    Raises:
        DataError: An unknown name, nothing found, or a broken file.

    Example:
        >>> load_dataset("digits").train_images.shape
        (1797, 8, 8, 1)
    """
    if name == "digits":
        return _digits()
    if name not in _PUBLISHED:
        close = difflib.get_close_matches(name, list_datasets(), n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(list_datasets())}"
        raise DataError(f"unknown data set {name!r}; {hint}")
    published = _PUBLISHED[name]
    root = Path(os.environ.get("TAURANK_DATA") or "data") if root is None else Path(root)
    parts = _find(published, root, tolerant=download)
    if parts is None and download:
        fetch(name, published.torchvision_name, root, origin=published.origin, megabytes=published.megabytes)
        parts = _find(published, root, tolerant=False)
    if parts is None:
        raise DataError(
            f"{name} not found: looked for {published.forms} in {', '.join(published.folders)} below {root}"
            f"{'' if root.is_dir() else ' (no such folder)'}; point --data-dir at the folder that holds one of them,"
            f" or add --download to fetch {published.megabytes} MB from {published.origin}"
        )
    train, test = parts
    return Dataset(name, train.images, train.labels, test.images, test.labels, published.classes)


def _find(published: _Published, root: Path, *, tolerant: bool) -> tuple[ImageSet, ImageSet] | None:
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
    return Dataset("digits", pixels, labels.astype(np.int64), None, None, tuple("0123456789"))
