"""A model that takes over what an earlier one has computed ranks as one that computes all of it."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.ranker import (
    RankerOptions,
    RankingModel,
    choose_full_trainings,
    model,
    regressors,
    short_runs,
)

FULL, COUNT = 40, 24
CODES = [f"c{index:02d}" for index in range(COUNT)]
QUALITY = np.random.default_rng(0).normal(size=COUNT)
ENCODING = pd.DataFrame(
    {"a": QUALITY + np.random.default_rng(1).normal(size=COUNT), "b": np.arange(COUNT)}, index=CODES
)


def trainings(epochs: int, indices: range) -> pd.DataFrame:
    noise = np.random.default_rng(epochs).normal(size=COUNT)
    rows = [
        {
            "stage": f"training-{epochs}",
            "trial": f"training-{epochs}/{CODES[index]}",
            "architecture": CODES[index],
            "source": "training",
            "epoch": epochs,
            "schedule_epochs": epochs,
            "seed": 0,
            "metric": "validation_accuracy",
            "value": 0.5 + 0.05 * (QUALITY[index] + 0.3 * noise[index]),
            "seconds": 0.0,
            "epochs": float(epochs),
        }
        for index in indices
    ]
    return pd.DataFrame(rows)


BEFORE = trainings(2, range(16))
AFTER = pd.concat([BEFORE, trainings(FULL, range(4, 20))], ignore_index=True)


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for an equality, in a tenth of the time."""
    for module in (short_runs, regressors):
        monkeypatch.setattr(module, "TREES", 30)


@pytest.fixture
def make() -> Callable[..., RankingModel]:
    def made(evidence: pd.DataFrame, *, seed: int = 0, encoding: pd.DataFrame = ENCODING, **rest) -> RankingModel:
        return RankingModel(evidence, encoding, full_epochs=FULL, seed=seed, **rest)

    return made


@pytest.fixture
def earlier(make: Callable[..., RankingModel]) -> RankingModel:
    """A model that has gone through the stages before full trainings."""
    first = make(BEFORE)
    choose_full_trainings(first, 3)
    return first


def test_full_trainings_leave_the_stages_before_them(make, earlier) -> None:
    with patch.object(model, "complete_short_runs") as completed, patch.object(model, "prior_order") as prior:
        taken_over = make(AFTER, earlier=earlier).ranking()
    completed.assert_not_called()
    prior.assert_not_called()
    alone = make(AFTER).ranking()
    pd.testing.assert_frame_equal(taken_over.table, alone.table, check_exact=True)
    assert (taken_over.samples == alone.samples).all()


@pytest.mark.parametrize(
    ("evidence", "changes"),
    [
        (trainings(2, range(17)), {}),
        (BEFORE.assign(value=BEFORE["value"].mask(BEFORE.index == 3, 0.1)), {}),
        (pd.concat([BEFORE, trainings(3, range(16))]), {}),
        (BEFORE, {"seed": 1}),
        (BEFORE, {"encoding": ENCODING.assign(b=0.0)}),
        (BEFORE, {"options": RankerOptions(aggregation="borda")}),
    ],
    ids=["one more", "another value", "another stage", "another seed", "another encoding", "another aggregation"],
)
def test_whatever_else_changes_is_computed_anew(evidence, changes, make, earlier) -> None:
    found = make(evidence, earlier=earlier, **changes)
    with patch.object(model, "complete_short_runs", wraps=model.complete_short_runs) as completed:
        assert (found.prior.scores == make(evidence, **changes).prior.scores).all()
    assert completed.call_count == 2
