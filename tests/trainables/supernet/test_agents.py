"""Multi-agent sampling: agents, and the sampler that asks the judge for them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from taurank.spaces import get_space
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers import MultiAgentSampler
from taurank.trainables.supernet.samplers.agents import Agents, CreditAgents, LeastSquaresAgents
from tests.trainables.supernet.fakes import FakeJudge, cells, nine, play

AGENTS: list[type[Agents]] = [LeastSquaresAgents, CreditAgents]
N, K = 6, 5  # decisions and options of `nasbench201`


@pytest.fixture(scope="module")
def paths() -> Paths:
    made = cells(300)
    assert made.allowed == (tuple(range(K)),) * N
    return made


def train(
    agents: Agents, rounds: int, seed: int, *, uniform: float, drift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Plays an additive reward with noise .05 that drifts; what options add, (N, K), and the regret of each round."""
    generator = np.random.default_rng(seed)
    worth = generator.normal(0, 0.1, (N, K))
    regret = np.empty(rounds)
    for index in range(rounds):
        choices = agents.sample(generator, uniform=index < uniform * rounds)
        reward = worth[np.arange(N), choices].sum()
        regret[index] = worth.max(1).sum() - reward
        agents.update(choices, reward + generator.normal(0.5, 0.05) + drift * index / rounds)
    return worth, regret


def tau_of_options(agents: Agents, worth: np.ndarray) -> float:
    """Mean over the agents of tau between what options add and what the agent thinks of them."""
    taus = []
    for decision in range(N):
        choices = np.zeros((K, N), dtype=np.int64)
        choices[:, decision] = np.arange(K)
        taus.append(stats.kendalltau(agents.score(choices), worth[decision])[0])
    return float(np.mean(taus))


def test_least_squares_finds_the_order_of_options_in_500_rounds(paths: Paths) -> None:
    taus = []
    for seed in range(4):
        agents = LeastSquaresAgents(paths, gamma=0.1)
        worth, _ = train(agents, 500, seed, uniform=0.5, drift=0.3)
        taus.append(tau_of_options(agents, worth))
    assert np.mean(taus) > 0.9


def test_credit_finds_the_order_of_options_in_3000_uniform_rounds(paths: Paths) -> None:
    taus = []
    for seed in range(6):
        agents = CreditAgents(paths, gamma=0.1)
        worth, _ = train(agents, 3000, seed, uniform=1.0, drift=0.3)
        taus.append(tau_of_options(agents, worth))
    assert np.mean(taus) > 0.9


def test_regret_of_credit_grows_slower_than_rounds(paths: Paths) -> None:
    rounds = [500, 1000, 2000, 4000]
    regret = [
        np.mean([train(CreditAgents(paths, gamma=0.02), count, seed, uniform=0.0)[1].sum() for seed in range(4)])
        for count in rounds
    ]
    assert np.polyfit(np.log(rounds), np.log(regret), 1)[0] <= 0.65


@pytest.mark.parametrize("kind", AGENTS)
def test_after_the_uniform_rounds_better_paths_are_drawn(kind: type[Agents], paths: Paths) -> None:
    regret = train(kind(paths, gamma=0.1), 1000, 0, uniform=0.5)[1]
    assert regret[-200:].mean() < 0.8 * regret[:500].mean()


@pytest.mark.parametrize("gamma", [0.05, 0.5])
@pytest.mark.parametrize("kind", AGENTS)
def test_policies_stay_distributions_with_a_floor(kind: type[Agents], gamma: float, paths: Paths) -> None:
    agents = kind(paths, gamma)
    for seed in range(3):
        train(agents, 200, seed, uniform=0.0)
        for decision in range(N):
            policy = agents.policy(decision)
            assert policy.sum() == pytest.approx(1)
            assert policy.min() >= gamma / K - 1e-12
        assert max(agents.policy(decision).max() for decision in range(N)) > 1 / K + 0.05


@pytest.mark.parametrize("kind", AGENTS)
def test_before_the_first_round_all_options_are_equally_likely(kind: type[Agents], paths: Paths) -> None:
    assert kind(paths, 0.1).policy(0) == pytest.approx([0.2] * 5)


