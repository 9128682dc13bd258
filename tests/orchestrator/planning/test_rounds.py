from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.evidence import BASELINE, CHOSEN
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.planning.rounds import (
    LogRanker,
    Problem,
    choice_of,
    plan_trainings,
    planned_epochs,
    run_rounds,
)
from taurank.orchestrator.planning.split import ANCHORS

FULL, N = 20, 40
SHORT = TrainingSpec(epochs=2, candidates=20)
LONG = TrainingSpec(epochs=FULL, candidates=8)


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch):
    monkeypatch.setattr("taurank.orchestrator.ranker.short_runs.TREES", 60)
    monkeypatch.setattr("taurank.orchestrator.ranker.regressors.TREES", 60)


class Lab:
    """Trains at once: accuracies are a function of the encoding, or noise where nothing can tell."""

    def __init__(self, *, predictable: bool = True, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        codes = tuple(f"c{index:02d}" for index in range(N))
        encoding = pd.DataFrame(generator.standard_normal((N, 3)), index=codes, columns=list("abc"))
        quality = encoding["a"] if predictable else pd.Series(generator.standard_normal(N), index=codes)
        self.accuracy = 1 / (1 + np.exp(-quality))
        self.problem = Problem(codes, encoding, FULL, seed=0)
        self.log = EvidenceLog(Path(":memory:"))
        self.ranker = LogRanker(self.problem, self.log)
        self.launched: list[tuple[str, list[str]]] = []

    def launch(self, spec: TrainingSpec, codes: Sequence[str]) -> None:
        self.launched.append((spec.stage, list(codes)))
        done = self.log.outcomes()
        for code in codes:
            trial = f"{spec.stage}/{code}"
            if trial in done:
                continue
            value = self.accuracy[code] * (1 - 0.3 / spec.last_epoch)
            cost = float(spec.last_epoch)
            at = (spec.last_epoch, spec.epochs, spec.seed)
            self.log.append(
                [Evidence(spec.stage, trial, code, "training", *at, "validation_accuracy", value, cost, cost)]
            )
            self.log.append_event(spec.stage, trial, "completed")

    def run(self, *trainings: TrainingSpec, adaptive: bool = False, budget: float = 200.0) -> None:
        run_rounds(self.ranker, trainings, launch=self.launch, budget_epochs=budget, adaptive=adaptive)

    @property
    def spent(self) -> float:
        return float(self.log.evidence()["epochs"].sum())


class TestPlan:
    def test_short_then_full(self):
        short, full = plan_trainings(1000, full_epochs=200, budget_epochs=99 * 200, seed=3, schedules=[12, 200])
        assert (short.epochs, short.until, short.candidates, short.seed) == (12, None, 412, 3)
        assert (full.epochs, full.until, full.candidates, full.seed) == (200, None, 74, 3)

    def test_cut_ones_stay_on_the_long_schedule(self):
        short, full = plan_trainings(1000, full_epochs=200, budget_epochs=99 * 200, seed=0, schedules=[200])
        assert (short.epochs, short.until, full.until) == (200, 20, None)
        assert (short.stage, full.stage) == ("training-200@20", "training-200")
        assert planned_epochs(short, 1000) == short.candidates * 20

    def test_everybody_is_all(self):
        (short,) = plan_trainings(10, full_epochs=10, budget_epochs=10, seed=0)
        assert short.candidates == "all"
        assert planned_epochs(short, 10) == 10

    def test_nothing(self):
        assert plan_trainings(10, full_epochs=10, budget_epochs=0.5, seed=0) == []


class TestRounds:
    def test_each_stage_once_and_nobody_twice(self):
        lab = Lab()
        lab.run(SHORT, LONG)
        assert [(stage, len(codes), len(set(codes))) for stage, codes in lab.launched] == [
            ("training-2", 20, 20),
            ("training-20", 8, 8),
        ]
        assert lab.spent == 20 * 2 + 8 * 20

    def test_all_is_everybody_in_the_order_of_the_candidates(self):
        lab = Lab()
        lab.run(TrainingSpec(epochs=2))
        assert lab.launched == [("training-2", list(lab.problem.candidates))]

    def test_choices_are_noted_once_and_survive_what_is_found_later(self):
        lab = Lab()
        lab.run(SHORT)
        before = lab.launched[0][1]
        assert json.loads(lab.log.noted("selected:training-2") or "") == before
        rows = [
            Evidence("size", f"size/{code}", code, "size", 0, 0, 0, "flops", float(index))
            for index, code in enumerate(lab.problem.candidates)
        ]
        lab.log.append(rows)
        lab.run(SHORT, LONG)
        assert lab.launched[1] == ("training-2", before)

    def test_who_was_chosen_and_why_is_said_once(self):
        lab = Lab()
        lab.run(SHORT, LONG)
        lab.run(SHORT, LONG)
        events = lab.log.events()
        said = events.loc[events["event"] == CHOSEN, ["stage", "reason"]].to_numpy().tolist()
        assert [stage for stage, _ in said] == [SHORT.stage, LONG.stage]
        count, of = len(lab.launched[0][1]), len(lab.problem.candidates)
        assert said[0][1].startswith(f"{count} of {of} ")
        assert f"; {SHORT.cost(of - count):g} epochs saved on the {of - count} others: " in said[0][1]
        assert choice_of(lab.log, SHORT) == said[0][1].rsplit(": ", 1)[0]
        assert choice_of(lab.log, TrainingSpec(epochs=3)) == ""

    def test_the_baseline_is_never_looked_at(self):
        seen, blind = Lab(), Lab()
        for index, code in enumerate(seen.problem.candidates):
            row = Evidence(
                BASELINE, f"{BASELINE}/{code}", code, "training", FULL, FULL, 1, "validation_accuracy", index
            )
            seen.log.append([row])
        for lab in (seen, blind):
            lab.run(SHORT, LONG)
        assert seen.launched == blind.launched
        tables = [lab.ranker.ranking().table for lab in (seen, blind)]
        pd.testing.assert_frame_equal(*tables)


class TestAdaptive:
    def test_predictable_ones_leave_the_plan(self):
        lab = Lab()
        lab.run(SHORT, LONG, adaptive=True)
        assert [len(codes) for _, codes in lab.launched] == [20, 8]

    def test_unpredictable_ones_take_from_the_full_trainings(self):
        lab = Lab(predictable=False)
        lab.run(SHORT, LONG, adaptive=True)
        (first, chosen), (again, more), (last, fulls) = lab.launched
        assert (first, again, last) == ("training-2", "training-2", "training-20")
        assert more[:20] == chosen  # the same stage, gone on with
        assert sorted(more) == sorted(lab.problem.candidates)
        assert len(fulls) == 6  # 20 short ones more are two full ones less
        assert lab.spent == 200

    def test_not_unless_asked(self):
        lab = Lab(predictable=False)
        lab.run(SHORT, LONG)
        assert [len(codes) for _, codes in lab.launched] == [20, 8]

    @pytest.mark.parametrize("budget", [60.0, 140.0, 200.0, 205.0])
    @pytest.mark.parametrize("predictable", [True, False])
    def test_never_more_than_the_budget(self, budget, predictable):
        lab = Lab(predictable=predictable)
        fulls = int((budget - 40) // FULL)
        lab.run(SHORT, TrainingSpec(epochs=FULL, candidates=fulls), adaptive=True, budget=budget)
        assert lab.spent <= budget
        assert len(lab.launched[-1][1]) >= min(ANCHORS, fulls)

    def test_resume_makes_the_same_choices(self):
        whole, parts = Lab(predictable=False), Lab(predictable=False)
        whole.run(SHORT, LONG, adaptive=True)
        parts.run(SHORT)  # interrupted after the first stage
        parts.run(SHORT, LONG, adaptive=True)
        parts.run(SHORT, LONG, adaptive=True)
        assert parts.launched[-3:] == parts.launched[-6:-3] == whole.launched
        assert parts.spent == whole.spent

    def test_failed_ones_are_not_bought_again(self):
        lab = Lab(predictable=False)
        lab.accuracy.iloc[:] = lab.accuracy.where(np.arange(N) % 4 > 0)  # a quarter fails
        lab.run(SHORT, LONG, adaptive=True)
        more = lab.launched[1][1]
        assert len(set(more)) == len(more) == N
