"""Progressive shrinking: first the largest network alone, then ever more of the smaller ones inside of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from taurank.spaces.once_for_all import Kind, OnceForAll
from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.once_for_all import OnceForAllSupernet
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.sampler import Group, Judge, PathSampler

# What becomes elastic, in this order, with the paths of a step and the source's passes over the images.
_ELASTIC: tuple[tuple[Kind, int, int], ...] = (("kernel", 1, 120), ("depth", 2, 145), ("expansion", 4, 145))
_FULL_PASSES = 180

WORK = (_FULL_PASSES, *(paths * passes for _, paths, passes in _ELASTIC))
"""Work of the source's phases full, kernel, depth, expansion: passes over the images times paths of a step."""

_SHORT, _LONG = 25, 120  # passes of the steps in which a further depth or expansion comes in: the first ones, the last


@dataclass(frozen=True)
class Phase:
    """A part of the training.

    Attributes:
        name: what has become elastic last; ``full`` at first.
        options: of each kind of decision, how many of its largest options are drawn from.
        paths: number of paths of a step.
        end: share of the training that is done when it ends.
    """

    name: str
    options: dict[Kind, int]
    paths: int
    end: float


class ProgressiveSampler(PathSampler):
    """Largest network; then any kernel; then smaller depths, one after the other; then smaller expansions likewise.

    What was drawn before is drawn later too. Every decision is drawn for itself among its largest options, a resolution
    once for all paths of a step, from the beginning. One path a step at first, two with depths, four with expansions.
    From the second phase on paths also learn from the ``teacher``: the largest network as it was at the end of the
    first. Before an expansion comes in, channels are sorted by importance, within the widths that are trained already.

    A phase begins with an epoch, so one that is shorter than an epoch may be left out: take twenty epochs or more. Only
    options that occur among the candidates are drawn. For the space once_for_all alone.

    Source: Cai et al., Once-for-All (ICLR 2020), section 3.3, and its code, github.com/mit-han-lab/once-for-all.

    Args:
        paths: the candidates.
        shares: work of the phases full, kernel, depth, expansion, relative to one another; the source's by default.

    Attributes:
        phases: all phases, in order; those with nothing to make elastic are left out.
        phase: position of the present one.

    Raises:
        ValueError: another space, or not four positive shares.
    """

    by_decision = True
    can_be_split = False

    def __init__(self, paths: Paths, *, shares: Sequence[float] = WORK) -> None:
        if not isinstance(paths.space, OnceForAll):
            name = paths.space.name
            raise ValueError(
                f"the sampler progressive needs the space once_for_all, not {name}; take sandwich or uniform"
            )
        super().__init__(paths)
        if isinstance(shares, str) or not isinstance(shares, Sequence) or len(shares) != len(WORK):
            raise ValueError(f"shares is {shares!r}; it has to be a list of four: full, kernel, depth, expansion")
        for share in shares:
            if not isinstance(share, (int, float)) or not 0 < share < math.inf:
                raise ValueError(f"shares has the entry {share!r}; it has to be a positive number")
        self._kinds = paths.space.kinds
        self.phases = tuple(self._plan(shares))
        self.phase = 0
        self._frozen: dict[str, Tensor] | None = None

    def _plan(self, shares: Sequence[float]) -> Iterator[Phase]:
        counts: dict[Kind, int] = dict.fromkeys(self._kinds, 0)
        for kind, allowed in zip(self._kinds, self.paths.allowed, strict=True):
            counts[kind] = max(counts[kind], len(allowed))
        options: dict[Kind, int] = dict.fromkeys(counts, 1) | {"resolution": counts["resolution"]}
        planned: list[tuple[str, dict[Kind, int], int, float]] = [("full", options, 1, shares[0])]
        for (kind, paths, _), share in zip(_ELASTIC, shares[1:], strict=True):
            # All kernels come in at once, depths and expansions one after the other.
            steps = [counts[kind]] if kind == "kernel" else list(range(2, counts[kind] + 1))
            if counts[kind] < 2:
                continue
            lengths = [_SHORT] * (len(steps) - 1) + [_LONG]
            for in_use, length in zip(steps, lengths, strict=True):
                options = options | {kind: in_use}
                planned.append((kind, options, paths, share * length / sum(lengths)))
        ends = np.cumsum([share for *_, share in planned])
        for (name, in_use_by_kind, paths, _), end in zip(planned, ends, strict=True):
            yield Phase(name, in_use_by_kind, paths, float(end / ends[-1]))

    def enter(self, supernet: Supernet, progress: float) -> bool:
        """Enters the phase of the epoch: freezes the teacher after the first, sorts channels before new expansions."""
        assert isinstance(supernet, OnceForAllSupernet)
        last = len(self.phases) - 1
        present = next((place for place, phase in enumerate(self.phases) if progress < phase.end), last)
        if present > 0 and self.teacher is None:
            self.teacher = self._freeze(supernet)
        before, now = self.phases[self.phase].options["expansion"], self.phases[present].options["expansion"]
        sorts = now > before
        if sorts:
            supernet.sort_channels(self._level(before))
        self.phase = present
        return sorts

    def _level(self, in_use: int) -> int:
        """Number of expansions below the largest that are trained already, or lie above one that is."""
        decisions = zip(self._kinds, self.paths.options, self.paths.allowed, strict=True)
        return max(options - 1 - allowed[-in_use:][0] for kind, options, allowed in decisions if kind == "expansion")

    def _freeze(self, supernet: OnceForAllSupernet) -> nn.Module:
        teacher = copy.deepcopy(supernet).requires_grad_(requires_grad=False)
        if self._frozen is not None:
            teacher.load_state_dict(self._frozen)
        for module in teacher.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # its batch norms have to be in training mode, but its predictions should be its best
        teacher.activate(self.paths.code([options[-1] for options in self.paths.allowed]))
        return teacher

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """Paths of the present phase."""
        phase = self.phases[self.phase]
        resolution = int(generator.choice(self.paths.allowed[-1]))
        drawn = []
        for _ in range(phase.paths):
            choices = [
                int(generator.choice(allowed[-phase.options[kind] :]))
                for kind, allowed in zip(self._kinds[:-1], self.paths.allowed[:-1], strict=True)
            ]
            drawn.append(self.paths.code([*choices, resolution]))
        return Group(tuple(drawn), teacher="none" if self.teacher is None else "frozen")

    def state_dict(self) -> dict[str, Any]:
        """The phase, and the teacher's weights if there is one."""
        teacher = self._frozen
        if self.teacher is not None:
            teacher = {key: value.detach().cpu().clone() for key, value in self.teacher.state_dict().items()}
        return {"phase": self.phase, "teacher": teacher}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The phase as it was; the teacher is made again when the next epoch is entered."""
        self.phase = int(state["phase"])
        self._frozen = state["teacher"]
        self.teacher = None
