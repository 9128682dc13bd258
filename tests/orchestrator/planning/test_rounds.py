from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.evidence import BASELINE, CHOSEN
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.budget import read_budget
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.planning.pace import Pace, Purse, book_pace
from taurank.orchestrator.planning.rounds import (
    PILOT,
    LogRanker,
    Problem,
    choice_of,
    chosen_before,
    plan_trainings,
    planned_epochs,
    revised,
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
        self.epoch_seconds: dict[str, float] = {}

    def purse(self, budget: str, *, slower: float = 1.0) -> Purse:
        """A budget in time for candidates from 1 to 50 seconds an epoch, which really are so many times slower."""
        seconds = np.random.default_rng(7).permutation(np.geomspace(1.0, 50.0, N))
        measured = dict(zip(self.problem.candidates, seconds.tolist(), strict=True))
        self.epoch_seconds = {code: slower * took for code, took in measured.items()}
        book_pace(self.log, Pace(measured))
        return Purse(read_budget(budget), self.log, self.problem.candidates, FULL)

    @property
    def seconds(self) -> float:
        return float(self.log.evidence()["seconds"].sum())

    def launch(self, spec: TrainingSpec, codes: Sequence[str]) -> None:
        self.launched.append((spec.stage, list(codes)))
        done = self.log.outcomes()
        for code in codes:
            trial = f"{spec.stage}/{code}"
            if trial in done:
                continue
            value = self.accuracy[code] * (1 - 0.3 / spec.last_epoch)
            cost = float(spec.last_epoch) * self.epoch_seconds.get(code, 1.0)
            at = (spec.last_epoch, spec.epochs, spec.seed)
            self.log.append(
                [
                    Evidence(
                        spec.stage, trial, code, "training", *at, "validation_accuracy", value, cost, spec.last_epoch
                    )
                ]
            )
            self.log.append_event(spec.stage, trial, "completed")

    def run(
        self, *trainings: TrainingSpec, adaptive: bool = False, budget: float = 200.0, purse: Purse | None = None
    ) -> None:
        run_rounds(self.ranker, trainings, launch=self.launch, budget_epochs=budget, adaptive=adaptive, purse=purse)

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

    def test_what_is_asked_for_is_trained_though_only_a_policy_keeps_it_within_the_budget(self):
        lab = Lab()
        asked = TrainingSpec(epochs=FULL, candidates="all", scheduler="order-settling", budget_epochs=90)
        run_rounds(lab.ranker, [asked], launch=lab.launch, budget_epochs=100, adaptive=False)
        assert [codes for _, codes in lab.launched] == [list(lab.problem.candidates)]

    @pytest.mark.parametrize(
        "first",
        [
            TrainingSpec(epochs=2),
            TrainingSpec(epochs=4, subset={"share": 0.5, "by": "classes"}),
            TrainingSpec(epochs=8, resolution=0.5),
            TrainingSpec(epochs=4, task="rotation"),
        ],
    )
    @pytest.mark.parametrize("budget", ["", "24 core-hours"])
    def test_a_short_stage_is_trained_also_after_another_one_of_all(self, first, budget):
        lab = Lab()
        lab.run(first, TrainingSpec(epochs=4, candidates=10), LONG, purse=lab.purse(budget) if budget else None)
        assert [len(set(codes)) for _, codes in lab.launched] == [N, 10, 8]

    @pytest.mark.parametrize("budget", ["", "60 core-hours"])
    @pytest.mark.parametrize("encoded", [True, False])
    @pytest.mark.parametrize(("first", "both"), [(N, 8), (36, 4), (3, 0)])
    def test_a_full_stage_is_trained_also_after_another_one(self, first, both, encoded, budget):
        lab = Lab()
        if not encoded:
            lab.ranker.problem = replace(lab.problem, encoding=lab.problem.encoding[[]])
        before = TrainingSpec(epochs=FULL + 4, candidates="all" if first == N else first)
        lab.run(before, LONG, budget=1300.0, purse=lab.purse(budget) if budget else None)
        (_, earlier), *_, (_, chosen) = lab.launched
        assert len(set(chosen)) == len(chosen) == 8
        # Candidates that have no full training come first.
        assert len(set(earlier) & set(chosen)) == both

    def test_more_full_trainings_are_spread_over_the_whole_order(self):
        lab = Lab()
        for count in (2, 4):
            lab.run(TrainingSpec(epochs=2), LONG.model_copy(update={"candidates": count}))
        first, second = (set(lab.launched[place][1]) for place in (1, 3))
        order = lab.ranker.ranking().table.set_index("architecture")["rank"]
        assert first < second
        assert min(order[list(second - first)]) <= N / 2 < max(order[list(second - first)])

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


class DigitsLab(Lab):
    """Trainings that leave chance (10 %) only after ``learns_after`` epochs."""

    def __init__(self, *, learns_after: int, budget: float = 120.0, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.problem = replace(self.problem, full_epochs=100, images=400, classes=10)
        self.ranker = LogRanker(self.problem, self.log)
        self.learns_after, self.budget = learns_after, budget
        self.quality = self.accuracy.copy()
        self.noise = pd.Series(np.random.default_rng(seed).normal(0, 0.015, N), index=self.accuracy.index)
        self.said: list[str] = []

    def launch(self, spec: TrainingSpec, codes: Sequence[str]) -> None:
        learnt = spec.epochs >= self.learns_after
        self.accuracy = 0.4 + 0.5 * self.quality if learnt else 0.1 + self.noise
        super().launch(spec, codes)

    def go(self, *trainings: TrainingSpec, adaptive: bool = True) -> None:
        run_rounds(
            self.ranker,
            trainings or (TrainingSpec(epochs=2),),
            launch=self.launch,
            budget_epochs=self.budget,
            adaptive=adaptive,
            say=self.said.append,
        )

    @property
    def stages(self) -> dict[str, int]:
        trained = self.log.evidence().drop_duplicates("trial")
        return {str(stage): len(rows) for stage, rows in trained.groupby("stage", sort=False)}


class TestPilot:
    def test_the_plan_stays_where_the_length_tells_something(self):
        lab = DigitsLab(learns_after=1)
        lab.go()
        (first, pilot), (second, everything) = lab.launched
        assert first == second == "training-2"
        assert len(pilot) == PILOT
        assert everything == list(lab.problem.candidates)
        assert lab.spent == 2 * N  # the pilot is part of it
        assert lab.said == []

    def test_fewer_and_longer_where_it_tells_nothing(self):
        lab = DigitsLab(learns_after=4)
        lab.go()
        assert lab.stages == {"training-2": PILOT, "training-4": (120 - 2 * PILOT) // 4}
        assert lab.spent <= 120
        (line,) = lab.said
        assert line.startswith(f"2 epochs tell too little: {PILOT} trainings reach ")
        assert line.endswith(" chance is 10.0%; fewer candidates are trained for 4 epochs")
        same = set(lab.launched[0][1])
        assert same <= set(lab.launched[-1][1])

    def test_doubled_until_it_does(self):
        lab = DigitsLab(learns_after=8, budget=240.0)
        lab.go()
        assert lab.stages == {"training-2": PILOT, "training-4": PILOT, "training-8": (240 - 6 * PILOT) // 8}
        assert len(lab.said) == 2

    def test_doubled_only_while_the_budget_is_enough_for_a_pilot(self):
        lab = DigitsLab(learns_after=1000)
        lab.go()
        assert lab.stages == {"training-2": PILOT, "training-4": PILOT, "training-8": (120 - 6 * PILOT) // 8}
        assert lab.spent <= 120

    @pytest.mark.parametrize("budget", [16.0, 50.0, 80.0, 111.0, 143.5, 160.0, 500.0])
    @pytest.mark.parametrize("learns_after", [1, 3, 6, 20, 1000])
    def test_never_more_than_the_budget(self, budget, learns_after):
        lab = DigitsLab(learns_after=learns_after, budget=budget)
        shorts = TrainingSpec(epochs=2, candidates=min(N, int(budget // 2)))
        fulls = int((budget - shorts.cost(shorts.candidates)) // 100)
        lab.go(shorts, *([TrainingSpec(epochs=100, candidates=fulls)] if fulls else []))
        assert lab.spent <= budget
        assert min(ANCHORS, fulls) <= lab.stages.get("training-100", 0) <= fulls

    @pytest.mark.parametrize("learns_after", [4, 8, 1000])
    @pytest.mark.parametrize("first", [200.0, 215.0, 229.0])
    @pytest.mark.parametrize("second", [230.0, 239.0, 261.0, 400.0])
    def test_an_extended_run_keeps_its_budget(self, learns_after, first, second):
        lab = DigitsLab(learns_after=learns_after)
        lab.ranker = LogRanker(lab_problem := replace(lab.problem, full_epochs=40), lab.log)
        for budget in (first, second):
            lab.budget = budget
            fulls = int((budget - 2 * N) // lab_problem.full_epochs)
            lab.go(TrainingSpec(epochs=2), TrainingSpec(epochs=40, candidates=fulls))
            assert lab.spent <= budget
        assert lab.stages["training-40"] <= fulls

    def test_no_pilot_where_nothing_longer_could_be_paid(self):
        lab = DigitsLab(learns_after=1000, budget=2 * PILOT + 4 * PILOT - 1)
        lab.go(TrainingSpec(epochs=2, candidates=20))
        assert [len(codes) for _, codes in lab.launched] == [20]

    @pytest.mark.parametrize("unknown", ["images", "classes"])
    def test_no_pilot_where_chance_or_noise_is_unknown(self, unknown):
        lab = DigitsLab(learns_after=1000)
        lab.ranker = LogRanker(replace(lab.problem, **{unknown: None}), lab.log)
        lab.go()
        assert lab.stages == {"training-2": N}

    def test_no_pilot_where_the_trainings_were_asked_for(self):
        lab = DigitsLab(learns_after=1000)
        lab.go(adaptive=False)
        assert lab.launched == [("training-2", list(lab.problem.candidates))]

    @pytest.mark.parametrize("candidates", ["all", 20])
    def test_a_round_that_began_without_a_pilot_goes_on_without(self, candidates):
        lab = DigitsLab(learns_after=1000)
        lab.go(TrainingSpec(epochs=2, candidates=candidates), adaptive=False)
        before = lab.stages
        lab.go(TrainingSpec(epochs=2, candidates=candidates))
        assert lab.stages == before
        assert lab.said == []

    def test_failed_pilots_are_no_reason(self):
        lab = DigitsLab(learns_after=1)
        lab.quality[:] = np.nan
        lab.go()
        assert lab.stages == {"training-2": N}

    def test_a_resumed_run_does_the_same_wherever_it_was_interrupted(self):
        class StoppedError(Exception):
            pass

        whole = DigitsLab(learns_after=8, budget=240.0)
        whole.go()
        parts = DigitsLab(learns_after=8, budget=240.0)
        for allowed in (0, 1, 1, 1):
            left = [allowed]

            def launch(spec, codes, left=left):
                if not left[0]:
                    DigitsLab.launch(parts, spec, codes[: len(codes) // 2])
                    raise StoppedError
                left[0] -= 1
                DigitsLab.launch(parts, spec, codes)

            with pytest.raises(StoppedError):
                run_rounds(parts.ranker, [TrainingSpec(epochs=2)], launch=launch, budget_epochs=240.0, adaptive=True)
        for adaptive in (True, False):  # what was decided holds, also where stages have been added since
            parts.go(adaptive=adaptive)
            assert parts.stages == whole.stages
            assert parts.spent == whole.spent
            assert parts.launched[-1] == whole.launched[-1]

    def test_why_sees_the_stages_that_there_are(self):
        lab = DigitsLab(learns_after=4)
        plan = [TrainingSpec(epochs=2)]
        assert list(revised(plan, lab.log)) == plan
        lab.go()
        stages = list(revised(plan, lab.log))
        assert [spec.stage for spec in stages] == ["training-2", "training-4"]
        for spec in stages:
            trained = lab.log.evidence().query("stage == @spec.stage")["architecture"]
            assert sorted(chosen_before(lab.problem.candidates, spec, lab.log)) == sorted(trained)
        assert choice_of(lab.log, stages[0]) == "8 first, to see whether so short trainings tell candidates apart"
        said = choice_of(lab.log, stages[1])
        assert said.startswith("8 first, since 2 epochs tell too little: 8 trainings reach ")
        assert "; then 18 more of 40 by design: " in said
        assert "56 epochs saved on the 14 others" in said


class TestSeconds:
    """A budget in time: candidates differ by 50 times in the seconds of an epoch."""

    def test_all_that_is_left_goes_to_full_trainings(self):
        lab = Lab()
        purse = lab.purse("3 core-hours")
        lab.run(TrainingSpec(epochs=2), LONG, adaptive=True, budget=700.0, purse=purse)
        assert len(lab.launched[0][1]) == N
        fulls = lab.launched[-1][1]
        cheapest_left = min(lab.epoch_seconds[code] for code in set(lab.problem.candidates) - set(fulls))
        assert 0 <= purse.left() < FULL * cheapest_left
        assert lab.seconds == pytest.approx(3 * 3600 - purse.left())

    def test_candidates_are_chosen_for_their_seconds(self):
        aware, plain = Lab(), Lab()
        purse = aware.purse("10m")
        aware.run(SHORT, adaptive=True, budget=40.0, purse=purse)
        plain.run(SHORT)
        chosen, others = aware.launched[-1][1], plain.launched[-1][1]
        mean = np.mean(list(aware.epoch_seconds.values()))
        # As much work as that of 20 average candidates, spread over more of them.
        assert len(chosen) > len(others) == 20
        assert sum(aware.epoch_seconds[code] for code in chosen) <= 20 * mean
        reason = choice_of(aware.log, SHORT)
        assert "most informative about those of the others for their seconds" in reason
        assert "epochs saved" not in reason

    def test_slower_than_measured_there_are_fewer(self):
        slow, fast = Lab(), Lab()
        for lab, slower in ((slow, 1.5), (fast, 1.0)):
            purse = lab.purse("3 core-hours", slower=slower)
            lab.run(TrainingSpec(epochs=2), LONG, adaptive=True, budget=700.0, purse=purse)
            assert purse.left() >= 0
        assert len(slow.launched[-1][1]) < len(fast.launched[-1][1])

    def test_a_stage_of_an_experiment_trains_as_many_as_it_asks_for(self):
        lab = Lab()
        lab.run(TrainingSpec(epochs=2), LONG, purse=lab.purse("30 core-hours"))
        assert len(lab.launched[-1][1]) == 8
        short = Lab()
        short.run(TrainingSpec(epochs=2), LONG, purse=short.purse("0.31 core-hours"))
        assert 0 < len(short.launched[-1][1]) < 8

    def test_resumed_it_is_the_same(self):
        lab = Lab()
        purse = lab.purse("3 core-hours")
        for _ in range(2):
            lab.run(TrainingSpec(epochs=2), LONG, adaptive=True, budget=700.0, purse=purse)
            spent, chosen = lab.seconds, set(lab.launched[-1][1])
        assert set(lab.launched[-1][1]) == chosen
        assert lab.seconds == spent

    def test_more_time_goes_on_from_there(self):
        lab = Lab()
        purse = lab.purse("2 core-hours")
        lab.run(TrainingSpec(epochs=2), LONG, adaptive=True, budget=700.0, purse=purse)
        before = lab.launched[-1][1]
        longer = replace(purse, budget=read_budget("4 core-hours"))
        lab.run(TrainingSpec(epochs=2), LONG, adaptive=True, budget=700.0, purse=longer)
        assert set(before) < set(lab.launched[-1][1])
        assert longer.left() >= 0
