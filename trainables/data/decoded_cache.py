"""Image files decoded once: a `.npy` of all of them beside a small JSON index, found again by what the files are."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from taurank.trainables.data.decode import decode_image
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.mapped import IN_MEMORY_BYTES, Images, MappedImages

FORMAT = 1
"""Part of the key: raised when the same files decode to other pixels."""
CHUNK = 64
"""Images that a thread decodes at a time."""
MOST_FILE_BYTES = 2**28
CHANNELS = 3

Progress = Callable[[int, int], None]
"""Told how many images of how many are done."""


@dataclass(frozen=True)
class Decoded:
    """Decoded files.

    Attributes:
        images: in the order of the files, without those left out.
        left_out: positions among the files of what could not be decoded, with the reason.
    """

    images: Images | MappedImages
    left_out: dict[int, str]


def cache_folder(cache: Path | None = None) -> Path:
    """`cache`, else `taurank` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    return cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taurank"


def decode_files(
    root: Path,
    names: Sequence[str],
    *,
    size: int,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Decoded:
    """RGB images `(n, size, size, 3)` of files, from the cache where it has them; of many bytes as `MappedImages`.

    The key is the root, every name with the file's size and time of change, and the size: a file that changes is a
    cache of its own, and the old one may be deleted. A cache is written under another name and then renamed, so that
    it is there as a whole or not at all.

    Args:
        root: Folder that names are relative to.
        names: Of the files.
        size: Pixels on each side; see `decode_image`.
        cache: Folder of the caches; see `cache_folder`.
        progress: Told after each chunk; nothing is told where the cache has them.

    Raises:
        DataError: The cache cannot be written.
    """
    folder = cache_folder(cache)
    key = _key(root, names, size)
    file, index = folder / f"{key}.npy", folder / f"{key}.json"
    left_out = _read_index(index, file, len(names), size)
    if left_out is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            left_out = _write(file, root, names, size, progress)
            _replace(index, json.dumps({"root": str(root), "size": size, "left_out": left_out}).encode())
        except OSError as error:
            raise DataError(
                f"{folder}: decoded images cannot be kept there ({error.strerror or error});"
                " give another folder with --cache or $XDG_CACHE_HOME"
            ) from None
    mapped = MappedImages(file)
    return Decoded(mapped if mapped.nbytes > IN_MEMORY_BYTES else np.load(file, allow_pickle=False), left_out)


def _key(root: Path, names: Sequence[str], size: int) -> str:
    files = []
    for name in names:
        try:
            found = (root / name).stat()
            files.append((name, found.st_size, found.st_mtime_ns))
        except (OSError, ValueError):  # a name with a zero byte is a ValueError
            files.append((name, -1, -1))
    what = json.dumps([FORMAT, str(root.resolve()), size, files])
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def _read_index(index: Path, file: Path, count: int, size: int) -> dict[int, str] | None:
    """What was left out of a cache; None where there is no whole one."""
    try:
        left_out = {int(place): str(reason) for place, reason in json.loads(index.read_bytes())["left_out"].items()}
        shape = np.load(file, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return left_out if shape == (count - len(left_out), size, size, CHANNELS) else None


def _write(file: Path, root: Path, names: Sequence[str], size: int, progress: Progress | None) -> dict[int, str]:
    """Decodes into the file, front to back; the header, which says how many there are, is filled in at the end."""
    partial = file.with_suffix(f".{os.getpid()}.partial")
    left_out: dict[int, str] = {}
    try:
        with partial.open("wb") as out:
            out.write(_header(len(names), size))
            done = 0
            for images, broken in _decoded(root, names, size):
                out.write(b"".join(image.tobytes() for image in images))
                left_out |= {done + place: reason for place, reason in broken.items()}
                done += len(images) + len(broken)
                if progress is not None:
                    progress(done, len(names))
            out.seek(0)
            out.write(_header(len(names) - len(left_out), size))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return left_out


def _header(count: int, size: int) -> bytes:
    """Of a `.npy` file; as long for any count, since NumPy leaves room for the first dimension to grow."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, CHANNELS)}
    )
    return header.getvalue()


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _decoded(root: Path, names: Sequence[str], size: int) -> Iterator[tuple[list[Images], dict[int, str]]]:
    """Chunks of decoded images, in order, and what could not be decoded by its place in the chunk.

    OpenCV lets go of Python's lock, so threads are enough; no more chunks are begun than a few ahead of what is taken.
    """

    def decode(chunk: Sequence[str]) -> tuple[list[Images], dict[int, str]]:
        images, broken = [], {}
        for place, name in enumerate(chunk):
            try:
                images.append(decode_image(_read(root / name), size, CHANNELS))
            except (DataError, MemoryError) as error:
                broken[place] = str(error).removeprefix("image bytes: ") or "takes more memory than there is"
        return images, broken

    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ahead: deque[Future[tuple[list[Images], dict[int, str]]]] = deque()
    with _one_opencv_thread(), ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(names), CHUNK):
                ahead.append(pool.submit(decode, names[start : start + CHUNK]))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(path: Path) -> bytes:
    """Bytes of a regular file of bearable size: a listed name may be anything."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DataError("is no regular file")
        if found.st_size > MOST_FILE_BYTES:
            raise DataError(f"has {found.st_size} bytes; {MOST_FILE_BYTES} are the most that are read")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Whoever runs several images side by side gains nothing from several threads for each."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
