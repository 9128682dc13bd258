"""Supernets by space."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from taurank.spaces import RestrictedSpace, SearchSpace, SpaceError
from taurank.spaces.named_classes import NamedClasses

if TYPE_CHECKING:
    from taurank.trainables.supernet.network import Supernet

_SUPERNETS: NamedClasses[Supernet] = NamedClasses(
    "supernet",
    SpaceError,
    {
        "fbnet": "taurank.trainables.supernet.layerwise:LayerwiseSupernet",
        "mnist_blocks": "taurank.trainables.supernet.mnist_blocks:MnistBlocksSupernet",
        "nasbench201": "taurank.trainables.supernet.nasbench201:NasBench201Supernet",
        "nasbench_macro": "taurank.trainables.supernet.layerwise:LayerwiseSupernet",
        "once_for_all": "taurank.trainables.supernet.once_for_all:OnceForAllSupernet",
        "once_for_all_resnet50": "taurank.trainables.supernet.once_for_all_resnet50:OnceForAllResNet50Supernet",
        "proxyless": "taurank.trainables.supernet.layerwise:LayerwiseSupernet",
    },
)


def register_supernet(space: str) -> Callable[[type[Supernet]], type[Supernet]]:
    """Class decorator: the supernet of a space, made with ``(space, input_shape=..., classes=...)``.

    Raises:
        SpaceError: the space has a supernet already.
    """
    return lambda supernet: _SUPERNETS.register(supernet, space)


def list_supernets() -> list[str]:
    """Spaces that have a supernet."""
    return _SUPERNETS.names()


def can_mix(space: SearchSpace) -> bool:
    """Whether a space has a supernet that can compute several options of a decision at once."""
    return space.name in _SUPERNETS and _SUPERNETS.find(space.name).can_mix


def make_supernet(space: SearchSpace, *, input_shape: tuple[int, int, int], classes: int) -> Supernet:
    """The supernet of a space for images of ``input_shape`` (channels, height, width).

    Raises:
        SpaceError: the space has no supernet, or none that can leave options out.
    """
    if space.name not in _SUPERNETS:
        raise SpaceError(f"space {space.name!r} has no supernet; spaces that have one: {', '.join(list_supernets())}")
    supernet = _SUPERNETS.find(space.name)
    if isinstance(space, RestrictedSpace) and not supernet.takes_restricted:
        raise SpaceError(
            f"space: the supernet of {space.name} holds all options whatever is allowed; make that of the unrestricted "
            "space, and restrict its paths to codes of the restricted one"
        )
    build: Callable[..., Supernet] = supernet
    return build(space, input_shape=input_shape, classes=classes)
