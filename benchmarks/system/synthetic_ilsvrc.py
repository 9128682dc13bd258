"""A folder in the layout of ILSVRC with synthetic photographs, to measure on where ImageNet is not at hand.

An image is one of CIFAR-10, enlarged to 400 to 500 pixels a side and mirrored or not, with noise whose amplitude falls
as 1 / frequency, as that of natural images does (Field 1987, J. Opt. Soc. Am. A 4(12)), and is saved as JPEG of quality
90. A class is one of CIFAR-10 in one of ten casts of colour, so that there are 100 of them and networks can tell them
apart. Each image depends on the seed and its number only, and files are written whole: a call that is interrupted is
continued by the next.

    python -m benchmarks.system.synthetic_ilsvrc /tmp/ilsvrc --images 20000
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from taurank.trainables.data import load_dataset

CASTS = 10
SIDES = (400, 500)
QUALITY = 90
NOISE = 20.0
"""Standard deviation of the noise in grey values, with which files have about 80 kB."""
BYTES = 100_000
"""Of a file, at most on average: what is asked of the disk."""
FIELDS = 24


def synset(label: int) -> str:
    """Name of a class folder."""
    return f"n{label + 1_440_764:08}"


def noise_fields(generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Periodic fields with an amplitude of 1 / frequency, mean 0 and standard deviation 1: (FIELDS, 512, 512, 3)."""
    side = 512
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    white = np.fft.rfft2(generator.standard_normal((FIELDS, 4, side, side), np.float32), axes=(2, 3))
    pink = np.fft.irfft2(white / frequency, (side, side), axes=(2, 3))
    pink /= pink.std(axis=(2, 3), keepdims=True)
    # Channels of photographs go together: most of each is common to all.
    mixed = 0.9 * pink[:, :1] + 0.436 * pink[:, 1:]
    return np.ascontiguousarray(mixed.transpose(0, 2, 3, 1), np.float32)


def draw_image(
    place: int, source: npt.NDArray[np.uint8], cast: int, fields: npt.NDArray[np.float32], *, seed: int
) -> npt.NDArray[np.uint8]:
    """A synthetic photograph, (height, width, 3), from an image of CIFAR-10."""
    generator = np.random.default_rng([seed, place])
    height, width = generator.integers(SIDES[0], SIDES[1] + 1, 2)
    top, left = generator.integers(0, 512 - np.array([height, width]) + 1)
    hue = 2 * np.pi * (cast / CASTS + np.array([0, 1, 2]) / 3)
    cast_of = (1 + 0.2 * np.cos(hue)).astype(np.float32)
    large = cv2.resize(
        source[:, :: generator.choice([-1, 1])] * cast_of, (int(width), int(height)), interpolation=cv2.INTER_CUBIC
    )
    field = fields[generator.integers(len(fields)), top : top + height, left : left + width]
    noisy = cv2.addWeighted(large, 1.0, field, NOISE, 0.0)
    return cv2.convertScaleAbs(np.maximum(noisy, 0))


def write_layout(folder: Path, *, train: int, validation: int, seed: int = 0) -> int:
    """``train/SYNSET/*.JPEG`` and ``val/SYNSET/*.JPEG``; returns how many files were missing.

    Raises:
        OSError: the disk has not enough room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    room = shutil.disk_usage(folder).free
    if room < 1.2 * (train + validation) * BYTES:
        raise OSError(
            f"{folder} has room for {room / 1e9:.1f} GB; {1.2 * (train + validation) * BYTES / 1e9:.1f} are needed"
        )
    published = load_dataset("cifar10")
    assert published.test is not None
    fields = noise_fields(np.random.default_rng([seed, 0]))
    written, began = 0, time.perf_counter()
    for part, count, source, first in (
        ("train", train, published.train, 0),
        ("val", validation, published.test, 10_000_000),
    ):
        by_class = [np.flatnonzero(source.labels == label) for label in range(len(published.classes))]
        for place in range(count):
            label = place % (len(by_class) * CASTS)  # the same number of images in each class
            same, cast = by_class[label // CASTS], label % CASTS
            which = same[(place // len(by_class) + cast) % len(same)]
            name = f"{synset(label)}_{place}" if part == "train" else f"ILSVRC2012_val_{place + 1:08}"
            file = folder / part / synset(label) / f"{name}.JPEG"
            if file.exists():
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            image = draw_image(first + place, source.images[which], cast, fields, seed=seed)
            _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            begun = file.with_suffix(".part")
            begun.write_bytes(encoded.tobytes())
            os.replace(begun, file)
            written += 1
            if written % 2000 == 0:
                print(f"{part}: {place + 1:,} of {count:,} after {time.perf_counter() - began:.0f} s", flush=True)
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=20_000, help="training images")
    parser.add_argument("--validation", type=int, default=1_000)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    written = write_layout(options.folder, train=options.images, validation=options.validation)
    files = list(options.folder.rglob("*.JPEG"))
    sizes = np.array([file.stat().st_size for file in files]) / 1000
    low, middle, high = np.percentile(sizes, [5, 50, 95])
    print(f"wrote {written:,} of {len(files):,} files; kB of a file: {middle:.0f}, 90 % within {low:.0f} to {high:.0f}")


if __name__ == "__main__":
    main()
