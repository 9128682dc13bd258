"""Size of an encoded image, read from its header."""

import io
import warnings

MOST_PIXELS = 2**27
"""134 million: more than cameras have, and 400 MB once decoded."""


def read_image_size(encoded: bytes) -> tuple[int, int] | None:
    """`(height, width)` as the header has them; None where there is no header that can be read."""
    if encoded.startswith(b"\x89PNG\r\n\x1a\n") and len(encoded) >= 24:
        return int.from_bytes(encoded[20:24], "big"), int.from_bytes(encoded[16:20], "big")
    if encoded.startswith(b"\xff\xd8"):
        return _jpeg_size(encoded)
    from PIL import Image  # comes with torchvision; takes a while, and only the rarer formats need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of large images, which are ours to judge
            with Image.open(io.BytesIO(encoded)) as image:
                return image.height, image.width
    except Exception:  # Pillow raises half a dozen types for a damaged header, and for a very large image
        return None


def _jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """Reads the start of frame (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(encoded[at + 5 : at + 7], "big"), int.from_bytes(encoded[at + 7 : at + 9], "big")
        else:
            at += 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    return None
