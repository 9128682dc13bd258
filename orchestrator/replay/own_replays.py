"""Forecasts from a table of one's own: replays of it, with as many candidates, over the budgets that a plan shows."""

from __future__ import annotations

from dataclasses import dataclass

from taurank.orchestrator.planning import NEIGHBOURS, PlannedStages, PlanRequest, ReplayedTau, summarise_cell
from taurank.orchestrator.replay.bench import Bench
from taurank.orchestrator.replay.cheap import Cheap
from taurank.orchestrator.replay.draw import replay_draws
from taurank.orchestrator.replay.plan import ReplayPlan, plan_replay

SEED = 0
WORKERS = 8


@dataclass(frozen=True)
class OwnReplays:
    """What of a table is replayed.

    Attributes:
        bench: the table.
        cheap: what is measured of every candidate before any training.
        candidates: how many are drawn.
        draws: how often, 2 or more.
    """

    bench: Bench
    cheap: Cheap
    candidates: int
    draws: int

    def question(self, budget: float | None, *, epoch_seconds: float) -> PlanRequest:
        """What is to be planned; its forecasts are replays of ``budget`` and of its neighbours, as it is asked.

        Raises:
            ReplayError: too many candidates, or ``budget`` cannot be replayed.
        """
        self._plan(budget or NEIGHBOURS[0])
        factors = sorted({factor for factor in NEIGHBOURS if self._affords(factor)} | ({budget} if budget else set()))
        return PlanRequest(
            self.bench.setting,
            self.candidates,
            self._stages,
            epoch_seconds,
            bool(self.cheap.proxies),
            tuple(self._replay(factor) for factor in factors),
        )

    def _stages(self, budget: float) -> PlannedStages | None:
        trainings = self._plan(budget).trainings if self._affords(budget) else ()
        return PlannedStages(trainings, proxies=self.cheap.epochs(self.candidates)) if trainings else None

    def _affords(self, budget: float) -> bool:
        return self.cheap.epochs(self.candidates) < self.candidates * self.bench.full_epochs / budget

    def _plan(self, budget: float) -> ReplayPlan:
        return plan_replay(
            self.bench, candidates=self.candidates, budget=f"{budget}x", seed=SEED, workers=WORKERS, cheap=self.cheap
        )

    def _replay(self, budget: float) -> ReplayedTau:
        draws = list(replay_draws(self.bench, self._plan(budget), self.draws))
        return summarise_cell(draws, self.bench.setting, proxies=len(self.cheap.proxies))
