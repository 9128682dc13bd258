"""Cache of decoded image files: one `.npy` file and a JSON index, keyed by the properties of the files."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt

from taurank.spaces import cache_folder
from taurank.trainables.data.decode import DEEPEST, Levels, decode_image, one_opencv_thread
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.mapped import IN_MEMORY_BYTES, Images, MappedImages

Result = TypeVar("Result")

FORMAT = 2
"""Part of the key: raised when the same files decode to other pixels."""
CHUNK = 64
"""Images that a thread decodes at a time."""
MOST_FILE_BYTES = 2**28
CHANNELS = 3
FEWEST_LEVELS = 2**15
"""16-bit images of a set that use less than this much of the range of their type are scaled by what they use."""

Digests = npt.NDArray[np.uint64]
"""`(n,)`: equal where all pixels of two images are equal."""

Progress = Callable[[int, int], None]
"""Called with the numbers of decoded and of all images."""


@dataclass(frozen=True)
class Decoded:
    """Decoded files.

    Attributes:
        images: in the order of the files, without those left out.
        left_out: positions among the files of what could not be decoded, with the reason.
        digests: of the images.
        deep: how many images have 16 bits, and the least and greatest of their values; None where there are none.
    """

    images: Images | MappedImages
    left_out: dict[int, str]
    digests: Digests
    deep: tuple[int, int, int] | None

    @property
    def levels(self) -> Levels:
        """Values of 16-bit images that have become 0 and 255."""
        return levels_of(self.deep)


@dataclass(frozen=True)
class _Index:
    """Index of a cache."""

    left_out: dict[int, str]
    digests: Digests
    deep: tuple[int, int, int] | None


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

    16-bit images whose values span less than `FEWEST_LEVELS` over the whole set are decoded a second time, so that the
    least value of the set becomes 0 and the greatest 255: a 12-bit recording would else have 16 grey levels.

    Args:
        root: Folder that names are relative to.
        names: Of the files.
        size: Pixels on each side; see `decode_image`.
        cache: Folder of the caches; see `cache_folder`.
        progress: Called after each chunk; not called on a cache hit.

    Raises:
        DataError: The cache cannot be written.
    """
    folder = cache_folder(cache)
    key = files_key(root, names, size)
    file, index = folder / f"{key}.npy", folder / f"{key}.json"
    found = _read_index(index, file, len(names), size)
    if found is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            found = _write(file, root, names, size, progress)
            digests = base64.b64encode(found.digests.tobytes()).decode()
            noted = {"left_out": found.left_out, "digests": digests, "deep": found.deep}
            _replace(index, json.dumps({"root": str(root), "size": size, **noted}).encode())
        except OSError as error:
            raise DataError(
                f"{folder}: decoded images cannot be kept there ({error.strerror or error});"
                " give another folder with --cache or $XDG_CACHE_HOME"
            ) from None
    mapped = MappedImages(file)
    images = mapped if mapped.nbytes > IN_MEMORY_BYTES else np.load(file, allow_pickle=False)
    return Decoded(images, found.left_out, found.digests, found.deep)


def image_digests(images: Images) -> Digests:
    """Digests of the images `(n, H, W, C)`."""
    return np.array([digest_of(image) for image in images], dtype=np.uint64)


def digest_of(image: Images) -> int:
    """Digest of one image; equal where all pixels are."""
    return int.from_bytes(hashlib.blake2b(image.tobytes(), digest_size=8).digest(), "little")


def levels_of(deep: tuple[int, int, int] | None) -> Levels:
    """Values that become 0 and 255 in a set with this number and range of 16-bit images."""
    if deep is None or not 0 < deep[2] - deep[1] < FEWEST_LEVELS:
        return 0, DEEPEST
    return deep[1], deep[2]


