from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from taurank.spaces import get_space
from taurank.spaces.once_for_all.space import OnceForAll
from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.once_for_all import OnceForAllSupernet
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.progressive import ProgressiveSampler

SHAPE = (1, 12, 12)
THREE = {"variant": "mini", "depths": [1, 2, 3], "kernels": [3, 5, 7], "expansions": [2, 3, 4], "resolutions": [10, 12]}
EVEN = (1.0, 1.0, 1.0, 1.0)


def make_paths(options: dict[str, Any] | None = None, codes: tuple[str, ...] = ()) -> Paths:
    space = get_space("once_for_all", **(THREE if options is None else options))
    every = tuple(architecture.code for architecture in space.sample(60, np.random.default_rng(0)))
    return Paths(space, codes or every)


def make_supernet(paths: Paths, seed: int = 0) -> OnceForAllSupernet:
    assert isinstance(paths.space, OnceForAll)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return OnceForAllSupernet(paths.space, input_shape=SHAPE, classes=10)


class Recorder(OnceForAllSupernet):
    """A supernet that notes how it is sorted."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths.space, input_shape=SHAPE, classes=10)
        self.sorted: list[int] = []

    def sort_channels(self, level: int) -> None:
        self.sorted.append(level)


def draw(sampler: ProgressiveSampler, supernet: Supernet, progress: float, steps: int = 40) -> list[tuple[str, ...]]:
    sampler.enter(supernet, progress)
    generator = np.random.default_rng(7)
    return [sampler.draw(generator, None, progress).paths for _ in range(steps)]  # type: ignore[arg-type]


def starts(sampler: ProgressiveSampler) -> list[float]:
    return [0.0, *(phase.end for phase in sampler.phases[:-1])]


def test_phases_and_their_lengths_are_those_of_the_source() -> None:
    phases = ProgressiveSampler(make_paths()).phases
    assert [(phase.name, phase.paths) for phase in phases] == [
        ("full", 1),
        ("kernel", 1),
        ("depth", 2),
        ("depth", 2),
        ("expansion", 4),
        ("expansion", 4),
    ]
    # Passes over the images times paths of a step: 180, 120, 25 * 2, 120 * 2, 25 * 4, 120 * 4, of 1,170.
    assert [phase.end for phase in phases] == pytest.approx(
        [180 / 1170, 300 / 1170, 350 / 1170, 590 / 1170, 690 / 1170, 1.0]
    )
    assert [tuple(phase.options.values()) for phase in phases] == [
        (1, 1, 1, 2),
        (3, 1, 1, 2),
        (3, 1, 2, 2),
        (3, 1, 3, 2),
        (3, 2, 3, 2),
        (3, 3, 3, 2),
    ]
    assert tuple(phases[0].options) == ("kernel", "expansion", "depth", "resolution")


def test_two_options_come_in_at_once_and_one_not_at_all() -> None:
    sampler = ProgressiveSampler(make_paths({"variant": "mini"}), shares=EVEN)
    assert [phase.name for phase in sampler.phases] == ["full", "kernel", "depth", "expansion"]
    assert [phase.end for phase in sampler.phases] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    fixed = ProgressiveSampler(make_paths({"variant": "mini", "kernels": [3]}), shares=EVEN)
    assert [phase.name for phase in fixed.phases] == ["full", "depth", "expansion"]
    assert fixed.phases[0].end == pytest.approx(1 / 3)


def test_what_is_drawn_becomes_more_phase_by_phase() -> None:
    paths = make_paths()
    sampler, supernet = ProgressiveSampler(paths), make_supernet(paths)
    seen: list[list[set[int]]] = []
    for start, phase in zip(starts(sampler), sampler.phases, strict=True):
        groups = draw(sampler, supernet, start)
        assert all(len(group) == phase.paths for group in groups)
        for group in groups:  # all paths of a step see the same images, so they share a resolution
            assert len({code.split("_")[0] for code in group}) == 1
        columns = zip(*(paths.choices(code) for group in groups for code in group), strict=True)
        seen.append([set(column) for column in columns])
    largest = [{options[-1]} for options in paths.allowed]
    assert seen[0][:-1] == largest[:-1]
    for before, after in pairwise(seen):
        assert all(one <= other for one, other in zip(before, after, strict=True))
        assert before != after
    assert [tuple(sorted(options)) for options in seen[-1]] == list(paths.allowed)


def test_only_options_of_the_candidates_are_drawn() -> None:
    codes = ("r12_k3e2-k5e3_k3e3", "r12_k3e3_k5e2-k5e2")
    paths = make_paths(codes=codes)
    sampler, supernet = ProgressiveSampler(paths), Recorder(paths)
    for start in starts(sampler):
        for group in draw(sampler, supernet, start, steps=20):
            assert all(
                set(paths.choices(code)[decision : decision + 1]) <= set(options)
                for code in group
                for decision, options in enumerate(paths.allowed)
                if decision < 2  # the first block is always kept
            )
            assert "e4" not in "".join(group)
            assert "k7" not in "".join(group)
    # Expansion 4 is never trained, so its channels stay behind those of expansion 3.
    assert supernet.sorted == [1]


def test_channels_are_sorted_when_an_expansion_comes_in() -> None:
    paths = make_paths()
    sampler, supernet = ProgressiveSampler(paths), Recorder(paths)
    noted = []
    for progress in np.linspace(0, 1, 40, endpoint=False):
        sampler.enter(supernet, float(progress))
        noted.append((sampler.phase, list(supernet.sorted)))
    assert [phase for phase, _ in noted] == sorted(phase for phase, _ in noted)
    assert dict(reversed(noted)) == {
        0: [], 1: [], 2: [], 3: [], 4: [0], 5: [0, 1],
    }  # fmt: skip


def test_phases_that_are_passed_over_are_made_up_for() -> None:
    paths = make_paths()
    sampler, supernet = ProgressiveSampler(paths), Recorder(paths)
    sampler.enter(supernet, 0.0)
    sampler.enter(supernet, 0.9)
    assert sampler.phase == 5
    assert supernet.sorted == [0]  # only the largest expansion has been trained
    assert sampler.teacher is not None


def test_the_teacher_is_the_largest_network_at_the_end_of_the_first_phase() -> None:
    paths = make_paths()
    sampler, supernet = ProgressiveSampler(paths), make_supernet(paths)
    (path,) = draw(sampler, supernet, 0.0, steps=1)[0]
    assert sampler.teacher is None
    assert sampler.draw(np.random.default_rng(0), None, 0.0).teacher == "none"  # type: ignore[arg-type]
    sampler.enter(supernet, sampler.phases[0].end)
    assert sampler.draw(np.random.default_rng(0), None, 0.2).teacher == "frozen"  # type: ignore[arg-type]
    teacher = sampler.teacher
    assert teacher is not None
    images = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0))
    supernet.activate(path.replace("r10", "r12"))
    with torch.no_grad():
        expected = supernet.eval()(images)
        for weight in supernet.parameters():
            weight.add_(1.0)
        supernet.activate("r10_k3e2_k3e2")
        sampler.enter(supernet, 0.9)
        assert sampler.teacher is teacher
        assert torch.equal(teacher.eval()(images), expected)
    assert not any(weight.requires_grad for weight in teacher.parameters())


def test_the_teacher_drops_nothing() -> None:
    paths = make_paths({"depths": [2], "kernels": [3, 5], "expansions": [3], "resolutions": [32], "width": 0.25})
    sampler = ProgressiveSampler(paths)
    supernet = make_supernet(paths)
    sampler.enter(supernet, 0.9)
    assert sampler.teacher is not None
    rates = [
        [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)]
        for network in (supernet, sampler.teacher)
    ]
    assert rates == [[0.1], [0.0]]


def test_a_restored_sampler_goes_on_alike() -> None:
    paths = make_paths()
    sampler, supernet = ProgressiveSampler(paths), make_supernet(paths)
    sampler.enter(supernet, 0.0)
    sampler.enter(supernet, 0.55)
    assert sampler.teacher is not None
    state = sampler.state_dict()
    again = ProgressiveSampler(paths)
    again.load_state_dict(state)
    assert again.state_dict()["teacher"].keys() == state["teacher"].keys()  # also before the next epoch
    other = Recorder(paths)  # weights that have moved on
    with torch.no_grad():
        for weight in supernet.parameters():
            weight.zero_()
    other.load_state_dict(supernet.state_dict())
    again.enter(other, 0.57)
    assert other.sorted == []  # that was done before
    assert again.phase == sampler.phase == 4
    assert again.teacher is not None
    images = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(again.teacher.eval()(images), sampler.teacher.eval()(images))


def test_a_sampler_without_a_teacher_is_restored_too() -> None:
    paths = make_paths()
    sampler = ProgressiveSampler(paths)
    state = sampler.state_dict()
    assert state == {"phase": 0, "teacher": None}
    sampler.load_state_dict(state)
    assert sampler.teacher is None


def test_other_spaces_are_refused() -> None:
    paths = Paths(get_space("mnist_blocks"), ("1,1", "2,2"))
    with pytest.raises(
        ValueError, match=r"^the sampler progressive needs the space once_for_all, not mnist_blocks; take "
    ):
        ProgressiveSampler(paths)


def test_it_says_when_weights_have_moved() -> None:
    paths = make_paths()
    sampler, supernet = ProgressiveSampler(paths), make_supernet(paths)
    moved = [sampler.enter(supernet, progress) for progress in (0.0, 0.2, 0.9, 0.95)]
    assert moved == [False, False, True, False]
    assert not sampler.can_be_split


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([1, 1, 1], r"^shares is \[1, 1, 1\]; it has to be a list of four: full, kernel, depth, expansion$"),
        ("full", r"^shares is 'full'; it has to be a list of four"),
        ([1, 0, 1, 1], r"^shares has the entry 0; it has to be a positive number$"),
        ([1, 1, 1, "x"], r"^shares has the entry 'x'; it has to be a positive number$"),
        ([1, 1, 1, float("inf")], r"^shares has the entry inf; "),
    ],
)
def test_wrong_shares_are_explained(shares: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProgressiveSampler(make_paths(), shares=shares)
