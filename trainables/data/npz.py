"""Pairs of NumPy archives: `*train*.npz` and `*test*.npz`, each with the arrays `x` (images) and `y` (labels)."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from trainables.data.errors import DataError, IncompleteError
from trainables.data.image_set import ImageSet, labelled


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


def _read(path: Path, shape: tuple[int, int, int], n_classes: int) -> ImageSet:
    try:
        # Pickled arrays run code of whoever wrote them, so they are refused.
        with np.load(path, allow_pickle=False) as archive:
            images, labels = archive["x"], archive["y"]
    except KeyError as error:
        raise DataError(f"{path}: needs the arrays x (images) and y (labels); {error.args[0]}") from error
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: is not a whole .npz archive of plain arrays ({error})") from error
    return labelled(images, labels, source=str(path), shape=shape, n_classes=n_classes)
