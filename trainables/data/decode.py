"""Image files to arrays."""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from taurank.trainables.data.errors import DataError
from taurank.trainables.data.image_size import MOST_PIXELS, read_image_size
from taurank.trainables.data.mapped import Images
from taurank.trainables.data.resize import fit_image

# A JPEG marker: 0xff and a byte that is neither padding, nor a stuffed zero, nor a restart inside the scan.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


# The header of PGM and PPM: three numbers after the magic, comments between them. Of PAM (P7): named lines.
_PNM_MAXVAL = re.compile(rb"P[2356](?:(?:\s|#[^\n]*\n)+\d+){2}(?:\s|#[^\n]*\n)+(\d+)\s")
_PAM_MAXVAL = re.compile(rb"P7\n(?:[^\n]*\n)*?MAXVAL\s+(\d+)\s*\n")
_HEADER_BYTES = 4096

Levels = tuple[int, int]
"""The pixel values that become 0 and 255."""
DEEPEST = 2**16 - 1

# A JPEG can be decoded at a half, a quarter or an eighth of its size, in as much less time.
_REDUCED = {
    1: (cv2.IMREAD_ANYDEPTH, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR),
    2: (cv2.IMREAD_REDUCED_GRAYSCALE_2, cv2.IMREAD_REDUCED_COLOR_2),
    4: (cv2.IMREAD_REDUCED_GRAYSCALE_4, cv2.IMREAD_REDUCED_COLOR_4),
    8: (cv2.IMREAD_REDUCED_GRAYSCALE_8, cv2.IMREAD_REDUCED_COLOR_8),
}


def decode_image(
    source: bytes | str | Path, size: int, channels: int, levels: Levels = (0, DEEPEST)
) -> tuple[Images, Levels | None]:
    """Decodes one encoded image (JPEG, PNG, WebP, BMP, TIFF, PNM, ...), fits its short side and crops the centre.

    An EXIF orientation is applied. Transparency is dropped. 16 bits become 8, and the values of a PGM, PPM or PAM are
    scaled by the maximum that its header states.

    Args:
        source: The encoded bytes, or the path of a file with them.
        size: Pixels on each side of the result.
        channels: 1 for grey values, 3 for colours in RGB order.
        levels: Values that become 0 and 255, for 16-bit images whose file states no maximum.

    Returns:
        The image `(size, size, channels)`, 0..255, and the least and greatest value of a 16-bit image whose file states
        no maximum; None for any other.

    Raises:
        DataError: The file cannot be read or decoded, is truncated, or has more than `MOST_PIXELS`.
    """
    if channels not in (1, 3):
        raise DataError(f"channels is {channels}; it has to be 1 (grey) or 3 (RGB)")
    if size < 1:
        raise DataError(f"size is {size}; it has to be at least 1 pixel")
    encoded, origin = _bytes_of(source)
    found = read_image_size(encoded)
    # Twice the size is left, to be averaged over areas.
    most_reduced = 1 if found is None else min(found) // (2 * size)
    image, deep, _ = decode_whole(encoded, origin, channels, levels, most_reduced=most_reduced)
    return fit_image(image, size), deep


