"""What a supernet is: one module that holds every candidate of a space as a path; and the supernets by space."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor, nn

from taurank.spaces import RestrictedSpace, SearchSpace, SpaceError


class Supernet(nn.Module):
    """A network that computes the candidate it was last told to, with weights that all candidates share.

    Attributes:
        gates: weights (options,) of the options of each of the space's decisions, while such are in use.
        mixed: options of each decision that are computed and added up by these weights; None where only the option
            taken is computed.
        takes_restricted: whether it can hold a restricted space; else the options of its space have fixed positions.
        can_mix: whether it can compute several options of a decision at once.
    """

    takes_restricted: ClassVar[bool] = False
    can_mix: ClassVar[bool] = False
    gates: Sequence[Tensor] | None
    mixed: Sequence[Sequence[int]] | None

    def __init__(self) -> None:
        super().__init__()
        self.gates = self.mixed = None

    @abstractmethod
    def activate(self, path: str) -> None:
        """Chooses the candidate, by its code, that ``forward`` computes from now on."""

    @abstractmethod
    def inherited(self, path: str) -> dict[str, Tensor]:
        """The candidate's share of the weights and buffers, under the keys of the candidate built alone.

        To be copied before they are changed: they may be the supernet's own.
        """

    @contextmanager
    def weighted(self, gates: Sequence[Tensor] | None, mixed: Sequence[Sequence[int]] | None = None) -> Iterator[None]:
        """Within the block options have these weights; with ``mixed`` several of a decision are computed."""
        device = next(self.parameters()).device
        self.gates, self.mixed = None if gates is None else [gate.to(device) for gate in gates], mixed
        try:
            yield
        finally:
            self.gates = self.mixed = None

    def decided(self, decision: int, option: int, compute: Callable[[int], Tensor]) -> Tensor:
        """What a decision puts out: ``compute`` of the option taken, or the sum over the mixed ones of w_k compute(k).

        The mixture is that of Liu et al. 2019, DARTS, equation 2.
        """
        if self.gates is None or self.mixed is None:
            return self.gated(decision, option, compute(option))
        weights = self.gates[decision]
        return reduce(torch.add, [compute(other) * weights[other] for other in self.mixed[decision]])

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


def can_mix(space: SearchSpace) -> bool:
    """Whether a space has a supernet that can compute several options of a decision at once."""
    return space.name in _SUPERNETS and _SUPERNETS[space.name].can_mix


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
