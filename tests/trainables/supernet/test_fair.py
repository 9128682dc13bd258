"""Groups of paths: strict fairness, and the sandwich rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from taurank.spaces import get_space
from taurank.trainables.supernet import make_supernet
from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers import FairSampler, SandwichSampler
from taurank.trainables.supernet.samplers.weights_used import count_weights
from tests.trainables.supernet.fakes import FakeJudge, cells, nine, play


def everything() -> Paths:
    """Cells that between them have all operations on all edges."""
    paths = cells(300)
    assert paths.allowed == ((0, 1, 2, 3, 4),) * 6
    return paths


def test_every_option_is_used_once_in_every_step() -> None:
    paths = everything()
    for group in play(FairSampler(paths), 200, FakeJudge()):
        choices = np.array([paths.choices(path) for path in group.paths])
        assert (np.sort(choices, axis=0) == np.arange(5)[:, None]).all()
        assert group.teacher == "none"


def test_decisions_with_fewer_options_differ_by_one_use_at_most_and_by_none_in_the_long_run() -> None:
    paths = Paths(get_space("mnist_blocks"), ("1,1", "2,3", "3,1"))  # three options, and two
    counts = np.zeros(2)
    for group in play(FairSampler(paths), 4000, FakeJudge()):
        second = [path.split(",")[1] for path in group.paths]
        used = np.array([second.count("1"), second.count("3")])
        assert sorted(used) == [1, 2]
        counts += used
    assert stats.chisquare(counts).pvalue > 0.001


def test_permutations_are_new_in_every_step_and_independent_between_decisions() -> None:
    paths = everything()
    first = np.array([paths.choices(group.paths[0]) for group in play(FairSampler(paths), 5000, FakeJudge())])
    between_decisions = np.histogram2d(first[:, 0], first[:, 1], bins=5)[0]
    assert stats.chisquare(between_decisions.ravel()).pvalue > 0.001
    between_steps = np.histogram2d(first[:-1:2, 0], first[1::2, 0], bins=5)[0]
    assert stats.chisquare(between_steps.ravel()).pvalue > 0.001


def supernet(paths: Paths) -> Supernet:
    return make_supernet(paths.space, input_shape=(1, 8, 8), classes=10)


def test_the_sandwich_is_the_largest_the_smallest_and_two_others() -> None:
    sampler = SandwichSampler(nine())
    sampler.enter(supernet(nine()), 0.0)
    groups = play(sampler, 2000, FakeJudge())
    assert {group.paths[:2] for group in groups} == {("3,3", "1,1")}
    assert {group.teacher for group in groups} == {"first"}
    others = [path for group in groups for path in group.paths[2:]]
    assert len(others) == 4000
    assert {"3,3", "1,1"}.isdisjoint(others)
    counts = [others.count(code) for code in nine().codes if code not in ("1,1", "3,3")]
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize(
    ("codes", "drawn"),
    [(("2,1",), ("2,1",)), (("1,2", "3,1"), ("1,2", "3,1")), (("1,2", "3,1", "3,3"), ("3,3", "3,1", "1,2"))],
)
def test_a_sandwich_of_few_candidates_has_each_once(codes: tuple[str, ...], drawn: tuple[str, ...]) -> None:
    # 1,2 has more weights than 3,1: blocks of the second stage are four times as large.
    paths = Paths(get_space("mnist_blocks"), codes)
    sampler = SandwichSampler(paths)
    sampler.enter(supernet(paths), 0.0)
    assert {group.paths for group in play(sampler, 20, FakeJudge())} == {drawn}


def test_of_equal_sizes_the_first_counts() -> None:
    space = get_space("nasbench201", width=4, cells_per_stage=1)
    codes = tuple(space.parse(code).code for code in ("s-nn-3nn", "3-nn-snn", "s-nn-1nn", "1-nn-snn", "s-nn-snn"))
    paths = Paths(space, (*codes, space.parse("p-nn-snn").code))
    sampler = SandwichSampler(paths, random=0)
    sampler.enter(supernet(paths), 0.0)
    assert play(sampler, 1, FakeJudge())[0].paths == (codes[0], codes[4])


def test_sizes_are_asked_for_before_the_first_step() -> None:
    with pytest.raises(RuntimeError, match="draw before enter"):
        play(SandwichSampler(nine()), 1, FakeJudge())


def test_weights_counted_by_decision_are_those_counted_one_by_one() -> None:
    paths = cells(200)
    network = supernet(paths)
    alone = [sum(tensor.numel() for tensor in network.inherited(code).values()) for code in paths.codes]
    assert count_weights(network, paths).tolist() == alone


def test_where_options_do_not_add_up_every_candidate_is_counted() -> None:
    paths = cells(200)

    class Product(Supernet):
        """The number of weights is a product over two decisions."""

        asked = 0

        def inherited(self, path: str) -> dict[str, Tensor]:
            self.asked += 1
            first, second, *_ = paths.choices(path)
            return {"weight": torch.empty((first + 1) * (second + 1), device="meta")}

        def activate(self, path: str) -> None:
            raise NotImplementedError

    sizes = count_weights(network := Product(), paths)
    assert sizes.tolist() == [(first + 1) * (second + 1) for first, second, *_ in map(paths.choices, paths.codes)]
    assert network.asked > len(paths)
