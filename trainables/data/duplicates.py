"""Warnings about duplicate images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from taurank.trainables.data.decoded_cache import Digests
from taurank.trainables.data.part_names import Part


def duplicate_warnings(source: str, digests: Mapping[Part, Digests]) -> Iterator[str]:
    """Yields warnings about images that are equal pixel by pixel.

    Args:
        source: where the images are from.
        digests: of the images, by part; the parts are `train`, and perhaps `validation` and `test`.
    """
    train = digests["train"]
    everything = np.concatenate(list(digests.values()))
    if len(everything) > 1 and len(np.unique(everything)) == 1:
        yield f"{source}: all {len(everything)} images are alike, pixel by pixel: classes cannot be distinguished"
        return
    repeated = len(train) - len(np.unique(train))
    if repeated:
        yield (
            f"{source}: {_images(repeated, 'training')} another one of them, pixel by pixel; what is cut from them"
            " for validation or test may be trained on, too"
        )
    for part, held_out in digests.items():
        shared = int(np.isin(held_out, train).sum())
        if part != "train" and shared:
            yield (
                f"{source}: {_images(shared, part)} an image that is trained on, pixel by pixel ({shared} of"
                f" {len(held_out)}): remove them from one of the two"
            )
    if len(digests.get("validation", ())) and len(digests.get("test", ())):
        shared = int(np.isin(digests["test"], digests["validation"]).sum())
        if shared:
            yield f"{source}: {_images(shared, 'test')} a validation image, pixel by pixel"


def _images(count: int, part: str) -> str:
    return f"1 {part} image repeats" if count == 1 else f"{count} {part} images repeat"
