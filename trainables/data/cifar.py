"""The two published forms of CIFAR-10 and CIFAR-100: binary files, and the Python files that torchvision fetches.

Source: https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from taurank.trainables.data.errors import DataError, IncompleteError
from taurank.trainables.data.image_set import ImageSet, labelled

Names: TypeAlias = Sequence[str]

_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_TRAIN_100, _TEST_100 = ("train",), ("test",)


def _read_binary(
    train: Sequence[str],
    test: Sequence[str],
    label_bytes: int,
    folder: Path,
    shape: tuple[int, int, int],
    n_classes: int,
) -> tuple[ImageSet, ImageSet] | None:
    """Reads the training and the test set of the binary form; None where the folder has none of its files.

    A file is a sequence of records: the labels (of two bytes the second is the class), then the pixels by colour plane.

    Raises:
        IncompleteError: Some of the files are missing.
        DataError: A file is damaged.
    """
    if not _all_there(folder, [f"{name}.bin" for name in (*train, *test)]):
        return None
    height, width, channels = shape

    def read(name: str) -> ImageSet:
        path = folder / f"{name}.bin"
        record = label_bytes + height * width * channels
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        if len(content) % record:
            raise DataError(
                f"{path}: {len(content)} bytes are not a whole number of records of {record};"
                " delete it and fetch it again"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, record)
        labels = records[:, label_bytes - 1]
        planes = records[:, label_bytes:].reshape(-1, channels, height, width)
        return labelled(planes.transpose(0, 2, 3, 1), labels, source=str(path), shape=shape, n_classes=n_classes)

    return _joined([read(name) for name in train]), _joined([read(name) for name in test])


def _read_python(
    torchvision_name: str, names: Names, folder: Path, shape: tuple[int, int, int], n_classes: int
) -> tuple[ImageSet, ImageSet] | None:
    """Reads the training and the test set of torchvision's folder; None where it has none of the files.

    These files are pickles, which can run arbitrary code. They are read by torchvision, after their MD5 sums have been
    verified.

    Raises:
        IncompleteError: Some of the files are missing.
        DataError: A file is not the published one.
    """
    if not _all_there(folder, names):
        return None
    from taurank.spaces.zoo import import_torchvision

    datasets = import_torchvision().datasets
    published = getattr(datasets, torchvision_name)
    if folder.name != published.base_folder:
        raise DataError(f"{folder}: torchvision reads these files from a folder named {published.base_folder} only")
    for name, md5 in [*published.train_list, *published.test_list, (published.meta["filename"], published.meta["md5"])]:
        if not datasets.utils.check_integrity(str(folder / name), md5):
            raise DataError(f"{folder / name}: its MD5 is not the published {md5}; delete it and fetch it again")

    def read(train: bool) -> ImageSet:
        part = published(str(folder.parent), train=train, download=False)
        return labelled(part.data, np.asarray(part.targets), source=str(folder), shape=shape, n_classes=n_classes)

    return read(train=True), read(train=False)


def _all_there(folder: Path, names: Names) -> bool:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing and len(missing) < len(names):
        raise IncompleteError(f"{folder}: {', '.join(missing)} missing")
    return not missing


def _joined(parts: list[ImageSet]) -> ImageSet:
    return ImageSet(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))


read_cifar_binary_folder = partial(_read_binary, _TRAIN, _TEST, 1)
read_cifar100_binary_folder = partial(_read_binary, _TRAIN_100, _TEST_100, 2)
read_cifar_python_folder = partial(_read_python, "CIFAR10", (*_TRAIN, *_TEST, "batches.meta"))
read_cifar100_python_folder = partial(_read_python, "CIFAR100", (*_TRAIN_100, *_TEST_100, "meta"))
