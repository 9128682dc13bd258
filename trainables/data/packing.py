"""Packs image files into one file of encoded images."""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from taurank.trainables.data.decode import DEEPEST, Levels, decode_whole
from taurank.trainables.data.decoded_cache import (
    CHANNELS,
    Progress,
    digest_of,
    files_key,
    in_threads,
    levels_of,
    range_of,
    read_file,
    reason_of,
)
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.file_list import FileList
from taurank.trainables.data.listed import arrange, lines_about
from taurank.trainables.data.mapped import Images
from taurank.trainables.data.pack_file import (
    HEADER,
    MAGIC,
    ROW,
    PackIndex,
    Rows,
    index_bytes,
    read_index,
    read_record,
)

SHORT_SIDE, QUALITY = 256, 90
_SYNCED_BYTES = 2**28
"""After so many new bytes the file is brought to the disk: what a crash of the machine can cost."""


@dataclass(frozen=True)
class Packing:
    """How images are packed.

    Attributes:
        short_side: pixels that the short side of a larger image is brought to; None packs the files as they are.
        quality: of the JPEGs, 1 to 100. A JPEG that is not larger stays as it is.

    Raises:
        DataError: a value outside its range.
    """

    short_side: int | None = SHORT_SIDE
    quality: int = QUALITY

    def __post_init__(self) -> None:
        if self.short_side is not None and self.short_side < 1:
            raise DataError(f"short_side is {self.short_side}; it has to be at least 1 pixel")
        if not 1 <= self.quality <= 100:
            raise DataError(f"quality is {self.quality}; it has to be from 1 to 100")

    def pack(self, encoded: bytes, name: str) -> tuple[np.void, bytes]:
        """The row of an image without its place, and its bytes.

        Raises:
            DataError: it cannot be decoded.
        """
        image, deep, _ = decode_whole(encoded, name, CHANNELS)
        # 16 bits stay: which of their values become 0 and 255 is known at the end.
        if self.short_side is not None and deep is None:
            encoded, image = self._smaller(encoded, image, self.short_side)
        row: np.void = np.zeros(1, ROW)[0]
        row["height"], row["width"] = image.shape[:2]
        row["digest"], row["deep"] = digest_of(image), deep or (1, 0)
        row["mean"], row["variance"] = _moments(image)
        return row, encoded

    def _smaller(self, encoded: bytes, image: Images, short_side: int) -> tuple[bytes, Images]:
        height, width = image.shape[:2]
        share = short_side / min(height, width)
        if share < 1:
            sides = (max(round(side * share), short_side) for side in (width, height))
            image = cv2.resize(image, tuple(sides), interpolation=cv2.INTER_AREA)
        elif encoded.startswith(b"\xff\xd8"):
            return encoded, image
        try:
            whole, jpeg = cv2.imencode(
                ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, self.quality]
            )
        except cv2.error:  # a side of more than 65,535 pixels
            whole = False
        return (jpeg.tobytes() if whole else encoded), image


def _moments(image: Images) -> tuple[np.ndarray, np.ndarray]:
    mean, std = cv2.meanStdDev(image)
    return mean.ravel(), std.ravel() ** 2


def write_pack(files: FileList, path: Path, packing: Packing, *, progress: Progress | None = None) -> PackIndex:
    """Packs files, or goes on where packing them was interrupted; an existing file of the same is read only.

    The file is written under another name, `.partial`, and then renamed, so that it is there as a whole or not at all.

    Args:
        files: the files and their labels.
        path: of the file of packed images.
        packing: how.
        progress: called with the numbers of packed and of all files.

    Raises:
        DataError: the file exists and is of something else, another process writes it, it cannot be written, or a
            class or a part is left without images.
    """
    key = files_key(files.root, files.names, packing.short_side, packing.quality, files.labels, files.classes)
    try:
        if path.exists():
            return _existing(path, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        with _locked(partial) as out:
            _Packer(files, packing, key, partial, out).write(progress)
            partial.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); the same command goes on where it ended"
        ) from None
    return read_index(path)


def check_pack(path: Path, *, progress: Progress | None = None) -> tuple[int, list[str]]:
    """Number of images of a file, and a line on each whose bytes are not those that were packed.

    Raises:
        DataError: it is no whole file of packed images.
    """
    index = read_index(path)
    damaged = []
    with path.open("rb", buffering=0) as file:
        for place, row in enumerate(index.rows):
            try:
                read_record(path, file, row)
            except DataError as error:
                damaged.append(str(error))
            if progress is not None:
                progress(place + 1, len(index.rows))
    return len(index.rows), damaged


def _existing(path: Path, key: str) -> PackIndex:
    try:
        index = read_index(path)
    except DataError:
        raise DataError(f"{path}: exists, and is no whole file of packed images; remove it, or give another") from None
    if HEADER.unpack(index.header)[1] != key.encode():
        raise DataError(
            f"{path}: exists, and holds other images or was packed in another way; remove it, or give another file"
        )
    return index


