"""Few-shot supernets: from some point on every option of one decision has weights of its own."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.paths import Paths


class SplitSupernet(Supernet):
    """Copies of a supernet, one for each option of a decision; a path is computed by the copy of its option.

    Fewer paths share each weight, so inherited accuracies order candidates better, at as many times the memory (Zhao et
    al. 2021, Few-shot Neural Architecture Search, section 3). A step trains one copy, so each gets its share of them.

    Args:
        supernet: what every copy starts from.
        paths: the candidates.
        decision: position of the decision among the space's; copies are made of its options that occur.
    """

    def __init__(self, supernet: Supernet, paths: Paths, decision: int) -> None:
        super().__init__()
        self._paths, self.decision = paths, decision
        self._options = paths.allowed[decision]
        self.parts = nn.ModuleList(copy.deepcopy(supernet) for _ in self._options)
        self.activate(paths.codes[0])

    def part(self, path: str) -> Supernet:
        """The copy that computes a path."""
        part = self.parts[self._options.index(self._paths.choices(path)[self.decision])]
        assert isinstance(part, Supernet)
        return part

    def activate(self, path: str) -> None:
        """Chooses the copy, and the candidate in it."""
        self._active = self._options.index(self._paths.choices(path)[self.decision])
        self.part(path).activate(path)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of the chosen candidate."""
        part = self.parts[self._active]
        assert isinstance(part, Supernet)
        part.gates = self.gates
        logits: Tensor = part(images)
        return logits

    def inherited(self, path: str) -> dict[str, Tensor]:
        """The candidate's share of its copy."""
        return self.part(path).inherited(path)
