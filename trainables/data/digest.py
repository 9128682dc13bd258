"""Digest of a data set."""

from __future__ import annotations

import hashlib

import numpy as np

from taurank.trainables.data.mapped import MappedImages
from taurank.trainables.data.packed import PackedImages
from taurank.trainables.data.splits import ImageData


def digest_images(data: ImageData) -> str:
    """A digest of all pixels and labels, in their order.

    Memory-mapped images are identified by the name of their file (the cache derives it from the decoded files), its
    size and their positions, since reading all of them would take minutes. Packed images are identified by their
    checksums.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in (data.train, data.validation, data.test):
        images = part.images
        if isinstance(images, PackedImages):
            digest.update(repr((images.shape, images.levels)).encode())
            digest.update(np.ascontiguousarray(images.rows["crc"]).data)
        elif isinstance(images, MappedImages):
            rows = b"all" if images.rows is None else np.asarray(images.rows, dtype=np.int64).tobytes()
            digest.update(f"{images.path.name} {images.path.stat().st_size} {images.shape}".encode() + rows)
        else:
            digest.update(repr(images.shape).encode())
            digest.update(np.ascontiguousarray(images).data)
        digest.update(np.asarray(part.labels, dtype=np.int64).tobytes())
    digest.update(repr((data.classes, data.mean, data.std)).encode())
    return digest.hexdigest()
