"""Agents that each choose one option and share one reward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from taurank.trainables.supernet.paths import Choices, Paths
from taurank.trainables.supernet.samplers.additive import AdditiveModel, DetrendedModel


class Agents(ABC):
    """One agent for each decision of the space.

    Args:
        paths: the candidates; an agent chooses among the options that occur among them.
        gamma: share of each agent's probability that is spread evenly, in (0, 1]; no option gets less than gamma / K.
    """

    def __init__(self, paths: Paths, gamma: float) -> None:
        self.paths, self.gamma = paths, gamma

    @abstractmethod
    def preferences(self, decision: int) -> NDArray[np.float64]:
        """Probabilities (allowed options,) before gamma's share."""

    def policy(self, decision: int, gamma: float | None = None) -> NDArray[np.float64]:
        """Probabilities (allowed options,) of the options of an agent."""
        share = self.gamma if gamma is None else gamma
        return (1 - share) * self.preferences(decision) + share / len(self.paths.allowed[decision])

    @abstractmethod
    def sample(self, generator: np.random.Generator, *, uniform: bool) -> Choices:
        """The joint action; ``uniform`` stands for gamma = 1."""

    @abstractmethod
    def update(self, choices: Choices, reward: float) -> None:
        """Updates the agents with the reward of the last action; higher is better."""

    @abstractmethod
    def score(self, choices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scores of actions (paths, decisions), (paths,), higher is better."""

    @abstractmethod
    def option_scores(self) -> NDArray[np.float64]:
        """Scores of each option, (decisions, options of the widest), NaN for those that no agent has.

        Their sum over an action's options puts actions in the order of `score`.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Learned state."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""

    def _choose(self, decision: int, generator: np.random.Generator, uniform: bool) -> tuple[int, float]:
        """An option of one agent, and its probability."""
        policy = self.policy(decision, 1.0 if uniform else None)
        place = int(generator.choice(len(policy), p=policy))
        return self.paths.allowed[decision][place], float(policy[place])


class LeastSquaresAgents(Agents):
    """Every agent draws in every round; what its options are worth comes from one regression over all rounds.

    The option with rank k among the effects of an agent (`AdditiveModel`) is drawn with probability proportional to
    1/k (Zipf); equal effects share their mean rank. Score: sum of the effects.
    """

    def __init__(self, paths: Paths, gamma: float) -> None:
        super().__init__(paths, gamma)
        self._model = AdditiveModel(paths.options)
        self._rewards = DetrendedModel(self._model)

    def preferences(self, decision: int) -> NDArray[np.float64]:
        """Zipf's law over the ranks of the effects."""
        effects = self._model.effects(decision)[list(self.paths.allowed[decision])]
        weights = 1 / stats.rankdata(-effects)
        probabilities: NDArray[np.float64] = weights / weights.sum()
        return probabilities

    def sample(self, generator: np.random.Generator, *, uniform: bool) -> Choices:
        """An option of every agent."""
        return tuple(self._choose(decision, generator, uniform)[0] for decision in range(len(self.paths.allowed)))

    def update(self, choices: Choices, reward: float) -> None:
        """One more round of the regression."""
        self._rewards.add(choices, reward)

    def score(self, choices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sum of the effects, in units of the reward."""
        return self._model.predict(choices)

    def option_scores(self) -> NDArray[np.float64]:
        """Effects, in units of the reward."""
        table = np.full((len(self.paths.options), max(self.paths.options)), np.nan)
        for decision, options in enumerate(self.paths.allowed):
            table[decision, list(options)] = self._model.effects(decision)[list(options)]
        return table

    def state_dict(self) -> dict[str, Any]:
        """State of the regression."""
        return self._rewards.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""
        self._rewards.load_state_dict(state)


class CreditAgents(Agents):
    """In each round one agent redraws its option and is credited with the change of the reward.

    The change, divided by the probability of the option, is added to the option's gain G; such estimates are unbiased,
    and a slow drift of the reward cancels out. Exponential weights: softmax(eta G) with eta = sqrt(ln K / V), V the sum
    of change^2 / probability of the agent so far, which fits any scale of rewards. Score: sum of the log probabilities.
    """

    def __init__(self, paths: Paths, gamma: float) -> None:
        super().__init__(paths, gamma)
        self._gains = np.zeros((len(paths.options), max(paths.options)))
        self._squares = np.zeros(len(paths.options))
        self._choices: Choices | None = None
        self._reward = 0.0
        self._turn: tuple[int, float] | None = None  # agent that drew a new option, and the probability of the option

    def preferences(self, decision: int) -> NDArray[np.float64]:
        """Exponential weights of the gains."""
        gains = self._gains[decision, list(self.paths.allowed[decision])]
        rate = np.sqrt(np.log(len(gains)) / self._squares[decision]) if self._squares[decision] else 0.0
        weights = np.exp(rate * (gains - gains.max()))
        probabilities: NDArray[np.float64] = weights / weights.sum()
        return probabilities

    def sample(self, generator: np.random.Generator, *, uniform: bool) -> Choices:
        """The last action with a new option of one agent, chosen at random among those that have more than one."""
        self._turn = None
        if self._choices is None:
            return tuple(self._choose(decision, generator, uniform)[0] for decision in range(len(self.paths.allowed)))
        free = [decision for decision, options in enumerate(self.paths.allowed) if len(options) > 1]
        if not free:
            return self._choices
        decision = int(generator.choice(free))
        option, probability = self._choose(decision, generator, uniform)
        if option != self._choices[decision]:
            self._turn = decision, probability
        return (*self._choices[:decision], option, *self._choices[decision + 1 :])

    def update(self, choices: Choices, reward: float) -> None:
        """Credits the agent that changed its option, if one did."""
        if self._turn is not None:
            decision, probability = self._turn
            change = reward - self._reward
            self._gains[decision, choices[decision]] += change / probability
            self._squares[decision] += change**2 / probability
        self._choices, self._reward, self._turn = choices, reward, None

    def score(self, choices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sum of the log probabilities; minus infinity with an option that no agent has."""
        logs = self.option_scores()
        scores: NDArray[np.float64] = logs[np.arange(len(logs)), choices].sum(1)
        return np.where(np.isnan(scores), -np.inf, scores)

    def option_scores(self) -> NDArray[np.float64]:
        """Log probabilities."""
        logs = np.full(self._gains.shape, np.nan)
        for decision, options in enumerate(self.paths.allowed):
            logs[decision, list(options)] = np.log(self.policy(decision))
        return logs

    def state_dict(self) -> dict[str, Any]:
        """Gains, and the last round."""
        return {
            "gains": self._gains.tolist(),
            "squares": self._squares.tolist(),
            "choices": None if self._choices is None else list(self._choices),
            "reward": self._reward,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""
        self._gains, self._squares = np.array(state["gains"]), np.array(state["squares"])
        self._choices = None if state["choices"] is None else tuple(state["choices"])
        self._reward, self._turn = state["reward"], None
