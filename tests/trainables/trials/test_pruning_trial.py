"""The trial of a pruning without a cluster: Ray Tune's class is made here directly."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar
from zlib import crc32

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import pytest

import taurank.trainables.trials.pruning
from taurank.spaces import get_space
from taurank.trainables.data import ImageData
from taurank.trainables.proxies import Active, PruningConfig, draw_batch, prune_by_importance
from taurank.trainables.trials import PruningTrial, TrialSpec, kept_options
from tests.trainables.direct_trials import make_trial, results, spec_of

NAMES = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3")
CONFIG = PruningConfig((NAMES,) * 6, (0, 1))
MakeTrial = Callable[..., PruningTrial]


class Pretended:
    """Another figure for each set of operations and seed; counts what it measures, and breaks where it is told to."""

    measured: ClassVar[list[tuple[Active, int]]] = []
    breaks_at: int | None = None

    def __init__(self, images: object, *, classes: int) -> None:
        pass

    def __call__(self, active: Active, seed: int) -> tuple[float, float]:
        if len(self.measured) == self.breaks_at:
            return math.nan, 1.0
        self.measured.append((active, seed))
        generator = np.random.default_rng([seed, crc32(repr(active).encode())])
        return float(1 + generator.random()), float(10 + generator.random())


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, digits: ImageData) -> MakeTrial:
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))
    monkeypatch.setattr(taurank.trainables.trials.pruning, "RESULT_SECONDS", 1e-9)  # one network a result
    monkeypatch.setattr(taurank.trainables.trials.pruning, "AveragedNetwork", Pretended)
    monkeypatch.setattr(Pretended, "measured", [])
    batch = draw_batch(digits, images=4, seed=0)

    def make(spec: TrialSpec) -> PruningTrial:
        made: PruningTrial = make_trial(PruningTrial, spec, batch, stage="run pruning")
        return made

    return make


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return spec_of(tmp_path, trial="pruning/0", space="nasbench201", pruning=CONFIG, epoch_share=0.25)


def test_a_row_for_each_network_and_the_options_that_are_left(make: MakeTrial, spec: TrialSpec) -> None:
    rows = results(make(spec))
    evidence = [row for one in rows for row in one["evidence"]]
    measured = [row for row in evidence if row[2] == "condition_number"]
    assert [row[1] for row in measured] == list(range(1, CONFIG.networks + 1))
    assert {row[5] for row in measured} == {0.25}
    assert all(row[0] == "" for row in evidence)  # of no candidate
    assert [row["outcome"] for row in rows[-2:]] == ["", "completed"]
    expected = prune_by_importance(CONFIG.active, Pretended(None, classes=10), seeds=CONFIG.seeds).active
    decisions = get_space("nasbench201").decisions
    kept = kept_options((row[2], row[3]) for row in evidence)
    assert [names[place] for names, place in zip(decisions, kept, strict=True)] == [name for (name,) in expected]


def test_another_worker_goes_on_with_the_next_network(make: MakeTrial, spec: TrialSpec) -> None:
    whole = results(make(spec))[-1]["evidence"][-6:]
    Path(spec.checkpoint).unlink()
    Pretended.measured.clear()
    first = make(spec)
    for _ in range(10):
        first.train()
    again = results(make(spec))
    assert again[-1]["evidence"][-6:] == whole
    assert len(Pretended.measured) == len(set(Pretended.measured)) == CONFIG.networks


def test_figures_that_are_none_are_the_outcome_of_the_trial(
    make: MakeTrial, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pretended, "breaks_at", 5)
    last = results(make(spec))[-1]
    assert last["outcome"] == "failed"
    assert "measure: gave NaN" in last["reason"]
