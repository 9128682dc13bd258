"""What architectures are scored by, and what a score costs."""

from __future__ import annotations

from dataclasses import dataclass

from taurank.trainables.proxies.description import describe_proxy

IMAGES = 64
"""Images in a batch where nothing else is asked for."""


def batch_size(values: int | None) -> int:
    """Images in a batch by default: `IMAGES`, or half as many as an image has numbers if that is less.

    As many Jacobians as they have entries correlate by necessity. On 8x8 digits the jacob_cov of two draws of 32 images
    orders NAS-Bench-201 cells alike with a tau of .35, of 64 images of .24.

    Args:
        values: Numbers in an image, channels * height * width; None where it is not known.
    """
    return IMAGES if values is None else min(IMAGES, max(values // 2, 2))


@dataclass(frozen=True)
class ProxyConfig:
    """What architectures are scored by.

    Attributes:
        names: Of the proxies.
        seeds: One for each initialisation.
    """

    names: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)


def score_cost(proxy: str, *, images: int, initialisations: int, train_images: int) -> float:
    """Epoch-equivalents of one score: passes(proxy) * images * initialisations / train_images.

    An epoch is one training step for each image; `Proxy.passes` says how many such steps a proxy takes on its batch
    when it is computed alone. Proxies computed together share a pass, so all of them cost at most this.

    Raises:
        ProxyError: There is no proxy of that name.
    """
    return describe_proxy(proxy).passes * images * initialisations / train_images
