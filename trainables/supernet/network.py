"""What a supernet is: one module that holds every candidate of a space as a path; and the supernets by space."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor, nn

from spaces import RestrictedSpace, SearchSpace, SpaceError


class Supernet(nn.Module):
    """A network that computes the candidate it was last told to, with weights that all candidates share.

    Attributes:
        gates: weights (options,) of the options of each of the space's decisions while an architecture step of a
            Gumbel sampler is computed; None otherwise.
        takes_restricted: whether it can hold a restricted space; else the options of its space have fixed positions.
    """

    takes_restricted: ClassVar[bool] = False
    gates: Sequence[Tensor] | None

    def __init__(self) -> None:
        super().__init__()
        self.gates = None

    @abstractmethod
    def activate(self, path: str) -> None:
        """Chooses the candidate, by its code, that ``forward`` computes from now on."""

    @abstractmethod
    def inherited(self, path: str) -> dict[str, Tensor]:
        """The candidate's share of the weights and buffers, under the keys of the candidate built alone.

        To be copied before they are changed: they may be the supernet's own.
        """

    def gated(self, decision: int, option: int, features: Tensor) -> Tensor:
        """What a decision puts out: ``features`` of the option taken, or w_k features + sum over j != k of w_j.

        The weights are one-hot in value, so nothing changes but the gradients: every option gets one, though only one
        is computed (Dong & Yang 2019, GDAS, section 3.2).
        """
        if self.gates is None:
            return features
        weights = self.gates[decision]
        return features * weights[option] + (weights.sum() - weights[option])


_SUPERNETS: dict[str, type[Supernet]] = {}


def register_supernet(space: str) -> Callable[[type[Supernet]], type[Supernet]]:
    """Class decorator: the supernet of a space, made with ``(space, input_shape=..., classes=...)``."""

    def register(supernet: type[Supernet]) -> type[Supernet]:
        _SUPERNETS[space] = supernet
        return supernet

    return register


def list_supernets() -> list[str]:
    """Spaces that have a supernet."""
    return sorted(_SUPERNETS)


def make_supernet(space: SearchSpace, *, input_shape: tuple[int, int, int], classes: int) -> Supernet:
    """The supernet of a space for images of ``input_shape`` (channels, height, width).

    Raises:
        SpaceError: the space has no supernet, or none that can leave options out.
    """
    if space.name not in _SUPERNETS:
        raise SpaceError(f"space {space.name!r} has no supernet; spaces that have one: {', '.join(list_supernets())}")
    supernet = _SUPERNETS[space.name]
    if isinstance(space, RestrictedSpace) and not supernet.takes_restricted:
        raise SpaceError(
            f"space: the supernet of {space.name} holds all options whatever is allowed; make that of the unrestricted "
            "space, and restrict its paths to codes of the restricted one"
        )
    build: Callable[..., Supernet] = supernet
    return build(space, input_shape=input_shape, classes=classes)
