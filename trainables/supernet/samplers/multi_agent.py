"""Cooperative agents, one for each decision, rewarded by the accuracy on held-back images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.agents import Agents, CreditAgents, LeastSquaresAgents
from taurank.trainables.supernet.samplers.options import check_share, check_word
from taurank.trainables.supernet.samplers.sampler import Group, Judge, Outcome, PathSampler

Feedback = Literal["least-squares", "credit"]

_AGENTS: dict[str, type[Agents]] = {"least-squares": LeastSquaresAgents, "credit": CreditAgents}


class MultiAgentSampler(PathSampler):
    """Cooperative multi-agent bandit in the manner of MANAS: each agent draws one option, all get the same reward.

    The reward is the accuracy of the path on a batch of held-back images after the step on it. How agents attribute
    it: ``least-squares`` fits what each option adds (`LeastSquaresAgents`); ``credit`` lets one agent change
    its option at a time (`CreditAgents`). In the first part of the training all draw uniformly, as an option that was
    seldom drawn cannot be placed in an order.

    A reconstruction: the authors published no code, and exponential weights, the Zipf law and the credit scheme are
    filled in from the abstract and from what is usual. Scores are additive: a linear predictor learned from noisy
    rewards of shared weights. With ``uniform_until`` 1 it is uniform sampling with the same predictor; on recorded
    accuracies that gives as good an order or a better one (`benchmarks.supernets.multi_agent`): the policies find good
    paths.
    Reading the reward makes a GPU wait in each step.

    Source: Carlucci et al. 2019, MANAS, arXiv 1909.01051.

    Args:
        paths: the candidates; the options that occur among them are drawn.
        feedback: ``least-squares`` or ``credit``.
        gamma: share of each agent's probability that is spread evenly, in (0, 1].
        uniform_until: share of the training up to which all agents draw uniformly, in [0, 1].

    Raises:
        ValueError: the space has no fixed decisions, or a value outside its range.
    """

    # A step costs one path and a third: with a quarter held back, an epoch is one pass over all images.
    judging_share = 0.25
    by_decision = True

    def __init__(
        self, paths: Paths, *, feedback: Feedback = "least-squares", gamma: float = 0.1, uniform_until: float = 0.5
    ) -> None:
        super().__init__(paths)
        check_word("feedback", feedback, get_args(Feedback))
        check_share("gamma", gamma, zero=False)
        check_share("uniform_until", uniform_until)
        self.uniform_until = uniform_until
        self.agents = _AGENTS[feedback](paths, gamma)
        self._rounds = 0

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """The path that the agents agree on by each deciding for itself."""
        uniform = progress < self.uniform_until or self.uniform_until == 1
        choices = self.agents.sample(generator, uniform=uniform)
        return Group((self.paths.code(choices),))

    def learn(self, outcomes: Sequence[Outcome], judge: Judge) -> None:
        """Evaluates the path on held-back images and updates all agents with its accuracy."""
        (trained,) = outcomes
        (judged,) = judge.look([trained.path])
        self._rounds += 1
        self.agents.update(self.paths.choices(trained.path), float(judged.correct) / judged.images)

    def scores(self, codes: Sequence[str]) -> NDArray[np.float64] | None:
        """Scores of the agents for paths, higher is better; None before the first round."""
        if not self._rounds:
            return None
        return self.agents.score(np.array([self.paths.choices(code) for code in codes]))

    def option_scores(self) -> NDArray[np.float64] | None:
        """Scores of the agents for options; None before the first round."""
        return self.agents.option_scores() if self._rounds else None

    def state_dict(self) -> dict[str, Any]:
        """Rounds, and what the agents have learned."""
        return {"rounds": self._rounds, "agents": self.agents.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""
        self._rounds = int(state["rounds"])
        self.agents.load_state_dict(state["agents"])
