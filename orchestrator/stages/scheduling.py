"""The inputs of a policy, its limits and the logged curves, and a check of both before training."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

import pandas as pd

from taurank.orchestrator.evidence import ACCURACY, FROZEN, TRAIN_LOSS, EvidenceLog, RankedMetric
from taurank.orchestrator.experiment import TrainingSpec
from taurank.schedulers.curves import Metric
from taurank.schedulers.policies import Curve, Driver, Limits, State, make_policy

_STATES: Mapping[str, State] = {"completed": "finished", "stopped": "stopped", "failed": "failed"}


def training_limits(spec: TrainingSpec, *, slots: int = 1, points: tuple[int, ...] | None = None) -> Limits:
    """The limits of the trainings of a stage.

    Args:
        spec: of the trainings.
        slots: number of concurrent trainings.
        points: epochs at which they report, up to the last one; None for every epoch.
    """
    # Policies count epochs of their own trainings: with less data one costs less than a full epoch.
    budget = math.inf if spec.budget_epochs is None else spec.budget_epochs / spec.epoch_cost
    return Limits(points[-1] if points else spec.last_epoch, budget, slots, points=points)


def check_policy(spec: TrainingSpec, count: int, *, points: tuple[int, ...] | None = None) -> None:
    """Checks that the policy of a stage, if any, can make its first decision on ``count`` trainings.

    Raises:
        ValueError: the policy cannot satisfy the limits; one line.
    """
    if spec.scheduler.is_policy and count:
        policy = make_policy(spec.scheduler.name, **spec.scheduler.options)
        Driver(policy, training_limits(spec, points=points), {str(trial): () for trial in range(count)}).choose()


def features_by_code(encoding: pd.DataFrame) -> dict[str, tuple[float, ...]]:
    """The rows of an encoding, (architectures, features), by code."""
    rows = encoding.to_numpy(dtype=float).tolist()
    return {str(code): tuple(row) for code, row in zip(encoding.index, rows, strict=True)}


def kind_of(metric: RankedMetric, curves: Iterable[Curve]) -> Metric:
    """What policies and curve models take the values of a metric for, by its direction and the values so far."""
    if metric.lower_is_better:
        return "loss"
    values = [value for curve in curves for value in curve.values if math.isfinite(value)]
    return "accuracy" if all(0 <= value <= 1 for value in values) else "score"


def logged_curves(
    log: EvidenceLog, stage: str, trials: Collection[str], metric: RankedMetric = ACCURACY
) -> list[Curve]:
    """The logged learning curves of these trials; frozen trials are paused."""
    rows = log.evidence()
    rows = rows[(rows["stage"] == stage) & rows["trial"].isin(list(trials))]
    measured = rows[rows["metric"] == metric.name].set_index(["trial", "epoch"])["value"].sort_index()
    losses = rows[(rows["metric"] == TRAIN_LOSS) & (not metric.is_own)].set_index(["trial", "epoch"])["value"]
    losses = losses.reindex(measured.index)
    outcomes = log.outcomes()
    curves = []
    for trial, values in measured.groupby(level="trial", sort=False):
        training = losses.loc[values.index]
        event = outcomes.get(str(trial), ("", ""))[0]
        curves.append(
            Curve(
                str(trial),
                tuple(int(epoch) for epoch in values.index.get_level_values("epoch")),
                tuple(float(value) for value in values),
                training=tuple(float(loss) for loss in training) if training.notna().any() else (),
                state=_STATES.get(event, "paused"),
            )
        )
    seen = {curve.trial for curve in curves}
    unmeasured = [trial for trial in trials if trial not in seen and outcomes.get(trial, (FROZEN, ""))[0] != FROZEN]
    return curves + [Curve(trial, state=_STATES[outcomes[trial][0]]) for trial in unmeasured]
