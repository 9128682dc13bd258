"""Ray's own loggers beside the evidence log: TensorBoard, CSV, JSON, MLflow, Weights & Biases.

Each trial has a folder with the name of its architecture in ``tune/STAGE`` of the run, written while it runs. A trial
that starts again reports its curve from the beginning, so its folder is written anew.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback, LoggerCallback, TBXLoggerCallback

PACKAGES = {"tensorboard": ("tensorboardX", "tensorboard"), "mlflow": ("mlflow", "mlflow"), "wandb": ("wandb", "wandb")}
"""Module that a logger needs, and the optional extra of taurank that installs it."""
OURS = ("evidence", "scores", "taken_from", "unsaved", "reason", "outcome")
"""Parts of a result for the evidence log."""
LONGEST = 80
"""Characters of an architecture in the name of a folder."""


class LoggerError(ValueError):
    """A logger whose package is missing; one line with the way out."""


def check_loggers(names: Sequence[str]) -> None:
    """Refuses loggers whose packages are not installed, before anything is spent.

    Raises:
        LoggerError: says what to install.
    """
    for name in names:
        module, extra = PACKAGES.get(name, ("", ""))
        if module and find_spec(module) is None:
            raise LoggerError(f"loggers: {name} is not installed; pip install 'taurank[{extra}]', or omit it")


def folder_name(label: str, trial: str) -> str:
    """Name of the folder of a trial: its architecture, and a few letters that tell its trainings apart."""
    shown = re.sub(r"[^\w.=+,-]+", "_", label).strip("_.")[:LONGEST]
    return f"{shown}-{hashlib.sha256(trial.encode()).hexdigest()[:6]}"


def make_loggers(
    names: Sequence[str], *, run: str, folder: Path, labels: Callable[[Trial], str]
) -> list[tune.Callback]:
    """Ray's callbacks of these names, for one launch of a stage.

    Args:
        names: ``tensorboard``, ``csv``, ``json``, ``mlflow``, ``wandb``.
        run: name of the run, which is the experiment of MLflow and the group of Weights & Biases.
        folder: of the stage.
        labels: returns the architecture of a trial.

    Raises:
        LoggerError: a package is missing.
    """
    check_loggers(names)
    folders: dict[str, Path] = {}

    def folder_of(trial: Trial) -> Path:
        key = str(trial.config["trial"])
        if key not in folders:
            folders[key] = folder / folder_name(labels(trial), key)
            shutil.rmtree(folders[key], ignore_errors=True)
        return folders[key]

    return [_Logger(_made(name, run, folder), folder_of) for name in names]


def _made(name: str, run: str, folder: Path) -> LoggerCallback:
    if name == "mlflow":
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        uri = os.environ.get("MLFLOW_TRACKING_URI") or (folder.parent.parent / "mlruns").absolute().as_uri()
        made = MLflowLoggerCallback(tracking_uri=uri, experiment_name=run)
    elif name == "wandb":
        from ray.air.integrations.wandb import WandbLoggerCallback

        made = WandbLoggerCallback(project="taurank", group=run)
    else:
        made = {"csv": CSVLoggerCallback, "json": JsonLoggerCallback, "tensorboard": TBXLoggerCallback}[name]()
    return made


class _Logged:
    """A trial as a logger of Ray sees it: with the folder of the run as its own."""

    checkpoint = None

    def __init__(self, trial: Trial, folder: Path) -> None:
        self._trial, self.local_path = trial, str(folder)

    def init_local_path(self) -> None:
        Path(self.local_path).mkdir(parents=True, exist_ok=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    def __str__(self) -> str:
        return str(self._trial)


class _Logger(tune.Callback):  # type: ignore[misc]
    """Passes results on without what only the evidence log needs, the metrics of an epoch by their names."""

    def __init__(self, logger: LoggerCallback, folder_of: Callable[[Trial], Path]) -> None:
        self._logger, self._folder_of = logger, folder_of
        self._seen: dict[str, _Logged] = {}
        self._last: dict[str, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it with a state that is never restored

    def setup(self, *args: Any, **info: Any) -> None:
        self._logger.setup(*args, **info)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        if trial.trial_id not in self._seen:  # a resumed one goes on
            self._logger.log_trial_start(self._logged(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        epoch = int(result.get("epoch", 0))
        # A trial that has lost its worker reports from the beginning again.
        if epoch > self._last.get(trial.trial_id, -1):
            self._last[trial.trial_id] = epoch
            self._logger.log_trial_result(iteration, self._logged(trial), plain_result(result))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, failed=False)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Keeps the files open: the trial starts again."""

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        for trial in trials:
            self._end(trial, failed=False)
        self._logger.on_experiment_end(trials=trials, **info)

    def _end(self, trial: Trial, *, failed: bool) -> None:
        logged = self._seen.pop(trial.trial_id, None)
        if logged is not None:
            self._logger.log_trial_end(logged, failed=failed)

    def _logged(self, trial: Trial) -> _Logged:
        if trial.trial_id not in self._seen:
            self._seen[trial.trial_id] = _Logged(trial, self._folder_of(trial))
        return self._seen[trial.trial_id]


def plain_result(result: dict[str, Any]) -> dict[str, Any]:
    """A result for a logger: what Tune adds, and each finite metric of the epoch."""
    plain = {name: value for name, value in result.items() if name not in OURS}
    rows = result.get("evidence", ())
    plain |= {metric: value for _, _, metric, value, *_ in rows if math.isfinite(value)}
    return plain
