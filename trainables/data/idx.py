"""The IDX files of MNIST and Fashion-MNIST, plain or gzipped.

A header of big-endian 32-bit words (magic number, then one size for each dimension), then the bytes. The magic number
is 2051 for images (unsigned bytes, three dimensions) and 2049 for labels (unsigned bytes, one dimension).
Source: the format's description on the MNIST page, http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from taurank.trainables.data.errors import DataError, IncompleteError
from taurank.trainables.data.image_set import ImageSet, labelled

MOST_BYTES = 2**30
"""Twenty times the largest file of these data sets."""
_DIMENSIONS = {"images": 3, "labels": 1}


def read_idx_folder(folder: Path, shape: tuple[int, int, int], n_classes: int) -> tuple[ImageSet, ImageSet] | None:
    """The training and the test set of a folder with four IDX files; None where the folder has none of them.

    Raises:
        IncompleteError: Only some of the four are there.
        DataError: A file is broken or is not of this data set; it is named.
    """
    paths = {(part, what): _find(folder, part, what) for part in ("train", "t10k") for what in _DIMENSIONS}
    missing = [f"{part}-{what}-idx{_DIMENSIONS[what]}-ubyte" for (part, what), path in paths.items() if path is None]
    if len(missing) == len(paths):
        return None
    if missing:
        raise IncompleteError(f"{folder}: {', '.join(missing)} missing")
    found = {key: path for key, path in paths.items() if path is not None}

    def read(part: str) -> ImageSet:
        images, labels = found[part, "images"], found[part, "labels"]
        return labelled(
            read_idx(images, _DIMENSIONS["images"]),
            read_idx(labels, _DIMENSIONS["labels"]),
            source=f"{images} with {labels.name}",
            shape=shape,
            n_classes=n_classes,
        )

    return read("train"), read("t10k")


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The array of one IDX file of unsigned bytes; a name ending in `.gz` is read as gzip.

    Raises:
        DataError: Wrong magic number, more or fewer bytes than the header declares, a broken gzip; the file is named.
    """
    header = 4 + 4 * dimensions
    expected = 0x0800 + dimensions  # 08: unsigned bytes
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(header)
            magic = int.from_bytes(head[:4], "big")
            if len(head) >= 4 and magic != expected:
                raise DataError(
                    f"{path}: magic number {magic}, but an IDX file of {dimensions} dimension(s) has {expected}"
                )
            shape = tuple(int.from_bytes(head[at : at + 4], "big") for at in range(4, header, 4))
            size = math.prod(shape)
            if size > MOST_BYTES:
                raise DataError(f"{path}: its header declares {size} bytes; {MOST_BYTES} are the most that are read")
            # No more than one byte beyond: a small gzip may hold terabytes.
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); delete it and fetch it again") from error
    if len(head) < header or len(content) != size:
        found = f"more than {header + size}" if len(content) > size else len(head) + len(content)
        raise DataError(
            f"{path}: {found} bytes, but its header declares {header} + {size}; delete it and fetch it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _find(folder: Path, part: str, what: str) -> Path | None:
    for separator in ("-", "."):  # both spellings are in circulation
        for ending in ("", ".gz"):  # the plain file first: torchvision leaves both, and it reads faster
            path = folder / f"{part}-{what}{separator}idx{_DIMENSIONS[what]}-ubyte{ending}"
            if path.is_file():
                return path
    return None
