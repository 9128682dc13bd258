"""Images that stay in their file: read when they are asked for, shared by all processes of a node."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
"""`(n, H, W, C)`, 0..255, channels in RGB order."""

IN_MEMORY_BYTES = 2_000_000_000
"""Decoded images of more bytes than this stay in their file."""


class MappedImages:
    """Images `(n, H, W, C)` of a `.npy` file, or some of them, without reading the file.

    Stands in for an array where images are picked by their positions. Processes share the pages that the system keeps
    of the file, and between processes only its name and the positions travel: every node has to see the file.

    Args:
        path: Of a `.npy` file with uint8 `(n, H, W, C)`.
        rows: Positions in the file, `(n,)`; None for all.
    """

    ndim: ClassVar[int] = 4
    dtype: ClassVar[np.dtype[np.uint8]] = np.dtype(np.uint8)

    def __init__(self, path: Path, rows: npt.NDArray[np.intp] | None = None) -> None:
        self.path, self.rows = path, rows

    @cached_property
    def _file(self) -> Images:
        images: Images = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return images

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "rows": self.rows}

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, H, W, C)`."""
        return (len(self), *self._file.shape[1:])

    @property
    def nbytes(self) -> int:
        """Bytes that an array of them would take."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return len(self._file) if self.rows is None else len(self.rows)

    def __getitem__(self, index: Any) -> Images:
        """A copy of the images that an index into the first dimension picks."""
        rows = index if self.rows is None else self.rows[index]
        return np.array(self._file[rows])

    def part(self, index: npt.NDArray[np.intp]) -> MappedImages:
        """The images at these positions, still in their file."""
        return MappedImages(self.path, index if self.rows is None else self.rows[index])
