"""What every searcher keeps, whatever it proposes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import optuna
import pytest
import torch

from taurank.orchestrator.search import Observation, Searcher, SearchError, list_searchers, make_searcher
from taurank.orchestrator.search.drawing import listed, mutant
from taurank.orchestrator.search.nao import Embedding
from taurank.spaces import Architecture, OwnCandidates, RestrictedSpace, SearchSpace, get_space
from taurank.trainables.proxies.pruning import Active

CELLS = get_space("nasbench201")
SPACE = RestrictedSpace(CELLS, [("skip_connect", "nor_conv_1x1", "nor_conv_3x3")] * 6)
"""Small enough that models are quick; but pnas, which grows cells, searches all of them."""
SMALL: dict[str, dict[str, Any]] = {
    "evolution": {"population": 6, "sample": 3},
    "tpe": {"initial": 5},
    "nsga2": {"population": 5},
    "pnas": {"beam": 6, "members": 2, "regressor": "gaussian-process"},
    "predictor": {"per_round": 6},
    "npenas": {"initial": 6, "candidates": 20, "per_generation": 4},
    "nao": {"initial": 6, "parents": 10, "per_generation": 6, "epochs": 60, "refit_epochs": 10},
    "posterior": {"initial": 6},
    "ofa": {"initial": 6, "per_fit": 15, "generations": 2, "population": 10},
    "te_nas": {"repeats": 1},
    "hurricane": {"initial": 5, "first": 8, "population": 4, "sample": 2},
}
"""Options with which a searcher comes to its point early."""
INSIDE = ("gdas", "manas", "darts")
"""Told scores of options, and nothing else."""


def pretend(active: Active, seed: int) -> tuple[float, float]:
    """Another figure for each set of operations and seed, as `te_nas` wants them."""
    generator = np.random.default_rng([seed, crc32(repr(active).encode())])
    return float(1 + generator.random()), float(10 + generator.random())


def make(name: str, space: SearchSpace | None = None, seed: int = 0, **settings: Any) -> Searcher:
    if space is None:
        space = CELLS if name == "pnas" else SPACE
    options = dict(SMALL.get(name, {}))
    own = ("parents", "candidates", "epochs", "refit_epochs")
    options |= {option: settings.pop(option) for option in own if option in settings}
    if name == "te_nas":
        options["measure"] = pretend
    if name in INSIDE:
        generator = np.random.default_rng(crc32(name.encode()))
        options["scores"] = [generator.normal(size=len(own)).tolist() for own in space.decisions]
    return make_searcher(name, space, seed=seed, **settings, **options)


def accuracy(architecture: Architecture) -> float:
    """Additive in the decisions, in (0, 1)."""
    taken = CELLS.choices(architecture)
    return float(
        1 / (1 + np.exp(-np.dot([0.3, 0.5, 0.2, 0.4, 0.1, 0.6], [(0, 0.2, 0.7, 1, 0.4)[one] for one in taken])))
    )


def observed(architectures: Sequence[Architecture]) -> list[Observation]:
    return [Observation(one, {"accuracy": accuracy(one)}, cost=1.0) for one in architectures]


def run(searcher: Searcher, rounds: int, batch: int) -> list[Architecture]:
    proposed: list[Architecture] = []
    for _ in range(rounds):
        asked = searcher.ask(batch)
        proposed += asked
        searcher.tell(observed(asked))
    return proposed


every_searcher = pytest.mark.parametrize("name", list_searchers())


@every_searcher
def test_proposals_are_canonical_live_and_never_come_twice(name: str) -> None:
    searcher = make(name)
    proposed = run(searcher, rounds=5, batch=6)
    assert len(proposed) == len(set(proposed)) >= 5
    assert all(searcher.space.canonical(one) == one and searcher.space.is_live(one) for one in proposed)


@every_searcher
def test_the_same_seed_proposes_the_same_and_another_seed_something_else(name: str) -> None:
    first, again = run(make(name), 3, 6), run(make(name), 3, 6)
    assert first == again
    if name != "pnas" and name not in INSIDE:  # all of its first level come first, whatever the seed; their scores do
        assert first != run(make(name, seed=1), 3, 6)


@every_searcher
def test_loaded_from_a_log_with_open_asks_it_goes_on_as_if_it_had_never_stopped(name: str) -> None:
    live = make(name)
    waiting: list[Architecture] = []
    for turn in range(8):
        waiting += live.ask(4)
        # Workers end in another order than they began, and some are still at it.
        done, waiting = waiting[::-1][: 3 + turn % 2], waiting[::-1][3 + turn % 2 :][::-1]
        live.tell(observed(done))
    loaded = make(name)
    loaded.load(live.observations, live.open)
    assert loaded.open == live.open
    assert loaded.ask(5) == live.ask(5)
    assert loaded.ended == live.ended


@every_searcher
def test_one_by_one_it_proposes_what_it_proposes_at_once(name: str) -> None:
    together, single = make(name), make(name)
    for searcher in (together, single):
        run(searcher, 3, 5)
    assert together.ask(4) == [one for _ in range(4) for one in single.ask()]


@every_searcher
def test_open_proposals_are_not_proposed_to_another_worker(name: str) -> None:
    searcher = make(name)
    run(searcher, 3, 6)
    open_ones = [one for _ in range(12) for one in searcher.ask()]
    assert len(set(open_ones)) == len(open_ones)
    assert set(open_ones).isdisjoint(one.architecture for one in searcher.observations)


@every_searcher
def test_failed_trainings_are_survived_and_are_no_parents_nor_scores(name: str) -> None:
    searcher = make(name)
    failed: list[Architecture] = []
    for turn in range(6):
        asked = searcher.ask(5)
        failed += asked[turn % 2 :: 2]
        searcher.tell(Observation(one, {"accuracy": float("nan") if one in failed else accuracy(one)}) for one in asked)
    assert failed
    assert set(searcher.scored).isdisjoint(failed)
    assert all(one not in failed for one in searcher.ask(5))


class FewConvolutions:
    """At most two 3x3 convolutions; notes whom it was asked about."""

    def __init__(self, most: int = 2) -> None:
        self.nearest, self.most = "", most
        self.judged: list[str] = []

    def fitting(self, codes: Sequence[str]) -> list[str]:
        self.judged += codes
        left = [code for code in codes if code.count("nor_conv_3x3") <= self.most]
        if len(left) < len(codes):
            self.nearest = f"{self.most + 1} convolutions"
        return left


@every_searcher
def test_nothing_that_violates_the_constraints_is_proposed_and_nobody_is_judged_twice(name: str) -> None:
    constraints = FewConvolutions()
    proposed = run(make(name, constraints=constraints), 6, 5)
    assert proposed
    assert all(one.code.count("nor_conv_3x3") <= 2 for one in proposed)
    assert len(constraints.judged) == len(set(constraints.judged))


@pytest.mark.parametrize("name", [name for name in list_searchers() if name != "te_nas"])
def test_constraints_that_nobody_keeps_end_in_one_line_after_a_bounded_number_of_tries(name: str) -> None:
    constraints = FewConvolutions(most=-1)
    searcher = make(name, constraints=constraints)
    if name == "pnas":
        assert searcher.ask() == []
        assert "keep the constraints" in searcher.ended
        return
    with pytest.raises(
        SearchError, match=r"^constraints: none of .*[\d,]+ (random|best) .*; nearest: 0 convolutions; loosen them$"
    ):
        searcher.ask()
    assert len(constraints.judged) <= 1_000


@pytest.mark.parametrize("name", [name for name in list_searchers() if name not in ("te_nas", "pnas", "hurricane")])
def test_a_finite_space_runs_out_and_says_so(name: str) -> None:
    options = [("nor_conv_1x1", "skip_connect")] * 3 + [("nor_conv_3x3", "none")] * 2 + [("avg_pool_3x3",)]
    space = RestrictedSpace(CELLS, options)
    everybody = listed(space)
    assert everybody is not None
    searcher = make(name, space)
    proposed: list[Architecture] = []
    while asked := searcher.ask(5):
        proposed += asked
        searcher.tell(observed(asked))
        assert len(proposed) <= len(everybody)
    assert sorted(proposed) == sorted(everybody)
    assert searcher.ended == f"all {len(everybody)} architectures of nasbench201 have been proposed"
    assert searcher.ask(3) == []


@pytest.mark.parametrize("name", ["evolution", "tpe", "predictor", "npenas", "nao", "posterior", "ofa"])
def test_it_finds_better_ones_than_random_search_where_decisions_add_up(name: str) -> None:
    def best(which: str) -> float:
        found = [max(map(accuracy, run(make(which, seed=seed), 10, 6))) for seed in range(3)]
        return float(np.mean(found))

    assert best(name) > best("random")


@pytest.mark.parametrize(
    "name", ["random", "evolution", "tpe", "nsga2", "posterior", "npenas", "nao", "ofa", "hurricane", *INSIDE]
)
def test_a_space_too_large_to_list_is_searched_too(name: str) -> None:
    space = get_space("once_for_all")
    searcher = make(name, space)
    proposed: list[Architecture] = []
    for turn in range(4):
        asked = searcher.ask(3)
        proposed += asked
        searcher.tell(Observation(one, {"accuracy": 0.5 + 0.01 * turn + 0.001 * at}) for at, one in enumerate(asked))
    assert len(set(proposed)) == len(proposed) >= 8
    assert all(space.canonical(one) == one for one in proposed)


@pytest.mark.parametrize(
    ("values", "fidelity", "message"),
    [
        ({"loss": 0.5}, 1.0, "has no value of accuracy; give one, or NaN"),
        ({"accuracy": float("inf")}, 1.0, "is infinite; give NaN"),
        ({"accuracy": 0.5}, 0.0, r"the fidelity of .* is 0; give a share in \(0, 1\]"),
    ],
)
def test_what_cannot_be_a_result_is_refused_in_one_line(
    values: Mapping[str, float], fidelity: float, message: str
) -> None:
    searcher = make("random")
    (one,) = searcher.ask()
    with pytest.raises(SearchError, match=message):
        searcher.tell([Observation(one, values, fidelity)])
    assert searcher.open == (one,)


def test_a_searcher_with_a_state_loads_no_other() -> None:
    searcher = make("random")
    searcher.ask()
    with pytest.raises(SearchError, match="knows 1 architectures already; make a new one"):
        searcher.load([])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("evolutoin", {}, r"unknown searcher 'evolutoin'; allowed: random, .*; did you mean 'evolution'\?"),
        ("evolution", {"size": 3}, "unknown option 'size' of searcher 'evolution'; allowed: population, sample"),
        ("evolution", {"sample": 0}, "sample: 0 is not at least 1"),
        ("posterior", {"initial": 1}, "initial: 1 is not at least 2"),
        ("npenas", {"regressor": "forest"}, r"regressor: 'forest' is unknown; allowed: gaussian-process, "),
        ("nao", {"epochs": 0}, "epochs: 0 is not at least 1"),
        ("nao", {"refit_epochs": 0}, "refit_epochs: 0 is not at least 1"),
        ("nao", {"loss_weight": 2}, r"loss_weight: 2 is not in \[0, 1\]"),
        ("nao", {"step": -1.0}, "step: -1 is not above 0"),
        ("predictor", {"alpha": 2}, r"alpha: 2 is not in \[0, 1\]"),
        ("hurricane", {"late": range(6)}, r"late: \[0, 1, 2, 3, 4, 5\] are not some, but not all of the 6 decisions"),
        ("te_nas", {}, "measure: te_nas needs what it measures networks by"),
        ("gdas", {}, "scores: gdas needs those of the options of a trained supernet; taurank search trains it, or"),
        ("manas", {"scores": [[0.0] * 5] * 5}, r"scores: they are of 5 decisions with \[5, 5, 5, 5, 5\] options; nasb"),
        (
            "darts",
            {"scores": [[0.0] * 5] * 6, "without": ["nothing"]},
            "without: 'nothing' is no option of nasbench201",
        ),
        ("darts", {"scores": [[float("nan")] * 5] * 6}, "no option with a finite score is left of decision 0"),
    ],
)
def test_a_searcher_that_cannot_be_made_says_why_in_one_line(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=message) as raised:
        make_searcher(name, CELLS, **options)
    assert "\n" not in str(raised.value)


def test_a_space_without_growing_cells_is_nothing_for_pnas() -> None:
    with pytest.raises(SearchError, match="which are pnas and nasbench201, not nasbench_macro"):
        make_searcher("pnas", get_space("nasbench_macro"))


def test_a_space_without_fixed_decisions_is_nothing_for_nao() -> None:
    with pytest.raises(SearchError, match="own has no fixed decisions, which nao encodes; take random"):
        make_searcher("nao", OwnCandidates(["small", "large"]))


def test_the_embedding_of_nao_gives_back_what_it_encoded_and_climbs_when_moved() -> None:
    cells = SPACE.sample(60, np.random.default_rng(0))
    choices = torch.tensor([SPACE.choices(cell) for cell in cells])
    values = np.array([accuracy(cell) for cell in cells])
    torch.manual_seed(0)
    model = Embedding([len(options) for options in SPACE.decisions])
    targets = torch.tensor((values - values.min()) / np.ptp(values), dtype=torch.float32)
    model.fit(choices, targets, epochs=100, loss_weight=0.5)
    assert (next(model.moved(choices, [0.0])) == choices).float().mean() > 0.95
    low = torch.tensor(np.argsort(values)[:30].copy())
    moved = [SPACE.choose(row) for row in next(model.moved(choices[low], [10.0])).tolist()]
    assert np.mean([accuracy(cell) for cell in moved]) > values[low.numpy()].mean() + 0.5 * values.std()


def test_nao_trains_one_model_on_and_once_for_a_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[tuple[Embedding, int, int]] = []
    fit = Embedding.fit

    def spied(model: Embedding, choices: torch.Tensor, targets: torch.Tensor, **options: Any) -> None:
        fits.append((model, len(choices), options["epochs"]))
        fit(model, choices, targets, **options)

    monkeypatch.setattr(Embedding, "fit", spied)
    searcher = make("nao", epochs=3, refit_epochs=2)
    waiting = searcher.ask(5)
    while len(searcher.observations) < 20:  # results come one by one, with five proposals open
        searcher.tell(observed([waiting.pop(0)]))
        waiting += searcher.ask(1)
    assert [one[1:] for one in fits] == [(6, 3), (12, 2), (18, 2)]
    assert len({id(one[0]) for one in fits}) == 1


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_optuna_keeps_the_verbosity_of_the_caller(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = optuna.logging.get_verbosity()
    try:
        optuna.logging.set_verbosity(optuna.logging.DEBUG)
        monkeypatch.delitem(sys.modules, "taurank.orchestrator.search.optuna_searcher", raising=False)
        make(name).ask(3)
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)
    assert "A new study" not in capfd.readouterr().err


def test_npenas_has_one_set_of_parents_in_a_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    parents: list[Architecture] = []

    def spied(space: SearchSpace, parent: Architecture, generator: np.random.Generator) -> Architecture:
        parents.append(parent)
        return mutant(space, parent, generator)

    searcher = make("npenas", parents=2, candidates=8)
    run(searcher, 6, 1)
    monkeypatch.setattr("taurank.orchestrator.search.model_searcher.AGAIN", 0.0)
    monkeypatch.setattr("taurank.orchestrator.search.model_searcher.mutant", spied)
    run(searcher, 8, 1)  # two generations of 4, told one by one
    first, second = parents[:8], parents[8:]
    assert len(second) == 8
    assert len(set(first)) == len(set(second)) == 2
