"""Trainings that failed: what is said of their candidates, and that the others are judged as without them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.ranker import (
    RankerOptions,
    Ranking,
    RankingModel,
    choose_full_trainings,
    find_failures,
    make_views,
)
from taurank.orchestrator.ranker.views import PRETEXT

FULL = 40
CODES = [f"c{index}" for index in range(12)]
QUALITY = np.linspace(1.5, -1.5, 12)
ACCURACY = 1 / (1 + np.exp(-QUALITY))
NAN = float("nan")
COLUMNS = ["stage", "architecture", "source", "epoch", "schedule_epochs", "metric", "value"]


def rows(*parts: tuple) -> pd.DataFrame:
    frame = pd.DataFrame(list(parts), columns=COLUMNS).astype({"value": float})
    frame = frame.assign(seed=0, seconds=1.0, epochs=1.0, epoch_share=1.0)
    frame["trial"] = frame["stage"] + "/" + frame["architecture"] + "/seed 0"
    return frame


def size() -> list[tuple]:
    return [("size", code, "size", 0, 0, "parameters", np.exp(-q)) for code, q in zip(CODES, QUALITY, strict=True)]


def curve(code: str, length: int, end: float, *, fails_at: int = 0, source: str = "training") -> list[tuple]:
    """A training up to its end, or to the epoch at which its accuracy is missing."""
    stage = f"training-{length}" if source == "training" else f"pretext-rotation-{length}"
    found = []
    for epoch in range(1, (fails_at or length) + 1):
        missing = epoch == fails_at
        found.append((stage, code, source, epoch, length, "validation_accuracy", NAN if missing else end))
        if not missing:
            found.append((stage, code, source, epoch, length, "train_loss", -np.log(end)))
    return found


def trained(length: int, failing: dict[str, int], codes=CODES) -> list[tuple]:
    return [
        row
        for code in codes
        for row in curve(code, length, float(ACCURACY[CODES.index(code)]), fails_at=failing.get(code, 0))
    ]


def ranking(frame: pd.DataFrame, **settings) -> Ranking:
    failed = settings.pop("failed", "last")
    encoding = pd.DataFrame(index=CODES)
    model = RankingModel(frame, encoding, full_epochs=FULL, seed=0, options=RankerOptions(failed=failed), **settings)
    return model.ranking()


class TestFindFailures:
    def test_all_trainings_of_one(self):
        frame = rows(*curve("c0", 2, 0.5, fails_at=1), *curve("c0", 40, 0.5, fails_at=7), *curve("c1", 2, 0.5))
        found = find_failures(frame, CODES, {"training-2/c0/seed 0": "a", "training-40/c0/seed 0": "b"})
        assert found.problems == {"c0": "failed: a; failed: b"}
        assert found.entirely == found.undecided == {"c0"}

    def test_the_longest_of_several(self):
        frame = rows(*curve("c0", 2, 0.5), *curve("c0", 40, 0.5, fails_at=7))
        found = find_failures(frame, CODES, {"training-40/c0/seed 0": "out of memory"})
        assert found.problems == {"c0": "training-40 failed: out of memory"}
        assert found.entirely == set()
        assert found.undecided == {"c0"}

    def test_a_short_one_before_a_full_one_that_ended(self):
        found = find_failures(rows(*curve("c0", 2, 0.5, fails_at=2), *curve("c0", 40, 0.5)), CODES, {})
        assert found.problems == {"c0": "training-2 failed: no accuracy is recorded"}
        assert found.undecided == set()

    def test_a_pretext_task_is_no_way_to_the_end(self):
        pretext = {"source": f"{PRETEXT}rotation"}
        only = find_failures(rows(*curve("c0", 90, 0.5, fails_at=2, **pretext)), CODES, {})
        assert only.entirely == only.undecided == {"c0"}
        beside = rows(*curve("c0", 90, 0.5, fails_at=2, **pretext), *curve("c0", 2, 0.5))
        assert find_failures(beside, CODES, {}).undecided == set()

    def test_none(self):
        found = find_failures(rows(*size(), *trained(2, {})), CODES, {"training-2/other/seed 0": "lost"})
        assert (found.problems, found.entirely, found.undecided) == ({}, set(), set())


class TestRanking:
    @pytest.mark.parametrize("fails_at", [1, 3, 4])
    def test_it_is_last_and_nothing_is_predicted(self, fails_at):
        """The two largest by size, at the first epoch, in the middle, at the end."""
        failing = {"c0": fails_at, "c1": fails_at}
        frame = rows(*size(), *trained(4, failing), *trained(FULL, {}, ["c3", "c6", "c9"]))
        reasons = {f"training-4/{code}/seed 0": "non-finite loss" for code in failing}
        found = ranking(frame, reasons=reasons)
        table = found.table.set_index("architecture")
        assert table.index.tolist()[-2:] == ["c0", "c1"]
        own = table.loc[["c0", "c1"]]
        assert own[["score", "predicted_accuracy", "accuracy_low", "accuracy_high"]].isna().all(axis=None)
        assert own["problem"].tolist() == ["failed: non-finite loss"] * 2
        # Ignorance: what is unknown may be anywhere among the twelve.
        assert (own["rank_high"] - own["rank_low"] >= 9).all()
        others = table.drop(["c0", "c1"])
        assert others[["score", "predicted_accuracy"]].notna().all(axis=None)
        assert (others["problem"] == "").all()
        assert found.failed == {"c0", "c1"}

    def test_the_expected_tau_is_that_of_the_others(self):
        frame = rows(*size(), *trained(4, {"c5": 1}))
        found = ranking(frame)
        column = found.table["architecture"].tolist().index("c5")
        without = Ranking(found.table.drop(index=column), np.delete(found.samples, column, axis=1), {}, found.certainty)
        assert found.expected_tau == without.expected_tau
        assert found.expected_tau_interval == without.expected_tau_interval

    def test_the_switch_leaves_it_to_the_other_evidence(self):
        frame = rows(*size(), *trained(4, {"c5": 1}))
        row = ranking(frame, failed="unknown").table.set_index("architecture").loc["c5"]
        assert 4 <= row["rank"] <= 9
        assert np.isfinite(row["score"])
        assert np.isnan(row["predicted_accuracy"])
        assert row["rank_high"] - row["rank_low"] >= 9
        assert row["problem"] == "failed: no accuracy is recorded"

    def test_one_that_also_trained_keeps_its_place(self):
        frame = rows(*size(), *trained(4, {}), *trained(FULL, {"c0": 30}, ["c0", "c3", "c6", "c9"]))
        row = ranking(frame).table.set_index("architecture").loc["c0"]
        assert row["rank"] <= 3
        assert np.isnan(row["predicted_accuracy"])
        assert row["rank_high"] - row["rank_low"] >= 9
        assert row["problem"] == "training-40 failed: no accuracy is recorded"

    def test_a_measured_end_outlives_another_failure(self):
        frame = rows(*size(), *trained(4, {"c3": 2}), *trained(FULL, {}, ["c3", "c6", "c9"]))
        row = ranking(frame).table.set_index("architecture").loc["c3"]
        assert row["predicted_accuracy"] == ACCURACY[3]
        assert row["rank"] < 12

    def test_when_all_failed_the_sizes_order_them(self):
        found = ranking(rows(*size(), *trained(4, dict.fromkeys(CODES, 1))))
        assert found.table["architecture"].tolist() == CODES[::-1]
        assert np.isfinite(found.table["score"]).all()
        assert np.isnan(found.expected_tau)

    def test_a_failure_is_not_trained_again(self):
        frame = rows(*size(), *trained(4, {"c2": 1}))
        model = RankingModel(frame, pd.DataFrame(index=CODES), full_epochs=FULL, seed=0)
        assert sorted(choose_full_trainings(model, 12)) == sorted(set(CODES) - {"c2"})


class TestViews:
    def test_the_others_keep_their_training_loss(self):
        frame = rows(*trained(4, {"c2": 3}))
        (_, loss) = make_views(frame, CODES, full_epochs=FULL)
        assert loss.is_loss
        assert np.isnan(loss.values[2])
        assert np.delete(loss.values, 2) == pytest.approx(np.log(np.delete(ACCURACY, 2)))

    def test_an_earlier_prediction_does_not_outlive_the_failure(self):
        predicted = [("training-40", code, "training", 2, 40, "predicted_accuracy", 0.9) for code in CODES]
        early = [row for code in CODES for row in curve(code, 40, 0.5, fails_at=5 if code == "c1" else 0)]
        early = [row for row in early if row[3] <= 5]
        (view, *_) = make_views(rows(*early, *predicted), CODES, full_epochs=FULL)
        assert np.isnan(view.values[1])
        assert np.delete(view.values, 1) == pytest.approx(np.full(11, 0.9))
