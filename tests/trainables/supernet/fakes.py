"""Candidates, outcomes and judges that need no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from taurank.spaces import get_space
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers import Group, Outcome, PathSampler

IMAGES = 100


class FakeJudge:
    """Judges paths by a function, without noise; remembers what it was asked."""

    def __init__(
        self,
        accuracy: Callable[[str], float] = lambda path: 0.5,
        *,
        loss: Callable[[str], float] = lambda path: 1.0,
        gate_loss: Callable[[Sequence[Tensor]], Tensor] = lambda gates: torch.stack([g.sum() for g in gates]).sum(),
    ) -> None:
        self.accuracy, self.loss, self.gate_loss = accuracy, loss, gate_loss
        self.looked: list[tuple[str, ...]] = []
        self.backpropagated: list[str] = []

    def look(self, paths: Sequence[str]) -> list[Outcome]:
        self.looked.append(tuple(paths))
        return [outcome(path, self.accuracy(path), self.loss(path)) for path in paths]

    def backpropagate(self, path: str, gates: Sequence[Tensor]) -> Outcome:
        self.backpropagated.append(path)
        loss = self.gate_loss(gates)
        loss.backward()  # type: ignore[no-untyped-call]
        return Outcome(path, loss.detach(), torch.tensor(0), IMAGES)


def outcome(path: str, accuracy: float = 0.5, loss: float = 1.0) -> Outcome:
    """What a batch of 100 images said of a path."""
    return Outcome(path, torch.tensor(loss), torch.tensor(round(IMAGES * accuracy)), IMAGES)


@cache
def nine() -> Paths:
    """All of `mnist_blocks`: 1,1 to 3,3."""
    return Paths(get_space("mnist_blocks"), tuple(one.code for one in get_space("mnist_blocks").enumerate()))


@cache
def cells(count: int, seed: int = 0) -> Paths:
    """Some cells of `nasbench201`, dead edges and all."""
    space = get_space("nasbench201", width=4, cells_per_stage=1)
    return Paths(space, tuple(one.code for one in space.sample(count, np.random.default_rng(seed), distinct="code")))


class NoDecisions:
    """A space whose architectures are names and nothing else."""

    name = "names"
    decisions = ()


@cache
def names(count: int) -> Paths:
    """Candidates n0, n1, ... of a space without decisions."""
    return Paths(NoDecisions(), tuple(f"n{index}" for index in range(count)))  # type: ignore[arg-type]


def step(
    sampler: PathSampler, generator: np.random.Generator, judge: FakeJudge, progress: float, *, noise: float = 0.0
) -> Group:
    """One training step: draws, and tells the sampler what the judge's functions say of each path."""
    group = sampler.draw(generator, judge, progress)
    outcomes = []
    for path in group.paths:
        accuracy = np.clip(judge.accuracy(path) + noise * generator.standard_normal(), 0.0, 1.0)
        outcomes.append(outcome(path, float(accuracy), judge.loss(path)))
    sampler.learn(outcomes, judge)
    return group


def play(sampler: PathSampler, rounds: int, judge: FakeJudge, seed: int = 0) -> list[Group]:
    """A whole training of so many steps."""
    generator = np.random.default_rng(seed)
    return [step(sampler, generator, judge, index / rounds) for index in range(rounds)]