def decode_whole(
    encoded: bytes, origin: str, channels: int, levels: Levels = (0, DEEPEST), *, most_reduced: int = 1
) -> tuple[Images, Levels | None, int]:
    """Decodes one encoded image; see `decode_image`.

    Args:
        encoded: The bytes.
        origin: Where they are from, for lines about them.
        channels: 1 for grey values, 3 for colours in RGB order.
        levels: Values that become 0 and 255, for 16-bit images whose file states no maximum.
        most_reduced: How many times smaller on each side a JPEG may be decoded.

    Returns:
        The image `(H, W, channels)`, the range of a 16-bit image, and how many times smaller it is.

    Raises:
        DataError: It cannot be decoded, is truncated, or has more than `MOST_PIXELS`.
    """
    factor = _factor(encoded, origin, most_reduced)
    if encoded[:2] in (b"P2", b"P3"):
        encoded = _binary_pnm(encoded, origin)
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), _REDUCED[factor][channels == 3])
    except cv2.error as error:  # an empty buffer, a size beyond OpenCV's limits
        raise DataError(f"{origin}: cannot be decoded ({error.err or error})") from error
    if image is None or _is_cut_jpeg(encoded):
        raise DataError(f"{origin}: cut short, or not an image that OpenCV can decode ({len(encoded)} bytes)")
    if image.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{origin}: has {image.dtype} pixels; save it with 8 or 16 bits")
    maximum = _stated_maximum(encoded) or (DEEPEST if image.dtype == np.uint16 else 255)
    found = (int(image.min()), int(image.max())) if maximum == DEEPEST else None
    if maximum != 255:
        image = _scale_table(*(levels if found else (0, maximum)))[image]
    if channels == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return image.reshape(*image.shape[:2], channels), found, factor


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Limits OpenCV to one thread per image, since images are decoded in parallel."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _binary_pnm(encoded: bytes, origin: str) -> bytes:
    """A PGM or PPM of decimal numbers as one of bytes: OpenCV scales some of the former, and none of the latter."""
    try:
        width, height, maximum, *values = map(int, re.sub(rb"#[^\n]*", b"", encoded[2:]).split())
        count = width * height * (3 if encoded[:2] == b"P3" else 1)
        if not 0 < maximum <= DEEPEST or not 0 < count <= len(values):
            raise ValueError
        pixels = np.clip(values[:count], 0, maximum).astype(np.uint8 if maximum < 256 else ">u2")
    except (ValueError, OverflowError):
        raise DataError(f"{origin}: cut short, or not decimal numbers throughout ({len(encoded)} bytes)") from None
    kind = b"P6" if encoded[:2] == b"P3" else b"P5"
    return b"%b %d %d %d\n%b" % (kind, width, height, maximum, pixels.tobytes())


@functools.lru_cache(maxsize=16)
def _scale_table(low: int, high: int) -> npt.NDArray[np.uint8]:
    """The byte of every 16-bit value: 0 up to `low`, 255 from `high` on; the upper byte where all bits are in use."""
    values = np.arange(DEEPEST + 1)
    if (low, high) == (0, DEEPEST):
        return (values >> 8).astype(np.uint8)
    return np.rint(np.clip((values - low) * 255 / (high - low), 0, 255)).astype(np.uint8)


def _stated_maximum(encoded: bytes) -> int | None:
    """The greatest value that the header of a PGM, PPM or PAM allows; None for other files, and for a broken header."""
    header = encoded[:_HEADER_BYTES]
    found = _PNM_MAXVAL.match(header) or _PAM_MAXVAL.match(header)
    return int(found[1]) if found and 0 < int(found[1]) <= DEEPEST else None


def _factor(encoded: bytes, origin: str, most_reduced: int) -> int:
    """How many times smaller an image is decoded."""
    found = read_image_size(encoded)
    if found is None:
        return 1
    height, width = found
    if height * width > MOST_PIXELS:
        raise DataError(f"{origin}: has {width} x {height} pixels; {MOST_PIXELS} are the most that are decoded")
    if not encoded.startswith(b"\xff\xd8"):
        return 1
    return max(factor for factor in _REDUCED if factor <= max(most_reduced, 1))


def _bytes_of(source: bytes | str | Path) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, "image bytes"
    try:
        return Path(source).read_bytes(), str(source)
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({error.strerror or error})") from error


def _is_cut_jpeg(encoded: bytes) -> bool:
    """Whether a JPEG ends before its end marker; older versions of OpenCV silently fill the missing rows with grey."""
    if not encoded.startswith(b"\xff\xd8"):
        return False
    at = 2
    while (marker := _JPEG_MARKER.search(encoded, at)) is not None:
        if marker[0] == b"\xff\xd9":
            return False
        # Segments state their length. After a scan's header come its data, and the search skips those.
        at = marker.end() + int.from_bytes(encoded[marker.end() : marker.end() + 2], "big")
    return True
