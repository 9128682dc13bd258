"""The format of a file of packed images: a header, the encoded images, and an index.

A record is a row of `ROW`, the name of the image and its encoded bytes, so that an unfinished file can be read again up
to where it ends. The index is an `.npz` archive behind the last record: the rows, the labels and a JSON text.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from taurank.trainables.data.errors import DataError

HEADER = struct.Struct("<8s32sQQ")
"""Magic, digest of what is packed and how, place and length of the index; both are 0 while the file is written."""
MAGIC = b"taurank\x01"

ROW = np.dtype(
    [
        ("offset", "<u8"),
        ("digest", "<u8"),
        ("name", "<u4"),
        ("length", "<u4"),
        ("crc", "<u4"),
        ("height", "<u4"),
        ("width", "<u4"),
        ("mean", "<f4", 3),
        ("variance", "<f4", 3),
        ("deep", "<u2", 2),
    ]
)
"""A packed image.

`offset` and `length` of the encoded bytes, and of the `name` before them; `crc` of both; `digest`, `mean` and
`variance` of the pixels; `deep` are the least and greatest value of 16 bits, or 1 and 0. An image without a height is
one that is left out, and the reason is in the place of its bytes.
"""

Rows = npt.NDArray[np.void]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PackIndex:
    """What is in a file of packed images.

    Attributes:
        header: of the file, which tells it from others.
        rows: of `ROW`: training, validation and test images, in this order; without those left out.
        labels: of the images.
        noted: what the text holds: `source`, `classes`, `counts` by part, `levels`, `lines` about what was packed,
            and `later_lines`: the same for every use of the file.
    """

    header: bytes
    rows: Rows
    labels: Labels
    noted: dict[str, Any]


def check_pack_length(path: Path) -> None:
    """Checks that a file of packed images is there as a whole; its images are not read.

    Raises:
        DataError: it is not.
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        read_header(path, file)


def read_header(path: Path, file: BinaryIO) -> tuple[bytes, int, int]:
    """The header, and place and length of the index.

    Raises:
        DataError: it is no finished file of packed images, or cut short.
    """
    header = os.pread(file.fileno(), HEADER.size, 0)
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        raise DataError(f"{path}: is no file of packed images; make one with taurank data pack")
    _, _, start, length = HEADER.unpack(header)
    size = os.fstat(file.fileno()).st_size
    if not start or size < start + length:
        raise DataError(f"{path}: is cut short ({size:,} bytes); pack the images again")
    return header, start, length


def read_index(path: Path) -> PackIndex:
    """Reads the index of a file.

    Raises:
        DataError: it cannot be read, or is no whole file of packed images.
    """
    try:
        with path.open("rb", buffering=0) as file:
            header, start, length = read_header(path, file)
            # The archive has checksums of its own.
            with np.load(io.BytesIO(read_bytes(path, file, start, length)), allow_pickle=False) as archive:
                rows, labels, text = (archive[name] for name in ("rows", "labels", "text"))
                noted = json.loads(text.tobytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: its index is damaged; pack the images again") from None
    return PackIndex(header, rows, labels, noted)


def index_bytes(rows: Rows, labels: Labels, noted: dict[str, Any]) -> bytes:
    """The index as it is written."""
    archive = io.BytesIO()
    np.savez(archive, rows=rows, labels=labels, text=np.frombuffer(json.dumps(noted).encode(), np.uint8))
    return archive.getvalue()


def read_bytes(path: Path, file: BinaryIO, start: int, length: int) -> bytes:
    """Bytes of a file. They are read and not mapped: where a mapped file is cut short, the process is killed.

    The system keeps one copy of them for all processes either way.

    Raises:
        DataError: it has fewer.
        OSError: it cannot be read.
    """
    found = bytearray()
    while len(found) < length:
        some = os.pread(file.fileno(), length - len(found), start + len(found))
        if not some:
            raise DataError(f"{path}: has been cut short")
        found += some
    return bytes(found)


def read_record(path: Path, file: BinaryIO, row: np.void) -> tuple[str, bytes]:
    """Name and encoded bytes of an image.

    Raises:
        DataError: the file is cut short, or the bytes are not those that were packed; one line.
    """
    named, length, offset = int(row["name"]), int(row["length"]), int(row["offset"])
    try:
        found = read_bytes(path, file, offset - named, named + length)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    if zlib.crc32(found) != int(row["crc"]):
        name = os.fsdecode(found[:named])
        raise DataError(f"{path}: the bytes of {name} have changed since they were packed; pack the images again")
    return os.fsdecode(found[:named]), found[named:]
