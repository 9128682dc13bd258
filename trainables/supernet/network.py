"""Base class of supernets: one module that contains every candidate of a space as a path."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor, nn


class Supernet(nn.Module):
    """A network that computes the activated candidate with weights shared by all candidates.

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
        """Output of a decision: ``compute`` of the option taken, or the sum over the mixed ones of w_k compute(k).

        The mixture is that of Liu et al. 2019, DARTS, equation 2.
        """
        if self.gates is None or self.mixed is None:
            return self.gated(decision, option, compute(option))
        weights = self.gates[decision]
        return reduce(torch.add, [compute(other) * weights[other] for other in self.mixed[decision]])

    def gated(self, decision: int, option: int, features: Tensor) -> Tensor:
        """Output of a decision: ``features`` of the option taken, or w_k features + sum over j != k of w_j.

        The weights are one-hot in value, so nothing changes but the gradients: every option gets one, though only one
        is computed (Dong & Yang 2019, GDAS, section 3.2).
        """
        if self.gates is None:
            return features
        weights = self.gates[decision]
        return features * weights[option] + (weights.sum() - weights[option])
