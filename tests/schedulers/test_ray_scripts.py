"""Scripts of one's own inside a real Ray Tune: functions and classes, a search algorithm, an interruption."""

from __future__ import annotations

import json
import math
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from taurank.schedulers import AshaScheduler, CurveScheduler, PenguinScheduler

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


@pytest.fixture(autouse=True)
def environment_of_a_script(monkeypatch):
    """Without what taurank sets for its own runs."""
    for name in (
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS",
        "TUNE_DISABLE_STRICT_METRIC_CHECKING",
        "TUNE_GLOBAL_CHECKPOINT_S",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("TUNE_DISABLE_SIGINT_HANDLER", raising=False)


def function(*, saves: bool) -> Any:
    """Made inside a function, so that workers need not import this file."""

    def train(config: dict[str, Any]) -> None:
        epoch, checkpoint = 0, tune.get_checkpoint()
        if checkpoint is not None:
            with checkpoint.as_directory() as folder:
                epoch = json.loads(Path(folder, "epoch.json").read_text())
        while True:
            epoch += 1
            result = {"eval": {"loss": 1 - 0.4 * config["x"] + math.exp(-epoch / 4)}, "epoch": epoch}
            if not saves:
                tune.report(result)
                continue
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "epoch.json").write_text(json.dumps(epoch))
                tune.report(result, checkpoint=tune.Checkpoint.from_directory(folder))

    return tune.with_resources(train, {"cpu": 1})


def fit(scheduler: CurveScheduler, folder: Path, *, saves: bool = True, callbacks: Any = None, **config: Any) -> Any:
    param_space = (
        {"x": tune.uniform(0, 1)} if "search_alg" in config else {"x": tune.grid_search([i / 8 for i in range(8)])}
    )
    return tune.Tuner(
        function(saves=saves),
        param_space=param_space,
        tune_config=tune.TuneConfig(
            scheduler=scheduler, metric="eval/loss", mode="min", time_budget_s=60, reuse_actors=True, **config
        ),
        run_config=tune.RunConfig(name="run", storage_path=str(folder), verbose=0, callbacks=callbacks),
    ).fit()


def trained(scheduler: CurveScheduler) -> list[int]:
    return sorted(curve.last_epoch for curve in scheduler.curves.values())


def test_eight_trials_of_which_two_may_be_concurrent(tmp_path):
    scheduler = PenguinScheduler(max_t=27)
    results = fit(scheduler, tmp_path, saves=False, max_concurrent_trials=2)
    assert [result.metrics["training_iteration"] for result in results] == [
        curve.last_epoch for curve in scheduler.curves.values()
    ]
    assert {curve.state for curve in scheduler.curves.values()} == {"stopped"}


def test_asha_where_paused_trials_fill_max_concurrent(tmp_path):
    scheduler = AshaScheduler(max_t=9)
    results = fit(scheduler, tmp_path, max_concurrent_trials=2)
    assert trained(scheduler)[0] == 1
    assert trained(scheduler)[-1] == 9
    best = results.get_best_result()
    assert best.config["x"] == 7 / 8
    assert best.metrics["training_iteration"] == 9  # it was paused and went on from its checkpoint
    assert len(best.metrics_dataframe) == 9


def test_a_search_by_optuna(tmp_path):
    scheduler = AshaScheduler(max_t=9, budget=40)
    results = fit(scheduler, tmp_path, search_alg=OptunaSearch(), num_samples=12)
    assert len(results) == 12
    assert not results.errors
    assert sum(trained(scheduler)) <= 40
    assert trained(scheduler)[-1] > trained(scheduler)[0] == 1
    frame = results.get_dataframe()
    rows = {row["trial_id"]: row for row in scheduler.rows()}
    assert set(frame["trial_id"]) <= set(rows)
    assert [rows[key]["last"] for key in frame["trial_id"]] == frame["eval/loss"].tolist()


class Interrupt(tune.Callback):
    """Sends what Ctrl-C sends, after so many results."""

    results = 0

    def on_trial_result(self, **info: Any) -> None:
        Interrupt.results += 1
        if Interrupt.results == 20:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_run_is_restored(tmp_path):
    first = CurveScheduler(max_t=27, budget=96)
    fit(first, tmp_path, callbacks=[Interrupt()])
    assert 20 <= sum(trained(first)) < 40
    tuner = tune.Tuner.restore(str(tmp_path / "run"), function(saves=True))
    results = tuner.fit()
    assert not results.errors
    last = tuner._local_tuner._tune_config.scheduler
    assert trained(last) == [12] * 8
    for key, curve in first.curves.items():
        assert last.curves[key].values[: len(curve.values)] == curve.values
