"""The trial without a cluster: Ray Tune's class is made here directly."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pytest

import taurank.trainables.trials.proxies
from taurank.spaces import get_space
from taurank.trainables.data import ImageData
from taurank.trainables.proxies import draw_batch
from taurank.trainables.proxies.chunk import ProxyConfig, ProxyScoring
from taurank.trainables.trials.proxies import ProxyTrial
from taurank.trainables.trials.spec import TrialSpec
from tests.trainables.direct_trials import make_trial, results, spec_of

SPACE = get_space("nasbench201", width=4, cells_per_stage=1)
CELLS = tuple(SPACE.parse(name).code for name in ("3-s3-ns3", "s-s3-1s3", "1-31-13s"))
MakeTrial = Callable[..., ProxyTrial]


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return spec_of(
        tmp_path,
        trial="proxies/1",
        space="nasbench201",
        space_options={"width": 4, "cells_per_stage": 1},
        architectures=CELLS,
        proxies=ProxyConfig(("jacob_cov", "nwot")),
    )


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, digits: ImageData) -> MakeTrial:
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))
    # One candidate a result.
    monkeypatch.setattr(taurank.trainables.trials.proxies, "RESULT_SECONDS", 1e-9)
    batch = draw_batch(digits, images=12, seed=0)

    def make(spec: TrialSpec) -> ProxyTrial:
        made: ProxyTrial = make_trial(ProxyTrial, spec, batch, stage="run proxies")
        return made

    return make


def without_seconds(rows: list[dict[str, Any]]) -> str:
    return str([[(*score[:5], score[6]) for score in row["scores"]] for row in rows])


def test_a_row_for_each_candidate_and_proxy(make: MakeTrial, spec: TrialSpec) -> None:
    rows = results(make(spec))
    assert [row["outcome"] for row in rows] == ["", "", "completed"]
    assert [row["done"] for row in rows] == [False, False, True]
    scores = [score for row in rows for score in row["scores"]]
    assert [score[:2] for score in scores] == [(code, name) for code in CELLS for name in ("jacob_cov", "nwot")]
    assert all(math.isfinite(score[2]) and score[5] > 0 and score[6] == "" for score in scores)
    assert all(row["evidence"] == [] and row["epoch"] == 0 for row in rows)


def test_as_many_as_take_a_second_are_one_result(
    make: MakeTrial, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make(spec)
    monkeypatch.setattr(taurank.trainables.trials.proxies, "RESULT_SECONDS", 3600.0)
    (row,) = results(trial)
    assert len(row["scores"]) == 6
    assert row["outcome"] == "completed"


def test_a_trial_that_lost_its_worker_goes_on_and_scores_nothing_twice(
    make: MakeTrial, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = results(make(replace(spec, checkpoint=spec.checkpoint + "2")))
    first = make(spec)
    begun = [first.train(), first.train()]
    scored: list[str] = []
    score_next = ProxyScoring.score_next

    def counted(self: ProxyScoring) -> Any:
        found = score_next(self)
        scored.append(found[0])
        return found

    monkeypatch.setattr(ProxyScoring, "score_next", counted)
    again = results(make(spec))
    assert scored == [CELLS[2]]
    assert without_seconds(again) == without_seconds(whole)
    assert str([row["scores"] for row in again[:2]]) == str([row["scores"] for row in begun])  # NaN is not NaN


def test_nothing_left_is_complete(make: MakeTrial, spec: TrialSpec) -> None:
    (row,) = results(make(replace(spec, architectures=(), proxies=ProxyConfig(()))))
    assert (row["outcome"], row["scores"]) == ("completed", [])


def test_other_proxies_are_another_trial(spec: TrialSpec) -> None:
    assert spec.fingerprint != replace(spec, proxies=ProxyConfig(("jacob_cov",))).fingerprint
    assert spec.fingerprint != replace(spec, proxies=ProxyConfig(("jacob_cov", "nwot"), (1,))).fingerprint


def test_a_void_score_has_its_reason(make: MakeTrial, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SPACE.__class__, "build", lambda *_, **__: 1 / 0)
    scores = [score for row in results(make(spec)) for score in row["scores"]]
    assert {score[6] for score in scores} == {"could not be built: ZeroDivisionError: division by zero"}
    assert all(math.isnan(score[2]) for score in scores)


def test_a_lost_gpu_makes_no_score_void(make: MakeTrial, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = make(spec)
    monkeypatch.setattr(SPACE.__class__, "build", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(taurank.trainables.trials.proxies, "gpu_is_lost", lambda: True)
    monkeypatch.setattr("taurank.trainables.trials.checkpointed.gpu_is_lost", lambda: True)
    # Tune replaces the worker and repeats the trial.
    with pytest.raises(RuntimeError, match="could not be built"):
        trial.step()


def test_settings_that_are_missing_are_the_outcome(make: MakeTrial, spec: TrialSpec) -> None:
    (row,) = results(make(replace(spec, proxies=None)))
    assert row["outcome"] == "failed"
    assert "a ProxyTrial needs their names" in row["reason"]
    assert [item[2] for item in row["evidence"]] == ["score"]