@contextmanager
def _locked(partial: Path) -> Iterator[BinaryIO]:
    with open(os.open(partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as out:
        try:
            fcntl.flock(out.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{partial}: another process is writing it; wait until it has ended") from None
        if not partial.exists() or not os.path.samestat(os.fstat(out.fileno()), partial.stat()):
            raise DataError(f"{partial}: another process has just finished it; start again")
        yield out


class _Packer:
    """Writes one file.

    Args:
        files: what is packed.
        packing: how.
        key: digest of both.
        partial: name of the file.
        out: the file itself.
    """

    def __init__(self, files: FileList, packing: Packing, key: str, partial: Path, out: BinaryIO) -> None:
        self._files, self._packing, self._partial, self._out = files, packing, partial, out
        self._header = HEADER.pack(MAGIC, key.encode(), 0, 0)
        self._rows = np.zeros(len(files.names), ROW)
        self._left_out: dict[int, str] = {}

    def write(self, progress: Progress | None) -> None:
        """Writes all records that are missing, and the index."""
        done = self._resume()
        unsynced = 0
        for chunk in in_threads(self._packed, self._files.names[done:]):
            for row, encoded in chunk:
                self._append(done, row, encoded)
                done, unsynced = done + 1, unsynced + len(encoded)
            if unsynced > _SYNCED_BYTES:
                self._sync()
                unsynced = 0
            if progress is not None:
                progress(done, len(self._files.names))
        self._finish()

    def _packed(self, name: str) -> tuple[np.void, bytes]:
        try:
            return self._packing.pack(read_file(self._files.root / name), name)
        except (DataError, MemoryError) as error:
            return np.zeros(1, ROW)[0], reason_of(error).removeprefix(f"{name}: ").encode(errors="replace")

    def _append(self, place: int, row: np.void, encoded: bytes) -> None:
        name = os.fsencode(self._files.names[place])
        row["name"], row["length"] = len(name), len(encoded)
        row["offset"] = self._out.tell() + ROW.itemsize + len(name)
        row["crc"] = zlib.crc32(name + encoded)
        self._out.write(row.tobytes() + name + encoded)
        self._keep(place, row, encoded)

    def _keep(self, place: int, row: np.void, encoded: bytes) -> None:
        self._rows[place] = row
        if not row["height"]:
            self._left_out[place] = encoded.decode()

    def _resume(self) -> int:
        """Reads the records of an interrupted packing of the same files; returns how many there are."""
        out = self._out
        same = out.read(HEADER.size)[: HEADER.size - 16] == self._header[:-16]
        done, end = 0, HEADER.size
        while same and done < len(self._rows):
            out.seek(end)
            found = out.read(ROW.itemsize)
            if len(found) < ROW.itemsize:
                break
            row = np.frombuffer(found, ROW)[0]
            if row["offset"] != end + ROW.itemsize + row["name"]:
                break
            try:
                name, encoded = read_record(self._partial, out, row)
            except DataError:
                break
            if name != self._files.names[done]:
                break
            self._keep(done, row, encoded)
            done, end = done + 1, int(row["offset"]) + int(row["length"])
        out.truncate(end if done else 0)
        out.seek(0)
        out.write(self._header)
        out.seek(end)
        return done

    def _finish(self) -> None:
        files, out = self._files, self._out
        arranged = arrange(files, self._left_out)
        rows = np.delete(self._rows, list(self._left_out))
        deep_rows = np.flatnonzero(rows["deep"][:, 0] <= rows["deep"][:, 1])
        deep = range_of([(int(low), int(high)) for low, high in rows["deep"][deep_rows]])
        levels = levels_of(deep)
        if levels != (0, DEEPEST):
            self._stretch(rows, deep_rows, levels)
        digests = {part: rows["digest"][found] for part, found in arranged.rows.items()}
        noted = {
            "source": files.source,
            "classes": files.classes,
            "counts": {part: len(found) for part, found in arranged.rows.items()},
            "levels": levels,
            "lines": list(lines_about(files, self._left_out, deep, digests)),
            "later_lines": list(lines_about(files, self._left_out, deep, digests, brief=True)),
        }
        index = index_bytes(rows, arranged.labels, noted)
        out.flush()
        start = out.tell()
        out.write(index)
        self._sync()
        out.seek(0)
        out.write(HEADER.pack(*HEADER.unpack(self._header)[:2], start, len(index)))
        self._sync()

    def _stretch(self, rows: Rows, deep_rows: np.ndarray, levels: Levels) -> None:
        """Digests and moments of the 16-bit images, with these values as 0 and 255."""
        self._out.flush()
        for place in deep_rows:
            name, encoded = read_record(self._partial, self._out, rows[place])
            image, _, _ = decode_whole(encoded, name, CHANNELS, levels)
            rows["digest"][place] = digest_of(image)
            rows["mean"][place], rows["variance"][place] = _moments(image)

    def _sync(self) -> None:
        self._out.flush()
        os.fsync(self._out.fileno())
