"""Street View House Numbers in its second format: `train_32x32.mat` and `test_32x32.mat`.

Arrays `X` (32, 32, 3, n) and `y` (n, 1); label 10 is the digit 0.
Source: http://ufldl.stanford.edu/housenumbers/.
"""

from pathlib import Path

import numpy as np

from taurank.trainables.data.errors import DataError, IncompleteError
from taurank.trainables.data.image_set import ImageSet, labelled

_NAMES = ("train_32x32.mat", "test_32x32.mat")


def read_svhn_folder(folder: Path, shape: tuple[int, int, int], n_classes: int) -> tuple[ImageSet, ImageSet] | None:
    """The training and the test set of a folder with the two files; None where the folder has neither.

    Raises:
        IncompleteError: Only one of them is there.
        DataError: One is broken or is not of this data set; it is named.
    """
    missing = [name for name in _NAMES if not (folder / name).is_file()]
    if len(missing) == len(_NAMES):
        return None
    if missing:
        raise IncompleteError(f"{folder}: {missing[0]} missing")

    def read(name: str) -> ImageSet:
        from scipy.io import loadmat

        path = folder / name
        try:
            found = loadmat(path, variable_names=["X", "y"])
            images, labels = np.asarray(found["X"]), np.asarray(found["y"])
        except KeyError as error:
            raise DataError(
                f"{path}: needs the arrays X (images) and y (labels); {error.args[0]} is not there"
            ) from None
        except Exception as error:  # scipy raises half a dozen types for a damaged file
            raise DataError(f"{path}: is not a whole .mat file ({error}); delete it and fetch it again") from None
        if images.ndim != 4 or labels.dtype.kind not in "iu":
            raise DataError(
                f"{path}: X should be (32, 32, 3, n) and y whole numbers, got {images.shape}, {labels.dtype}"
            )
        # Ten stands for 0; anything else out of range is refused below.
        digits = np.where(labels.ravel() == 10, 0, labels.ravel().astype(np.int64))
        return labelled(images.transpose(3, 0, 1, 2), digits, source=str(path), shape=shape, n_classes=n_classes)

    return read(_NAMES[0]), read(_NAMES[1])
