"""The two published forms of CIFAR-10 and CIFAR-100: binary files, and the Python files that torchvision fetches.

Source: https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from pathlib import Path

import numpy as np

from taurank.trainables.data.errors import DataError, IncompleteError
from taurank.trainables.data.image_set import ImageSet, labelled

_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_TRAIN_100, _TEST_100 = ("train",), ("test",)


def read_cifar_binary_folder(
    folder: Path, shape: tuple[int, int, int], n_classes: int
) -> tuple[ImageSet, ImageSet] | None:
    """The training and the test set of `data_batch_1..5.bin` and `test_batch.bin`; None where there is none of them.

    A file is a row of records: one byte for the label, then the pixels, one colour plane after the other.

    Raises:
        IncompleteError: Only some of the six are there.
        DataError: A file is broken; it is named.
    """
    return _read_binary(folder, (_TRAIN, _TEST), 1, shape, n_classes)


def read_cifar100_binary_folder(
    folder: Path, shape: tuple[int, int, int], n_classes: int
) -> tuple[ImageSet, ImageSet] | None:
    """The same of CIFAR-100, `train.bin` and `test.bin`: two bytes for the labels, and the second is the class.

    Raises:
        IncompleteError: Only one of the two is there.
        DataError: A file is broken; it is named.
    """
    return _read_binary(folder, (_TRAIN_100, _TEST_100), 2, shape, n_classes)


def _read_binary(
    folder: Path,
    parts: tuple[tuple[str, ...], tuple[str, ...]],
    label_bytes: int,
    shape: tuple[int, int, int],
    n_classes: int,
) -> tuple[ImageSet, ImageSet] | None:
    train, test = parts
    if not _all_there(folder, [f"{name}.bin" for name in train + test]):
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


def read_cifar_python_folder(
    folder: Path, shape: tuple[int, int, int], n_classes: int
) -> tuple[ImageSet, ImageSet] | None:
    """The training and the test set of torchvision's folder `cifar-10-batches-py`; None where there is none of it.

    These files are pickles, which can run arbitrary code. They are read by torchvision, after their MD5 sums have been
    verified.

    Raises:
        IncompleteError: Only some of the files are there.
        DataError: A file is not the published one; it is named.
    """
    return _read_python(folder, "CIFAR10", [*_TRAIN, *_TEST, "batches.meta"], shape, n_classes)


def read_cifar100_python_folder(
    folder: Path, shape: tuple[int, int, int], n_classes: int
) -> tuple[ImageSet, ImageSet] | None:
    """The same of CIFAR-100, in torchvision's folder `cifar-100-python`.

    Raises:
        IncompleteError: Only some of the files are there.
        DataError: A file is not the published one; it is named.
    """
    return _read_python(folder, "CIFAR100", [*_TRAIN_100, *_TEST_100, "meta"], shape, n_classes)


def _read_python(
    folder: Path, torchvision_name: str, names: list[str], shape: tuple[int, int, int], n_classes: int
) -> tuple[ImageSet, ImageSet] | None:
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


def _all_there(folder: Path, names: list[str]) -> bool:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing and len(missing) < len(names):
        raise IncompleteError(f"{folder}: {', '.join(missing)} missing")
    return not missing


def _joined(parts: list[ImageSet]) -> ImageSet:
    return ImageSet(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))
