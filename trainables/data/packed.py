"""Images that stay encoded in a file of packed images, and are decoded when they are asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import numpy.typing as npt

from taurank.trainables.data.decode import Levels, decode_whole, one_opencv_thread
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.local_copy import copy_once
from taurank.trainables.data.mapped import Images
from taurank.trainables.data.pack_file import Rows, read_header, read_record
from taurank.trainables.data.random_boxes import Boxes

CHANNELS = 3
PIECES = 4
"""A batch is decoded in so many pieces for each thread: images differ in size."""


class PackedImages:
    """Images `(n, size, size, 3)` of a file of packed images, or some of them, without reading the file.

    Stands in for an array where images are picked by their positions: the middle of each, its short side as long as
    `size`. `crops` cuts other boxes out of the images at their own resolution. Processes share the pages that the
    system keeps of the file; between processes only its name and the rows of its index travel.

    Args:
        path: of the file.
        header: of the file, which must not change.
        rows: of its index, for each image.
        levels: values of 16-bit images that become 0 and 255.
        size: pixels on each side.
        local: folder on a local disk, to which the file is copied once before it is read; None to read it where it is.
    """

    ndim: ClassVar[int] = 4
    dtype: ClassVar[np.dtype[np.uint8]] = np.dtype(np.uint8)

    def __init__(
        self,
        path: Path,
        header: bytes,
        rows: Rows,
        levels: Levels,
        size: int,
        local: Path | None = None,
    ) -> None:
        self.path, self.header, self.rows, self.levels, self.size = path, header, rows, levels, size
        self.local = local

    def copy_to_node(self) -> Path:
        """Returns the file that is read, after copying it where that is asked for.

        Raises:
            DataError: it cannot be copied; one line.
        """
        return self.path if self.local is None else copy_once(self.path, self.local, self.header)

    @cached_property
    def _file(self) -> BinaryIO:
        path = self.copy_to_node()
        try:
            file = path.open("rb", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
        if read_header(path, file)[0] != self.header:
            raise DataError(f"{path}: has been packed again since; start the run again")
        return file

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_file", "_pool")}

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        import torch

        return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="decoding")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(n, H, W, C)`."""
        return len(self), self.size, self.size, CHANNELS

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Images:
        """Decoded images that an index into the first dimension picks."""
        picked = np.atleast_1d(np.arange(len(self))[index])
        found = self.crops(picked, self.centred(picked), self.size)
        return found if np.ndim(np.arange(len(self))[index]) else found[0]

    def part(self, index: npt.NDArray[np.intp]) -> PackedImages:
        """The images at these positions, still in their file."""
        return PackedImages(self.path, self.header, self.rows[index], self.levels, self.size, self.local)

    def resized(self, size: int) -> PackedImages:
        """The same at another size."""
        return PackedImages(self.path, self.header, self.rows, self.levels, size, self.local)

    def sides(self, index: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Heights and widths in pixels."""
        rows = self.rows[index]
        return rows["height"].astype(np.int64), rows["width"].astype(np.int64)

    def centred(self, index: npt.NDArray[np.intp], share: float = 1.0) -> Boxes:
        """The square in the middle of each image, that share of its short side."""
        sides = np.stack(self.sides(index))
        lengths = np.maximum(np.rint(sides.min(0) * share).astype(np.int64), 1)
        return np.concatenate([(sides - lengths) // 2, [lengths, lengths]]).T

    def crops(self, index: npt.NDArray[np.intp], boxes: Boxes, size: int, interpolation: str = "bilinear") -> Images:
        """What is in the boxes, `(n, size, size, 3)`, decoded by as many threads as torch has; see `resize_crops`.

        A JPEG is decoded at a half, a quarter or an eighth of its resolution where `size` pixels of the box are left.

        Args:
            index: positions of the images, `(n,)`.
            boxes: one for each of them, in pixels of the whole image.
            size: pixels on each side.
            interpolation: `bilinear` or `bicubic`.

        Raises:
            DataError: the file cannot be read, has been cut short, or has changed; one line.
        """
        import torch

        found = np.empty((len(index), size, size, CHANNELS), np.uint8)

        def decode(places: npt.NDArray[np.intp]) -> None:
            for place in places:
                found[place] = self._crop(self.rows[index[place]], boxes[place], size, interpolation)

        places = np.arange(len(index))
        threads = torch.get_num_threads()
        with one_opencv_thread():
            if threads == 1 or len(index) == 1:
                decode(places)
            else:
                list(self._pool.map(decode, np.array_split(places, PIECES * threads)))
        return found

    def _crop(self, row: np.void, box: npt.NDArray[np.int64], size: int, interpolation: str) -> Images:
        import torch

        from taurank.trainables.data.image_operations import resize_crops

        name, encoded = read_record(Path(self._file.name), self._file, row)
        image, factor = decode_whole(encoded, name, CHANNELS, self.levels, most_reduced=int(box[2:].min()) // size)[::2]
        if factor > 1:
            height, width = image.shape[:2]
            start = np.minimum(np.rint(box[:2] / factor).astype(np.int64), [height - 1, width - 1])
            lengths = np.clip(np.rint(box[2:] / factor).astype(np.int64), 1, [height, width] - start)
            box = np.concatenate([start, lengths])
        return resize_crops(torch.from_numpy(image)[None], box[None], size, interpolation)[0].numpy()

    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean and standard deviation of each channel, over whole images, each of which counts the same."""
        means, variances = self.rows["mean"].astype(np.float64), self.rows["variance"].astype(np.float64)
        mean = means.mean(0)
        return mean, np.sqrt((variances + (means - mean) ** 2).mean(0))
