"""What holds for every registered sampler, and the registry."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from taurank.spaces import SpaceError
from taurank.trainables.supernet import make_supernet
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers import PathSampler, UniformSampler, list_samplers, make_sampler
from tests.trainables.supernet.fakes import FakeJudge, cells, names, nine, play, step

OPTIONS: dict[str, dict[str, Any]] = {"epsilon-greedy": {"random_rounds": 10}}
# progressive is for one space, and has tests of its own
ANYWHERE = [name for name in list_samplers() if name != "progressive"]
OF_DECISIONS = ("fair", "gumbel", "mixture", "multi-agent")
MADE = {name: {} for name in ANYWHERE} | OPTIONS
VARIANTS = [*MADE.items(), ("multi-agent", {"feedback": "credit"})]

BY_HASH = FakeJudge(
    accuracy=lambda path: sum(map(ord, path)) % 97 / 97,
    loss=lambda path: sum(map(ord, path)) % 89 / 89,
    gate_loss=lambda gates: torch.stack([(g * torch.arange(len(g))).sum() for g in gates]).sum(),
)


def begin(name: str, paths: Paths, **options: Any) -> PathSampler:
    sampler = make_sampler(name, paths, **options)
    if paths.space.name != "names":
        with torch.random.fork_rng():
            torch.manual_seed(0)
            sampler.enter(make_supernet(paths.space, input_shape=(1, 8, 8), classes=10), 0.0)
    return sampler


@pytest.mark.parametrize("make_paths", [nine, lambda: cells(40)], ids=["nine", "cells"])
@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=lambda value: str(value))
def test_only_paths_of_the_candidates_options_are_drawn_and_none_twice(
    name: str, options: dict[str, Any], make_paths: Any
) -> None:
    paths = make_paths()
    sampler = begin(name, paths, **options)
    for group in play(sampler, 120, BY_HASH):
        assert len(set(group.paths)) == len(group.paths) >= 1
        for path in group.paths:
            if not sampler.by_decision:
                assert path in paths.codes
            taken = paths.choices(path)
            assert all(option in allowed for option, allowed in zip(taken, paths.allowed, strict=True))


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=lambda value: str(value))
def test_options_that_no_candidate_has_are_never_drawn(name: str, options: dict[str, Any]) -> None:
    space = nine().space
    sampler = begin(name, Paths(space, ("1,1", "3,1", "1,2", "3,2")), **options)
    groups = play(sampler, 150, BY_HASH)
    assert {path for group in groups for path in group.paths} <= {"1,1", "3,1", "1,2", "3,2"}


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=lambda value: str(value))
def test_a_single_candidate_is_trained_in_every_step(name: str, options: dict[str, Any]) -> None:
    (code,) = cells(1).codes
    sampler = begin(name, cells(1), **options)
    assert {group.paths for group in play(sampler, 30, BY_HASH)} == {(code,)}


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=lambda value: str(value))
def test_a_saved_sampler_goes_on_with_the_same_draws(name: str, options: dict[str, Any]) -> None:
    paths = cells(30)
    sampler = begin(name, paths, **options)
    generator = np.random.default_rng(0)
    for index in range(60):
        step(sampler, generator, BY_HASH, index / 100)
    file = io.BytesIO()
    torch.save(sampler.state_dict(), file)
    file.seek(0)
    restored = make_sampler(name, paths, **options)
    restored.load_state_dict(torch.load(file, weights_only=True))

    def go_on(one: PathSampler) -> list[Any]:
        generator = np.random.default_rng(1)
        groups = [step(one, generator, BY_HASH, index / 100) for index in range(60, 100)]
        scores = one.scores(paths.codes)
        return [groups, None if scores is None else scores.tolist()]

    saved = sampler.state_dict()
    expected = go_on(sampler)
    assert go_on(restored) == expected
    again = make_sampler(name, paths, **options)
    again.load_state_dict(saved)  # what was saved is not changed by going on
    assert go_on(again) == expected


@pytest.mark.parametrize(
    ("name", "options"),
    [variant for variant in VARIANTS if variant[0] != "mixture"],  # which draws nothing
    ids=lambda value: str(value),
)
def test_draws_follow_the_generator(name: str, options: dict[str, Any]) -> None:
    first, second, third = (play(begin(name, cells(30), **options), 40, BY_HASH, seed) for seed in (1, 1, 2))
    assert first == second != third


@pytest.mark.parametrize("name", [name for name in ANYWHERE if name not in OF_DECISIONS])
def test_spaces_without_decisions_are_sampled(name: str) -> None:
    sampler = make_sampler(name, names(12), **MADE[name])
    if name == "sandwich":
        sampler.load_state_dict({"ends": [3, 4]})  # it would ask the supernet
    drawn = {path for group in play(sampler, 300, BY_HASH) for path in group.paths}
    assert drawn <= set(names(12).codes)
    assert len(drawn) == (12 if name != "greedy" else 9)  # of six tried three are trained, so the three worst never are


@pytest.mark.parametrize("name", OF_DECISIONS)
def test_a_sampler_of_decisions_refuses_a_space_without(name: str) -> None:
    with pytest.raises(ValueError, match="names has no fixed decisions; take uniform"):
        make_sampler(name, names(3))


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=lambda value: str(value))
def test_what_is_said_of_options_adds_up_to_what_is_said_of_paths(name: str, options: dict[str, Any]) -> None:
    paths = cells(12)  # so few that some options of some edges do not occur
    sampler = begin(name, paths, **options)
    play(sampler, 60, BY_HASH)
    table = sampler.option_scores()
    if name not in ("gumbel", "mixture", "multi-agent"):
        assert table is None
        return
    assert table is not None
    for decision, allowed in enumerate(paths.allowed):
        assert np.flatnonzero(np.isfinite(table[decision])).tolist() == list(allowed)
    sums = [sum(table[place, taken] for place, taken in enumerate(paths.choices(code))) for code in paths.codes]
    assert sums == pytest.approx(sampler.scores(paths.codes))


def test_uniform_draws_every_candidate_equally_often_and_independently() -> None:
    drawn = [nine().codes.index(group.paths[0]) for group in play(UniformSampler(nine()), 9000, BY_HASH)]
    assert stats.chisquare(np.bincount(drawn, minlength=9)).pvalue > 0.001
    pairs = np.histogram2d(drawn[:-1:2], drawn[1::2], bins=9)[0]
    assert stats.chisquare(pairs.ravel()).pvalue > 0.001


@pytest.mark.parametrize(
    ("name", "option", "value", "allowed"),
    [
        ("epsilon-greedy", "epsilon", 1.1, r"in \[0, 1\]"),
        ("epsilon-greedy", "epsilon", math.nan, r"in \[0, 1\]"),
        ("epsilon-greedy", "random_rounds", -1, "a whole number of at least 0"),
        ("sandwich", "random", 1.5, "a whole number of at least 0"),
        ("ucb", "discount", 0, r"in \(0, 1\]"),
        ("ucb", "exploration", -1.0, "a number of at least 0"),
        ("ucb", "exploration", math.inf, "a number of at least 0"),
        ("thompson", "discount", "often", r"in \(0, 1\]"),
        ("greedy", "sampled", 0, "a whole number of at least 1"),
        ("greedy", "keep", 11, "at most sampled, which is 10"),
        ("greedy", "pool", True, "a whole number of at least 1"),
        ("gumbel", "learning_rate", 0.0, "a number above 0"),
        ("gumbel", "seed", -1, "a whole number of at least 0"),
        ("multi-agent", "feedback", "praise", "one of least-squares, credit"),
        ("multi-agent", "gamma", 0.0, r"in \(0, 1\]"),
        ("multi-agent", "uniform_until", 2, r"in \[0, 1\]"),
        ("shrinking", "keep", 1.0, r"in \(0, 1\)"),
        ("shrinking", "at", 0.5, r"a list of shares, such as \[0.5, 0.75\]"),
        ("shrinking", "at", [0.5, 1.5], r"in \(0, 1\)"),
    ],
)
def test_a_bad_option_is_refused_in_one_line(name: str, option: str, value: Any, allowed: str) -> None:
    with pytest.raises(ValueError, match=rf"^{option} is .*it has to be {allowed}$"):
        make_sampler(name, nine(), **{option: value})


def test_shares_have_to_ascend() -> None:
    with pytest.raises(ValueError, match=r"^at is \[0.7, 0.5\]; its shares have to ascend$"):
        make_sampler("shrinking", nine(), at=[0.7, 0.5])


def test_unknown_names_come_with_a_hint() -> None:
    with pytest.raises(ValueError, match="unknown sampler 'sandwhich'; did you mean 'sandwich'"):
        make_sampler("sandwhich", nine())
    with pytest.raises(ValueError, match="unknown option 'discont' of sampler 'ucb'; did you mean 'discount'"):
        make_sampler("ucb", nine(), discont=0.9)
    with pytest.raises(ValueError, match="unknown option 'epsilon' of sampler 'uniform'; allowed: none"):
        make_sampler("uniform", nine(), epsilon=0.1)


def test_a_space_refuses_codes_of_another() -> None:
    with pytest.raises(SpaceError):
        Paths(nine().space, cells(1).codes)
