"""Any metric is ranked by its own direction, and predicted in its own unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import taurank
from taurank.orchestrator.ranker import MetricScale

FULL, SHORT = 20, 6


def draw(seed: int, candidates: int = 30, ended: int = 10) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Losses by epoch of which some are trained to the end, the ends of all, and what they depend on."""
    generator = np.random.default_rng(seed)
    depth = generator.uniform(0, 1, candidates)
    ends = 0.4 + 0.5 * (1 - depth) + generator.normal(0, 0.06, candidates)
    slow = generator.normal(1.5, 0.15, candidates)
    rows = []
    for net in range(candidates):
        for epoch in range(1, (FULL if net < ended else SHORT) + 1):
            gap = slow[net] * (np.exp(-epoch / 4) - np.exp(-FULL / 4))
            noise = generator.normal(0, 0.01) if epoch < FULL else 0.0
            rows.append({"net": f"net-{net}", "epoch": epoch, "val_loss": ends[net] + gap + noise})
    truth = pd.Series(ends, index=[f"net-{net}" for net in range(candidates)])
    return pd.DataFrame(rows), truth, pd.DataFrame({"net": truth.index, "depth": depth})


def test_losses_are_ranked_by_falling_value_and_shown_in_their_unit() -> None:
    rows, truth, features = draw(0)
    ranking = taurank.rank(rows, full_epochs=FULL, metric="val_loss", features=features)
    table = ranking.to_frame().set_index("candidate")
    assert taurank.kendall_tau(-table["rank"], -truth).tau > 0.75
    assert taurank.kendall_tau(-table["predicted"], -truth).tau > 0.75
    trained = truth.index[:10]
    assert np.allclose(table.loc[trained, "predicted"], truth[trained])
    assert (table["low"] < table["predicted"]).all()
    assert (table["predicted"] < table["high"]).all()


def test_what_is_predicted_lies_in_its_interval_as_often_as_it_says() -> None:
    inside = []
    for seed in range(8):
        rows, truth, features = draw(seed)
        table = taurank.rank(rows, full_epochs=FULL, metric="val_loss", features=features).to_frame()
        table = table.set_index("candidate").loc[truth.index[10:]]
        inside += list((truth[table.index] >= table["low"]) & (truth[table.index] <= table["high"]))
    assert 0.8 <= np.mean(inside) <= 1


@pytest.mark.parametrize(
    ("rename", "change", "mode"),
    [
        ("val_loss", lambda loss: 1000 * loss, None),
        ("perplexity", lambda loss: np.exp(loss), None),
        ("log_likelihood", lambda loss: -loss, "max"),
        ("psnr", lambda loss: 40 - 10 * loss, None),
        ("score_a", lambda loss: loss - 5, "min"),
    ],
)
def test_the_order_does_not_depend_on_the_unit(rename: str, change: object, mode: str | None) -> None:
    rows, _, features = draw(1)
    first = taurank.rank(rows, full_epochs=FULL, metric="val_loss", features=features).to_frame()
    changed = rows.assign(**{rename: change(rows["val_loss"])})  # type: ignore[operator]
    changed = changed[["net", "epoch", rename]]
    second = taurank.rank(changed, full_epochs=FULL, metric=rename, mode=mode, features=features).to_frame()
    ranks = [table.set_index("candidate")["rank"] for table in (first, second)]
    assert taurank.kendall_tau(*ranks).tau > 0.9
    ends = changed.groupby("net")[rename].last()
    shown = second.set_index("candidate")["predicted"]
    trained = [f"net-{net}" for net in range(10)]
    assert np.allclose(shown[trained], ends[trained])


def test_an_accuracy_and_a_wrong_mode() -> None:
    rows, truth, features = draw(2)
    accuracy = rows.assign(val_acc=np.exp(-rows["val_loss"]))[["net", "epoch", "val_acc"]]
    table = taurank.rank(accuracy, full_epochs=FULL, metric="val_acc", features=features).to_frame()
    assert taurank.kendall_tau(-table.set_index("candidate")["rank"], -truth).tau > 0.75
    turned = taurank.rank(accuracy, full_epochs=FULL, metric="val_acc", mode="min", features=features).to_frame()
    assert taurank.kendall_tau(-turned.set_index("candidate")["rank"], -truth).tau < -0.7


def test_a_training_is_not_better_for_having_run_longer() -> None:
    """The bad ones ran to the end, and the good ones not."""
    rows = [
        {"net": f"net-{net}", "epoch": epoch, "acc": 0.5 + 0.02 * net + 0.2 * (1 - np.exp(-epoch / 3))}
        for net in range(12)
        for epoch in range(1, (20 if net < 6 else 8) + 1)
    ]
    table = taurank.rank(rows, full_epochs=20, metric="acc").to_frame()
    assert taurank.kendall_tau(-table["rank"], table["candidate"].str[4:].astype(int)).tau > 0.9


def test_a_failed_training_is_last_and_says_so() -> None:
    rows, _, _ = draw(3)
    rows.loc[(rows["net"] == "net-4") & (rows["epoch"] == FULL), "val_loss"] = np.inf
    last = taurank.rank(rows, full_epochs=FULL, metric="val_loss").to_frame().iloc[-1]
    assert last["candidate"] == "net-4"
    assert last["problem"] == "failed: its last value is not finite"
    assert np.isnan(last["predicted"])


def test_short_trainings_of_a_schedule_of_their_own_are_no_beginning_of_full_ones() -> None:
    rows, truth, features = draw(4)
    rows["schedule_epochs"] = np.where(rows["net"].str[4:].astype(int) < 10, FULL, SHORT)
    ranking = taurank.rank(rows, full_epochs=FULL, metric="val_loss", features=features)
    table = ranking.to_frame().set_index("candidate")
    assert set(table["evidence"]) == {f"{FULL} epochs", f"{SHORT} epochs"}
    assert taurank.kendall_tau(-table["rank"], -truth).tau > 0.6


def test_less_known_candidates_make_less_certain_orders() -> None:
    """Without features nothing but the trainings themselves is known."""
    rows, _, _ = draw(5)
    short = taurank.rank(rows[rows["epoch"] <= 3], full_epochs=FULL, metric="val_loss")
    assert np.isnan(short.to_frame()["predicted"]).all()
    all_ended, _, _ = draw(5, ended=30)
    some = taurank.rank(rows, full_epochs=FULL, metric="val_loss").expected_tau
    assert some < taurank.rank(all_ended, full_epochs=FULL, metric="val_loss").expected_tau


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    "values", [[0.2, 0.5, 0.9], [1.0, 2.0, 1e6], [-3.0, 0.0, 7.0], [4.0, 4.0, 4.0], [1e-9, 2e-9, 3e-9]]
)
def test_a_scale_rises_with_quality_and_can_be_undone(mode: str, values: list[float]) -> None:
    array = np.array(values)
    scale = MetricScale.of(array, array, mode)  # type: ignore[arg-type]
    found = scale.accuracies(array)
    assert ((found >= 0) & (found <= 1)).all()
    assert np.allclose(scale.values(found), array, rtol=1e-6)
    rising = np.diff(found) * (1 if mode == "max" else -1)
    assert (rising > 0).all() or np.ptp(array) == 0
