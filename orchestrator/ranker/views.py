"""Evidence rows to views: one column per way of looking at the candidates, each oriented so that higher is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """What one stage says about the candidates.

    Attributes:
        name: the stage; ``size`` for parameters and FLOPs.
        values: accuracy in [0, 1] or another score, (candidates,); NaN where the stage has nothing to say.
        order: the same as something to rank by: differs from ``values`` where trials ended at different epochs.
        fidelity: share of full training that the stage's schedule is, in [0, 1]; 0 for what is no training of its own.
        reached: share of full training that each candidate got, (candidates,): below ``fidelity`` where it ended early.
        is_accuracy: whether ``values`` are accuracies that approach the final one as fidelity grows.
        stage: the stage whose cost it is.
    """

    name: str
    values: Scores
    order: Scores
    fidelity: float
    reached: Scores
    is_accuracy: bool
    stage: str


def make_views(evidence: pd.DataFrame, candidates: Sequence[str], *, full_epochs: int) -> list[View]:
    """Views from the rows of an evidence log, in the order in which their stages came.

    A training that was ended early and left a prediction is seen by that prediction, beside others of its stage that
    ran to the end; without predictions the order within the stage is (last epoch, accuracy there), since an accuracy
    after 3 epochs says nothing beside one after 30.

    Trainings that all ran equally long are also seen by their training loss. It sums over many more images than a
    validation accuracy does, and orders short trainings better where validation is noisy: the training speed estimate
    TSE-E of Ru et al. 2021 with E = 1.
    """
    index = pd.Index(candidates)
    views = []
    size = evidence[evidence["source"] == "size"]
    if len(size):
        columns = [
            normal_scores(rows.groupby("architecture")["value"].mean().reindex(index).to_numpy())
            for _, rows in size.groupby("metric")
        ]
        values = np.mean(columns, axis=0)
        views.append(View("size", values, values, 0.0, np.zeros(len(index)), False, "size"))
    for stage in evidence.loc[evidence["metric"] == "validation_accuracy", "stage"].unique():
        rows = evidence[(evidence["stage"] == stage) & (evidence["architecture"] != "")]
        views.append(_stage_view(str(stage), rows, index, full_epochs))
        if views[-1].is_accuracy:
            views.extend(_loss_view(str(stage), rows, index))
    return [view for view in views if np.isfinite(view.values).any()]


def _stage_view(stage: str, rows: pd.DataFrame, index: pd.Index, full_epochs: int) -> View:
    measured = rows[rows["metric"] == "validation_accuracy"].sort_values("epoch")
    last = measured.groupby("architecture").tail(1).set_index("architecture")
    value = last["value"].reindex(index)
    epoch = last["epoch"].reindex(index)
    schedule = int(rows["schedule_epochs"].max())
    predicted = rows[rows["metric"] == "predicted_accuracy"].groupby("architecture")["value"].last().reindex(index)
    if predicted.notna().any():
        value = predicted.where(predicted.notna() & (epoch < schedule), value)
        order = value.to_numpy(dtype=float)
    else:
        # Accuracies are below 1, so whole epochs come first.
        order = (epoch.where(value.notna()) + value / 2).to_numpy(dtype=float)
        if epoch.nunique() > 1:
            value = value.where(epoch == schedule)
    is_training = rows["source"].iloc[0] == "training"
    reached = (epoch / full_epochs).clip(0.0, 1.0).fillna(0.0) if is_training else epoch * 0.0
    return View(
        name=stage,
        values=value.to_numpy(dtype=float),
        order=order,
        fidelity=min(schedule / full_epochs, 1.0) if is_training else 0.0,
        reached=reached.to_numpy(dtype=float),
        is_accuracy=is_training,
        stage=stage,
    )


def _loss_view(stage: str, rows: pd.DataFrame, index: pd.Index) -> list[View]:
    """The training loss of the last epoch, negated; nothing where trainings ended at different epochs."""
    losses = rows[rows["metric"] == "train_loss"].sort_values("epoch").groupby("architecture").tail(1)
    if losses["epoch"].nunique() != 1 or losses["epoch"].iloc[0] != rows["schedule_epochs"].max():
        return []
    values = -losses.set_index("architecture")["value"].reindex(index).to_numpy(dtype=float)
    return [View(f"{stage}:train_loss", values, values, 0.0, np.zeros(len(index)), False, stage)]


def normal_scores(values: Scores) -> Scores:
    """Normal scores ns(x) = Phi^-1((rank - 1/2) / n) with ties averaged; NaN stays NaN, and a constant becomes 0."""
    scores = np.full(len(values), np.nan)
    known = np.isfinite(values)
    if known.any():
        ranks = stats.rankdata(values[known])
        scores[known] = stats.norm.ppf((ranks - 0.5) / known.sum())
    return scores
