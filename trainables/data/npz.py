"""NumPy archives: pairs of `*train*.npz` and `*test*.npz` with the arrays `x` and `y`, or one of the user's own."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taurank.trainables.data.dataset import Dataset
from taurank.trainables.data.errors import DataError, IncompleteError
from taurank.trainables.data.image_set import ImageSet, labelled

SHOWN_CHARACTERS = 200


def read_npz_folder(folder: Path, shape: tuple[int, int, int], n_classes: int) -> tuple[ImageSet, ImageSet] | None:
    """The training and the test set of a folder with a pair of archives; None where the folder has no such archive.

    Raises:
        IncompleteError: One of the pair is missing.
        DataError: There are several candidates, or one is broken or not of this data set; it is named.
    """
    paths = {part: sorted(folder.glob(f"*{part}*.npz")) for part in ("train", "test")}
    if not any(paths.values()):
        return None
    for part, candidates in paths.items():
        if not candidates:
            raise IncompleteError(f"{folder}: *{part}*.npz missing")
        if len(candidates) > 1:
            names = ", ".join(path.name for path in candidates)
            raise DataError(f"{folder}: several *{part}*.npz ({names}); leave one of them there")
    return _read(paths["train"][0], shape, n_classes), _read(paths["test"][0], shape, n_classes)


def read_npz_file(name: str, path: Path) -> Dataset:
    """The arrays `x` and `y` of one archive, or `x_train` and `y_train`; with `x_test` and `y_test` also a test set.

    Images are uint8 `(n, H, W)` or `(n, H, W, C)` of one or three channels; labels are whole numbers or names. The
    classes are what there is of them, in order.

    Raises:
        DataError: The archive is broken, or its arrays are of another kind.
    """
    arrays = _arrays(path, ("x", "y", "x_train", "y_train", "x_test", "y_test"))
    ending = "_train" if "x_train" in arrays else ""
    if f"x{ending}" not in arrays or f"y{ending}" not in arrays:
        raise DataError(
            f"{name}: needs the arrays x and y, or x_train and y_train; has {', '.join(sorted(arrays)) or 'none'}"
        )
    labels = _labels(name, f"y{ending}", arrays)
    classes = np.unique(labels)
    if len(classes) < 2:
        raise DataError(f"{name}: y has {len(classes)} classes; telling apart takes at least 2")
    train = _image_set(name, f"x{ending}", arrays, labels, classes)
    if ("x_test" in arrays) != ("y_test" in arrays):
        there, lacking = ("x_test", "y_test") if "x_test" in arrays else ("y_test", "x_test")
        raise DataError(f"{name}: has {there} without {lacking}")
    test = None
    if "x_test" in arrays:
        labels = _labels(name, "y_test", arrays)
        unknown = np.setdiff1d(labels, classes)
        if len(unknown):
            raise DataError(f"{name}: y_test has the class {str(unknown[0])!r}, which y{ending} lacks")
        test = _image_set(name, "x_test", arrays, labels, classes)
        if test.images.shape[1:] != train.images.shape[1:]:
            raise DataError(
                f"{name}: x_test has other images than x{ending}: {test.images.shape}, {train.images.shape}"
            )
    return Dataset(name, train, test, tuple(str(value) for value in classes))


def _labels(name: str, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    labels = arrays[key]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise DataError(f"{name}: {key} should be whole numbers or names (n,), got {labels.dtype} {labels.shape}")
    return labels


def _image_set(
    name: str, key: str, arrays: Mapping[str, npt.NDArray[Any]], labels: npt.NDArray[Any], classes: npt.NDArray[Any]
) -> ImageSet:
    images = arrays[key]
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"{name}: {key} should be uint8 (n, H, W) or (n, H, W, C), got {images.dtype} {images.shape};"
            " bring pixels to 0..255"
        )
    shape = (*images.shape[1:], 1)[:3]
    if shape[2] not in (1, 3):
        raise DataError(f"{name}: {key} has {shape[2]} channels; it has to be 1 or 3, and the last dimension")
    if min(shape[:2]) < 1:
        raise DataError(f"{name}: {key} has images of {shape[0]} x {shape[1]} pixels")
    places = np.searchsorted(classes, labels)
    return labelled(images, places, source=name, shape=shape, n_classes=len(classes))


def _read(path: Path, shape: tuple[int, int, int], n_classes: int) -> ImageSet:
    arrays = _arrays(path, ("x", "y"))
    if len(arrays) < 2:
        raise DataError(f"{path}: needs the arrays x (images) and y (labels); has {', '.join(arrays) or 'neither'}")
    return labelled(arrays["x"], arrays["y"], source=str(path), shape=shape, n_classes=n_classes)


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Those of the named arrays that an archive has."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: is not a whole .npz archive of plain arrays (it is no zip file)")
    try:
        if _unpacked_bytes(path, names) > _memory():
            raise MemoryError
        # Pickled arrays can run arbitrary code, so they are rejected.
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in names if name in archive}
    except MemoryError as error:
        raise DataError(
            f"{path}: takes more memory than there is; save fewer or smaller images, or give folder:PATH"
        ) from error
    except Exception as error:  # for a damaged file NumPy raises what its parsers do, of half a dozen types
        reason = " ".join(str(error).split())[:SHOWN_CHARACTERS]
        raise DataError(f"{path}: is not a whole .npz archive of plain arrays ({reason})") from error
    for name, array in found.items():
        if not isinstance(array, np.ndarray):  # NumPy hands out the bytes of other files
            raise DataError(f"{path}: {name} is no array; save it with numpy.savez")
    return found


def _unpacked_bytes(path: Path, names: tuple[str, ...]) -> int:
    """Unpacked size of the named arrays, as the archive declares."""
    with zipfile.ZipFile(path) as archive:
        return sum(file.file_size for file in archive.infolist() if file.filename.removesuffix(".npy") in names)


def _memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