def test_least_squares_draws_by_rank(paths: Paths) -> None:
    agents = LeastSquaresAgents(paths, gamma=0.1)
    train(agents, 500, 0, uniform=1.0)
    zipf = np.array([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]) / (137 / 60)
    for decision in range(N):
        choices = np.zeros((K, N), dtype=np.int64)
        choices[:, decision] = np.arange(K)
        best_first = np.argsort(-agents.score(choices))
        assert agents.policy(decision)[best_first] == pytest.approx(0.9 * zipf + 0.02)


def test_one_agent_at_a_time_gets_the_credit() -> None:
    agents = CreditAgents(nine(), gamma=1.0)
    generator = np.random.default_rng(0)
    before = agents.sample(generator, uniform=False)
    agents.update(before, 0.5)
    expected = np.zeros((2, 3))
    reward = 0.5
    for index in range(200):
        choices = agents.sample(generator, uniform=False)
        changed = [decision for decision in (0, 1) if choices[decision] != before[decision]]
        assert len(changed) <= 1
        for decision in changed:
            expected[decision, choices[decision]] += (0.01 * index - reward) * 3  # probability 1/3
        agents.update(choices, 0.01 * index)
        before, reward = choices, 0.01 * index
    assert np.array(agents.state_dict()["gains"]) == pytest.approx(expected)


def test_credit_is_free_of_scale(paths: Paths) -> None:
    """Rewards a thousand times as large, or shifted, leave the same policy."""
    policies = []
    for scale, shift in ((1.0, 0.0), (1000.0, 7.0)):
        agents, generator = CreditAgents(paths, 0.1), np.random.default_rng(0)
        worth = np.random.default_rng(1).normal(size=(N, K))
        for _ in range(300):
            choices = agents.sample(generator, uniform=False)
            agents.update(choices, scale * worth[np.arange(N), choices].sum() + shift)
        policies.append(agents.policy(2))
    assert policies[0] == pytest.approx(policies[1])


@pytest.mark.parametrize("feedback", ["least-squares", "credit"])
def test_the_sampler_judges_each_path_after_the_step_on_it(feedback: str) -> None:
    judge = FakeJudge()
    sampler = MultiAgentSampler(nine(), feedback=feedback)  # type: ignore[arg-type]
    assert sampler.scores(["1,1"]) is None
    groups = play(sampler, 50, judge)
    assert judge.looked == [group.paths for group in groups]
    assert sampler.judging_share == 0.25


@pytest.mark.parametrize("feedback", ["least-squares", "credit"])
def test_the_order_of_the_candidates_is_that_of_the_rewards(feedback: str) -> None:
    def accuracy(path: str) -> float:
        first, second = map(int, path.split(","))
        return 0.2 + 0.05 * first + 0.15 * second

    sampler = MultiAgentSampler(nine(), feedback=feedback)  # type: ignore[arg-type]
    play(sampler, 1500, FakeJudge(accuracy))
    scores = sampler.scores(nine().codes)
    truth = [accuracy(code) for code in nine().codes]
    assert scores is not None
    assert stats.kendalltau(scores, truth)[0] > 0.75


def test_the_first_part_is_uniform_and_with_1_all_of_it() -> None:
    def accuracy(path: str) -> float:
        return 0.9 if path.startswith("3") else 0.1

    def share(groups: list[str]) -> float:
        return sum(path.startswith("3") for path in groups) / len(groups)

    for until, late in ((0.5, 0.5), (1.0, 1 / 3)):
        sampler = MultiAgentSampler(nine(), uniform_until=until)
        drawn = [path for group in play(sampler, 3000, FakeJudge(accuracy)) for path in group.paths]
        assert share(drawn[:1500]) == pytest.approx(1 / 3, abs=0.04)
        assert share(drawn[1500:]) == pytest.approx(0.9 * 6 / 11 + 0.1 / 3 if late == 0.5 else 1 / 3, abs=0.04)


def test_an_option_that_no_candidate_has_scores_minus_infinity_with_credit() -> None:
    candidates = Paths(get_space("mnist_blocks"), ("1,1", "2,1"))
    sampler = MultiAgentSampler(candidates, feedback="credit")
    play(sampler, 50, FakeJudge())
    scores = sampler.scores(["1,1", "3,1"])
    assert scores is not None
    assert np.isfinite(scores[0])
    assert scores[1] == -np.inf
