"""The results of a trial that Tune has restored, from its own files.

``Tuner.restore`` brings back trials, their last results and their checkpoints, but no scheduler: it begins anew. The
learning curves are read again from ``result.json`` in the folder of each trial, which Tune's default loggers write.
Lost are

- the reasons and predictions of earlier decisions (of an ended trial; the others are decided on again),
- results that Tune had not yet copied to the storage when it was interrupted,
- without those loggers (``TUNE_DISABLE_AUTO_CALLBACK_LOGGERS=1``) all results but the last of each trial.

Epochs between the last checkpoint of a trial and its last result are trained again and change nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ray.air.constants import EXPR_RESULT_FILE
from ray.tune.experiment import Trial
from ray.tune.utils import flatten_dict

from taurank.schedulers.measure import Measure, Ticks, number
from taurank.schedulers.policies import Curve

_log = logging.getLogger(__name__)


def restored_curve(key: str, trial: Trial, time_attr: str, metric: str, ticks: Ticks, measure: Measure) -> Curve | None:
    """The curve of a trial of an earlier part of the run; None for a new trial."""
    points: dict[int, float] = {}
    last = flatten_dict(trial.last_result or {})
    if time_attr not in last and not trial.is_finished():
        return None
    for result in reported_results(trial, last) if time_attr in last else ():
        if time_attr in result and metric in result:
            step = ticks.of_time(number(time_attr, result[time_attr]))
            if step > max(points, default=0):
                points[step] = measure.read(metric, number(metric, result[metric]))
    ended = {Trial.TERMINATED: "stopped", Trial.ERROR: "failed"}.get(trial.status)
    if ended == "stopped" and max(points, default=0) >= ticks.count:
        ended = "finished"
    return Curve(key, tuple(points), tuple(points.values()), state=ended or "paused")  # type: ignore[arg-type]


def reported_results(trial: Trial, last: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a restored trial, flat, in the order of their report, up to the last one, which Tune has kept."""
    results = list(_results_on_file(trial))
    if not results:
        _log.warning("%s of trial %s cannot be read: only its last result is known", EXPR_RESULT_FILE, trial.trial_id)
    return [*results, last]


def _results_on_file(trial: Trial) -> Iterator[dict[str, Any]]:
    file = PurePosixPath(trial.storage.trial_fs_path, EXPR_RESULT_FILE).as_posix()
    try:
        with trial.storage.storage_filesystem.open_input_stream(file) as stream:
            lines = stream.readall().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            result = json.loads(line)
        except ValueError:
            return  # an interruption cuts the last line
        if isinstance(result, dict):
            yield flatten_dict(result)