def files_key(root: Path, names: Sequence[str], *settings: object) -> str:
    """A digest of the names, sizes and times of change of files, and of what is made of them."""
    files = []
    for name in names:
        try:
            found = (root / name).stat()
            files.append((name, found.st_size, found.st_mtime_ns))
        except (OSError, ValueError):  # a name with a zero byte is a ValueError
            files.append((name, -1, -1))
    what = json.dumps([FORMAT, str(root.resolve()), *settings, files])
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def _read_index(index: Path, file: Path, count: int, size: int) -> _Index | None:
    """Index of a cache; None where it is missing or incomplete."""
    try:
        noted = json.loads(index.read_bytes())
        left_out = {int(place): str(reason) for place, reason in noted["left_out"].items()}
        digests = np.frombuffer(base64.b64decode(noted["digests"]), dtype=np.uint64)
        deep = None if noted["deep"] is None else (int(noted["deep"][0]), int(noted["deep"][1]), int(noted["deep"][2]))
        shape = np.load(file, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
    kept = count - len(left_out)
    whole = len(digests) == kept and shape == (kept, size, size, CHANNELS)
    return _Index(left_out, digests, deep) if whole else None


def _write(file: Path, root: Path, names: Sequence[str], size: int, progress: Progress | None) -> _Index:
    """Decodes into the file, front to back; the header, which says how many there are, is filled in at the end."""
    partial = file.with_suffix(f".{os.getpid()}.partial")
    left_out: dict[int, str] = {}
    digests: list[int] = []
    ranges: dict[int, tuple[str, Levels]] = {}  # of 16-bit images, by their row in the file
    try:
        with partial.open("w+b") as out:
            out.write(_header(len(names), size))
            done = 0
            for chunk in _decoded(root, names, size):
                for found in chunk:
                    if isinstance(found, str):
                        left_out[done] = found
                    else:
                        if found[1] is not None:
                            ranges[len(digests)] = (names[done], found[1])
                        out.write(found[0].tobytes())
                        digests.append(digest_of(found[0]))
                    done += 1
                if progress is not None:
                    progress(done, len(names))
            deep = range_of([levels for _, levels in ranges.values()])
            if levels_of(deep) != (0, DEEPEST):
                _stretch(out, root, {row: name for row, (name, _) in ranges.items()}, digests, levels_of(deep), size)
            out.seek(0)
            out.write(_header(len(digests), size))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return _Index(left_out, np.array(digests, dtype=np.uint64), deep)


def range_of(ranges: Sequence[Levels]) -> tuple[int, int, int] | None:
    """Number of 16-bit images and their range, from the range of each; None where there are none."""
    if not ranges:
        return None
    return len(ranges), min(low for low, _ in ranges), max(high for _, high in ranges)


def _stretch(
    out: IO[bytes], root: Path, names: Mapping[int, str], digests: list[int], levels: Levels, size: int
) -> None:
    """Decodes 16-bit images once more, with these values as 0 and 255, to their rows in the file."""
    start, step = len(_header(0, size)), size * size * CHANNELS
    rows = iter(names)
    for chunk in _decoded(root, list(names.values()), size, levels):
        for row, found in zip(rows, chunk, strict=False):
            if isinstance(found, str):
                raise DataError(f"{root / names[row]}: changed while it was decoded ({found})")
            out.seek(start + row * step)
            out.write(found[0].tobytes())
            digests[row] = digest_of(found[0])


def _header(count: int, size: int) -> bytes:
    """Header of a `.npy` file; its length does not depend on the count, since NumPy pads the first dimension."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, CHANNELS)}
    )
    return header.getvalue()


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)


_Found = tuple[Images, Levels | None] | str
"""A decoded image with its range, see `decode_image`; or the reason of a failure."""


def _decoded(root: Path, names: Sequence[str], size: int, levels: Levels = (0, DEEPEST)) -> Iterator[list[_Found]]:
    """Chunks of decoded images, in order."""

    def decode(name: str) -> _Found:
        try:
            return decode_image(read_file(root / name), size, CHANNELS, levels)
        except (DataError, MemoryError) as error:
            return reason_of(error)

    return in_threads(decode, names)


def in_threads(work: Callable[[str], Result], names: Sequence[str]) -> Iterator[list[Result]]:
    """Chunks of results, in order, by as many threads as there are cores.

    OpenCV releases the GIL, so threads suffice; only a few chunks are computed ahead.
    """

    def work_on(chunk: Sequence[str]) -> list[Result]:
        return [work(name) for name in chunk]

    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ahead: deque[Future[list[Result]]] = deque()
    with one_opencv_thread(), ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(names), CHUNK):
                ahead.append(pool.submit(work_on, names[start : start + CHUNK]))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def reason_of(error: DataError | MemoryError) -> str:
    """Why an image is left out."""
    return str(error).removeprefix("image bytes: ") or "takes more memory than there is"


def read_file(path: Path) -> bytes:
    """Reads a regular file of limited size.

    Raises:
        DataError: It cannot be read, or is none.
    """
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
