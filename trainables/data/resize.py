"""Resizing of images."""

import cv2

from taurank.trainables.data.mapped import Images


def resize_image(image: Images, size: int) -> Images:
    """One image `(H, W, C)` squashed to `(size, size, C)`.

    A side that shrinks is averaged over areas (INTER_AREA, no aliasing), one that grows is interpolated linearly. An
    image that has the size already comes back as it is. The number of OpenCV threads is not
    changed: callers that resize in parallel set `cv2.setNumThreads` once per process.
    """
    height, width, channels = image.shape
    if (height, width) == (size, size):
        return image
    # Two steps, because INTER_AREA does not average when only one of the sides shrinks.
    image = cv2.resize(image, (min(width, size), min(height, size)), interpolation=cv2.INTER_AREA)
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return image.reshape(size, size, channels)


def fit_image(image: Images, size: int) -> Images:
    """The middle of one image `(H, W, C)`, as `(size, size, C)`: its short side becomes `size`, its aspect stays."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    # Cut before it is resized: what is cut off need not be.
    return resize_image(image[top : top + side, left : left + side], size)
