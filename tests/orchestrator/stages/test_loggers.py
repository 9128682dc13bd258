"""Ray's loggers without a cluster: which folder each trial has, what they are given, and what is missing."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from taurank.orchestrator.experiment import ExperimentError, load_experiment, with_loggers
from taurank.orchestrator.stages import LoggerError, check_loggers
from taurank.orchestrator.stages.launch import _drop_state
from taurank.orchestrator.stages.loggers import folder_name, make_loggers, plain_result


class Trial(SimpleNamespace):
    """The part of a trial of Tune that loggers use."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    checkpoint = "of Tune"

    def __str__(self) -> str:
        return str(self.label)


def trial(label: str = "a/b c", number: int = 1) -> Any:
    config = {"trial": f"training-2/{label}/seed 0"}
    return Trial(label=label, config=config, evaluated_params={}, trial_id=f"id{number}", local_path="elsewhere")


def result(epoch: int, **more: Any) -> dict[str, Any]:
    evidence = [("a", epoch, "loss", 1.0 / epoch, 2.0, 1.0), ("a", epoch, "bad", math.nan, 0.0, 0.0)]
    ours = {"evidence": evidence, "unsaved": "", "taken_from": "", "outcome": "", "reason": ""}
    return {"epoch": epoch, "training_iteration": epoch, "timesteps_total": None, "done": False} | ours | more


def logged(folder: Path, epochs: list[int], one: Any) -> pd.DataFrame:
    (logger,) = make_loggers(["csv"], run="mine-1", folder=folder, labels=str)
    for epoch in epochs:
        logger.on_trial_start(0, [one], one)
        logger.on_trial_result(0, [one], one, result(epoch))
    logger.on_trial_complete(0, [one], one)
    (found,) = folder.glob("*/progress.csv")
    return pd.read_csv(found)


def test_a_folder_has_the_name_of_the_architecture_and_each_epoch_once(tmp_path):
    one = trial()
    # It lost its worker after the second epoch, and reports from the beginning.
    found = logged(tmp_path, [1, 2, 1, 2, 3], one)
    assert found["epoch"].tolist() == [1, 2, 3]
    assert found["loss"].tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    assert sorted(found.columns) == ["done", "epoch", "loss", "timesteps_total", "training_iteration"]
    assert [path.name for path in tmp_path.iterdir()] == [folder_name("a/b c", one.config["trial"])]
    assert next(tmp_path.iterdir()).name.startswith("a_b_c-")


def test_another_launch_writes_the_folder_of_a_trial_anew(tmp_path):
    logged(tmp_path, [1, 2], trial())
    assert logged(tmp_path, [1, 2, 3], trial(number=2))["epoch"].tolist() == [1, 2, 3]


def test_tensorboard_events_can_be_read(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    one = trial()
    (logger,) = make_loggers(["tensorboard"], run="mine-1", folder=tmp_path, labels=str)
    logger.on_trial_start(0, [one], one)
    for epoch in (1, 2):
        logger.on_trial_result(0, [one], one, result(epoch))
    logger.on_experiment_end([one])
    (folder,) = tmp_path.iterdir()
    events = reading.EventAccumulator(str(folder))
    events.Reload()
    assert [event.value for event in events.Scalars("ray/tune/loss")] == [1.0, 0.5]


def test_results_for_loggers_have_finite_metrics_by_name():
    assert plain_result(result(2)) == {
        "epoch": 2,
        "training_iteration": 2,
        "timesteps_total": None,
        "done": False,
        "loss": 0.5,
    }


def test_names_of_folders_are_short_legal_and_apart():
    names = [folder_name(label, f"training/{label}/seed 0") for label in ("a" * 300, "a" * 301, "|n~0|+|é/../b|", "..")]
    assert len(set(names)) == 4
    assert all(len(name) <= 87 and "/" not in name and not name.startswith(".") for name in names)


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_one_line_that_says_what_to_install(name, monkeypatch):
    monkeypatch.setattr("taurank.orchestrator.stages.loggers.find_spec", lambda module: None)
    with pytest.raises(LoggerError, match=rf"{name} is not installed; pip install 'taurank\[{name}\]'") as caught:
        check_loggers(["csv", name])
    assert "\n" not in str(caught.value)
    check_loggers(["csv", "json"])


def test_mlflow_and_wandb_are_given_the_run(tmp_path, monkeypatch):
    made: dict[str, Any] = {}
    monkeypatch.setattr("taurank.orchestrator.stages.loggers.find_spec", lambda module: True)
    for module, name in (("mlflow", "MLflowLoggerCallback"), ("wandb", "WandbLoggerCallback")):
        integration = pytest.importorskip(f"ray.air.integrations.{module}")
        monkeypatch.setattr(integration, name, lambda module=module, **given: made.__setitem__(module, given))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "run" / "tune" / "training-2"
    make_loggers(["mlflow", "wandb"], run="mine-1", folder=folder, labels=str)
    assert made == {
        "mlflow": {"tracking_uri": (tmp_path / "run" / "mlruns").as_uri(), "experiment_name": "mine-1"},
        "wandb": {"project": "taurank", "group": "mine-1"},
    }


def test_an_experiment_takes_loggers_and_refuses_others():
    experiment = load_experiment("quickstart")
    assert with_loggers(experiment, ["csv", "csv"]).loggers == ["csv"]
    with pytest.raises(ExperimentError, match=r"--logger: 'tensorbord' is none of .*did you mean 'tensorboard'"):
        with_loggers(experiment, ["tensorbord"])
    with pytest.raises(ExperimentError, match="loggers"):
        load_experiment({"name": "t", "space": "nasbench201", "data": "digits", "loggers": ["print"]})


def test_without_keep_tune_only_logs_stay(tmp_path):
    for name in ("tuner.pkl", "experiment_state-1.json", "basic-variant-state-1.json", "a-1/progress.csv"):
        file = tmp_path / "tune" / "training-2" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    _drop_state(tmp_path / "tune", keep_logs=True)
    assert [path.name for path in (tmp_path / "tune").rglob("*") if path.is_file()] == ["progress.csv"]
    _drop_state(tmp_path / "tune", keep_logs=False)
    assert not (tmp_path / "tune").exists()
