"""Image files to arrays."""

import re
from pathlib import Path

import cv2
import numpy as np

from taurank.trainables.data.errors import DataError
from taurank.trainables.data.image_size import MOST_PIXELS, read_image_size
from taurank.trainables.data.mapped import Images
from taurank.trainables.data.resize import fit_image

# A JPEG marker: 0xff and a byte that is neither padding, nor a stuffed zero, nor a restart inside the scan.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


# A JPEG can be decoded at a half, a quarter or an eighth of its size, in as much less time.
_REDUCED = {
    1: (cv2.IMREAD_GRAYSCALE, cv2.IMREAD_COLOR),
    2: (cv2.IMREAD_REDUCED_GRAYSCALE_2, cv2.IMREAD_REDUCED_COLOR_2),
    4: (cv2.IMREAD_REDUCED_GRAYSCALE_4, cv2.IMREAD_REDUCED_COLOR_4),
    8: (cv2.IMREAD_REDUCED_GRAYSCALE_8, cv2.IMREAD_REDUCED_COLOR_8),
}


def decode_image(source: bytes | str | Path, size: int, channels: int) -> Images:
    """Decodes one encoded image (JPEG, PNG, WebP, BMP, TIFF, ...); its short side is fitted, its middle is kept.

    An EXIF orientation is honoured: photographs come out upright. Transparency is dropped, 16 bits become 8.

    Args:
        source: The encoded bytes, or the path of a file with them.
        size: Pixels on each side of the result.
        channels: 1 for grey values, 3 for colours in RGB order.

    Returns:
        `(size, size, channels)`, 0..255.

    Raises:
        DataError: The file cannot be read or decoded, is cut short, or has more than `MOST_PIXELS`; it is named.
    """
    if channels not in (1, 3):
        raise DataError(f"channels is {channels}; it has to be 1 (grey) or 3 (RGB)")
    if size < 1:
        raise DataError(f"size is {size}; it has to be at least 1 pixel")
    encoded, origin = _bytes_of(source)
    mode = _mode(encoded, origin, size)[channels == 3]
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), mode)
    except cv2.error as error:  # an empty buffer, a size beyond OpenCV's limits
        raise DataError(f"{origin}: cannot be decoded ({error.err or error})") from error
    if image is None or _is_cut_jpeg(encoded):
        raise DataError(f"{origin}: cut short, or not an image that OpenCV can decode ({len(encoded)} bytes)")
    if channels == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return fit_image(image.reshape(*image.shape[:2], channels), size)


def _mode(encoded: bytes, origin: str, size: int) -> tuple[int, int]:
    """How OpenCV decodes it to grey values and to colours."""
    found = read_image_size(encoded)
    if found is None:
        return _REDUCED[1]
    height, width = found
    if height * width > MOST_PIXELS:
        raise DataError(f"{origin}: has {width} x {height} pixels; {MOST_PIXELS} are the most that are decoded")
    if not encoded.startswith(b"\xff\xd8"):
        return _REDUCED[1]
    # Twice the size is left, to be averaged over areas.
    return _REDUCED[max((factor for factor in (1, 2, 4, 8) if min(height, width) >= 2 * size * factor), default=1)]


def _bytes_of(source: bytes | str | Path) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, "image bytes"
    try:
        return Path(source).read_bytes(), str(source)
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({error.strerror or error})") from error


def _is_cut_jpeg(encoded: bytes) -> bool:
    """Whether a JPEG ends before its end marker; older OpenCV fills the missing rows with grey and says nothing."""
    if not encoded.startswith(b"\xff\xd8"):
        return False
    at = 2
    while (marker := _JPEG_MARKER.search(encoded, at)) is not None:
        if marker[0] == b"\xff\xd9":
            return False
        # Segments say how long they are. After a scan's header come its data, and the search skips those.
        at = marker.end() + int.from_bytes(encoded[marker.end() : marker.end() + 2], "big")
    return True
