"""Evidence rows to views: one column per way of looking at the candidates, each oriented so that higher is better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from taurank.orchestrator.evidence import CONTENDERS, PRETEXT
from taurank.orchestrator.ranker.contenders import rank_again

Scores = NDArray[np.float64]
Kind = Literal["size", "proxy", "pretext", "supernet", "training", "loss"]
POLICY_MARK = ":"
"""In the name of a stage whose policy ends trainings early."""
LOWER_IS_BETTER = frozenset({"proxy:ntk_condition"})
"""Proxies whose direction is down, as `taurank.trainables.proxies` has them; the ranker runs without torch."""


@dataclass(frozen=True)
class View:
    """The values of one source for the candidates.

    Attributes:
        name: the stage for trainings, pretext tasks and supernets, the metric for size, the source for proxies.
        kind: ``loss`` is the training loss of trainings whose accuracy is another view; ``pretext`` is the accuracy of
            the candidate in a task without labels.
        values: accuracy in [0, 1] or another score, (candidates,); NaN where the source has no value.
        order: the same as something to rank by: differs from ``values`` where trials ended at different epochs.
        fidelity: share of full training that it stands for, in [0, 1]; 0 for what is no training of the candidate.
        reached: share of full training that each candidate got, (candidates,): below ``fidelity`` where it ended early.
        stage: the stage whose cost it is.
        sds: standard deviation of values that are predictions, or that a supernet has measured on few images, in their
            unit, (candidates,); NaN where it is unknown or the candidate was trained so far. One NaN for all where no
            value has one.
        halfway: what ``order`` was at about half of the length, of trainings that were all cut at the same epoch,
            (candidates,). One NaN for all where no such epoch is known, and for trainings to the end of a schedule.
    """

    name: str
    kind: Kind
    values: Scores
    order: Scores
    fidelity: float
    reached: Scores
    stage: str
    sds: Scores = field(default_factory=lambda: np.array(np.nan))
    halfway: Scores = field(default_factory=lambda: np.array(np.nan))

    @property
    def is_training(self) -> bool:
        """Whether the candidates themselves were trained for what they are ranked by."""
        return self.kind in ("training", "loss")

    @property
    def is_accuracy(self) -> bool:
        """Whether ``values`` are accuracies that approach the final one as fidelity grows."""
        return self.kind == "training"

    @property
    def is_loss(self) -> bool:
        """Whether it is a training loss (negated) beside an accuracy of the same trainings."""
        return self.kind == "loss"

    @property
    def is_final(self) -> bool:
        """Whether its values are those of the end of full training, measured or predicted."""
        return self.kind == "training" and self.fidelity >= 1

    @property
    def is_short(self) -> bool:
        """Whether it is of trainings that are shorter than full training."""
        return self.is_training and not self.is_final

    @property
    def reliability(self) -> float:
        """Share of the variance of its values that is not noise, in [0, 1]; NaN where no noise is known."""
        return reliability(self.values, self.sds)

    def equals(self, other: View) -> bool:
        """Whether the other view has the same name, kind, fidelity and values."""
        return (self.name, self.kind, self.fidelity) == (other.name, other.kind, other.fidelity) and all(
            np.array_equal(getattr(self, column), getattr(other, column), equal_nan=True)
            for column in ("values", "order", "reached", "sds", "halfway")
        )


def make_views(evidence: pd.DataFrame, candidates: Sequence[str], *, full_epochs: int) -> list[View]:
    """Views from the rows of an evidence log, in the order in which their stages came.

    Full trainings that were ended early and left a prediction are seen by that prediction, beside those that ran to the
    end. Where some have no prediction the order among all of a stage is (last epoch, accuracy there), since an accuracy
    after 3 epochs cannot be compared with one after 30; those that ran to the end are seen by their accuracy as well.

    Trainings that all ran equally long are also seen by their training loss. It sums over many more images than a
    validation accuracy does, and orders short trainings better where validation is noisy: the training speed estimate
    TSE-E of Ru et al. 2021 with E = 1.

    Trainings by a pretext task are one view a stage: a score of theirs, and no fidelity of full training.

    Trainings on less data stand for the share of full training that they cost; none of them is a full one.
    """
    index = pd.Index(candidates)
    views: list[View] = []
    found = evidence[evidence["architecture"].isin(index)]
    for source in found["source"].unique():
        rows = found[found["source"] == source]
        if source == "size":
            views.extend(_cheap(str(metric), "size", own, index, "size") for metric, own in rows.groupby("metric"))
        elif source.startswith("proxy:"):
            rows = rows[rows["metric"] == "score"]
            stage = str(rows["stage"].iloc[0]) if len(rows) else ""
            views.append(_cheap(str(source), "proxy", rows, index, stage, sign=-1 if source in LOWER_IS_BETTER else 1))
    for stage in found.loc[found["metric"] == "validation_accuracy", "stage"].unique():
        rows = found[found["stage"] == stage]
        if rows["source"].iloc[0] == "training":
            views.extend(_training_views(str(stage), rows, index, full_epochs))
        elif rows["source"].iloc[0].startswith(PRETEXT):
            views.append(_pretext_view(str(stage), rows, index))
        else:
            views.append(_supernet_view(str(stage), rows, index))
    return [view for view in views if np.isfinite(view.values).any() or np.isfinite(view.order).any()]


def _cheap(name: str, kind: Kind, rows: pd.DataFrame, index: pd.Index, stage: str, *, sign: int = 1) -> View:
    values = sign * rows.groupby("architecture")["value"].mean().reindex(index).to_numpy(dtype=float)
    return View(name, kind, values, values, 0.0, np.zeros(len(index)), stage)


def _supernet_view(stage: str, rows: pd.DataFrame, index: pd.Index) -> View:
    """Accuracies with inherited weights; contenders that were trained on from these are ranked by how they then did."""

    def last(metric: str, rows: pd.DataFrame) -> Scores:
        own = rows[rows["metric"] == metric].sort_values("epoch").groupby("architecture")["value"].last()
        return own.reindex(index).to_numpy(dtype=float)

    trained_on = rows["source"].str.endswith(CONTENDERS)
    scored = rows[~trained_on]
    values, sds = last("validation_accuracy", scored), last("validation_accuracy_sd", scored)
    again = rank_again(values, sds, last("validation_accuracy", rows[trained_on]))
    return View(stage, "supernet", values, again, 0.0, np.zeros(len(index)), stage, sds)


def _pretext_view(stage: str, rows: pd.DataFrame, index: pd.Index) -> View:
    """The accuracy of the last epoch in the task.

    Of those that a policy has ended early it is the one that it predicts for them; without predictions the order is
    (last epoch, accuracy there).
    """
    value, epoch = _last_accuracies(rows, index)
    predicted, sd = _predictions(rows, index)
    early = epoch < int(rows["schedule_epochs"].max())
    guessed = predicted.notna() & early
    values = order = value
    if not (early & value.notna() & ~guessed).any():
        values = order = predicted.where(guessed, value.where(~early))
    elif epoch[value.notna()].nunique() > 1:
        # Accuracies are below 1, so whole epochs come first.
        values, order = value.where(~early), epoch.where(value.notna()) + value / 2
    return View(
        stage,
        "pretext",
        values.to_numpy(dtype=float),
        order.to_numpy(dtype=float),
        0.0,
        np.zeros(len(index)),
        stage,
        sd.where(guessed).to_numpy(dtype=float),
    )


def _last_accuracies(rows: pd.DataFrame, index: pd.Index) -> tuple[pd.Series, pd.Series]:
    """Validation accuracy of the last epoch and that epoch, (candidates,) each."""
    measured = rows[rows["metric"] == "validation_accuracy"].sort_values("epoch")
    last = measured.groupby("architecture").tail(1).set_index("architecture")
    return last["value"].reindex(index), last["epoch"].reindex(index)


def _failed(rows: pd.DataFrame) -> set[str]:
    """Candidates whose last accuracy of a stage is missing."""
    last = rows[rows["metric"] == "validation_accuracy"].sort_values("epoch").groupby("architecture").tail(1)
    return set(last.loc[last["value"].isna(), "architecture"])


def _training_views(stage: str, rows: pd.DataFrame, index: pd.Index, full_epochs: int) -> Iterator[View]:
    rows = _without_cut(stage, rows)
    value, epoch = _last_accuracies(rows, index)
    # Of the stage, which is of one kind of data: other stages are other views.
    share = float(rows["epoch_share"].iloc[0]) if "epoch_share" in rows else 1.0
    schedule = int(rows["schedule_epochs"].max())
    length = schedule * share / full_epochs
    predicted, sd = _predictions(rows, index)
    early = epoch < schedule
    guessed = predicted.notna() & early
    sds = sd.where(guessed).to_numpy(dtype=float)
    reached = (epoch * share / full_epochs).clip(0.0, 1.0).fillna(0.0).to_numpy(dtype=float)
    # Accuracies are below 1, so whole epochs come first.
    order = (epoch.where(value.notna()) + value / 2).to_numpy(dtype=float)
    mixed = epoch[value.notna()].nunique() > 1
    final = predicted.where(guessed, value.where(~early)).to_numpy(dtype=float)
    seen = length >= 1 and bool(np.isfinite(final).any())
    if seen:
        yield View(stage, "training", final, final, 1.0, reached, stage, sds)
    if predicted.notna().any():
        if length < 1:
            yield View(stage, "training", final, final, length, reached, stage, sds)
        if not (early & value.notna() & ~guessed).any():
            return
        seen = True  # the next view shows trainings that ended early without a prediction, beside the others
    if (early & value.notna()).any() or length < 1:
        name = f"{stage}:until" if seen else stage
        # Trained equally long: an accuracy is what it is. Else no value of one can be set beside that of another.
        shown = value.where(epoch == schedule) if mixed else value
        fidelity = min(float(np.median(reached[value.notna()])), length) if value.notna().any() else 0.0
        fidelity = min(fidelity, 0.999)
        values = shown.to_numpy(dtype=float)
        unknown = np.array(np.nan)
        halfway = _halfway(rows, "validation_accuracy", index) if early.any() and not mixed else unknown
        yield View(name, "training", values, order if mixed else values, fidelity, reached, stage, halfway=halfway)
        if not mixed:
            yield from _loss_view(stage, rows, index, fidelity, reached, early=bool(early.any()))


def _without_cut(stage: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without trainings that no policy has ended: those that most others of the stage are ahead of.

    They are running still, or the budget ran out. That says nothing of the candidate, unlike a policy that ends a
    training because others are better. Where final values are predicted, all of them can be compared.
    """
    if POLICY_MARK in stage or (rows["metric"] == "predicted_accuracy").any():
        return rows
    last = rows[rows["metric"] == "validation_accuracy"].groupby("architecture")["epoch"].max()
    cut = last.index[last < last.max()]
    return rows[~rows["architecture"].isin(cut)] if 2 * len(cut) < len(last) else rows


def _halfway(rows: pd.DataFrame, metric: str, index: pd.Index) -> Scores:
    """The metric at the epoch nearest to half of the last one, of those that all trainings show; one NaN for none."""
    table = rows[rows["metric"] == metric].pivot_table(index="architecture", columns="epoch", values="value")
    whole = list(table.columns[table[table.iloc[:, -1].notna()].notna().all()]) if len(table) else []
    last = int(table.columns[-1]) if len(table) else 0
    before = [epoch for epoch in map(int, whole) if 1 <= epoch < last]
    if not before:
        return np.array(np.nan)
    nearest = min(before, key=lambda epoch: (abs(2 * epoch - last), epoch))
    return table[nearest].reindex(index).to_numpy(dtype=float)


def _predictions(rows: pd.DataFrame, index: pd.Index) -> tuple[pd.Series, pd.Series]:
    """The latest predictions of final accuracies and their standard deviations, (candidates,) each.

    A training that failed after it had been predicted has no prediction any more.
    """
    rows = rows[~rows["architecture"].isin(_failed(rows))]
    predictions = rows[rows["metric"].isin(["predicted_accuracy", "predicted_accuracy_sd"])]
    table = predictions.pivot_table(index=["architecture", "epoch"], columns="metric", values="value", aggfunc="last")
    table = table.reindex(columns=["predicted_accuracy", "predicted_accuracy_sd"])
    latest = table.reset_index("epoch").groupby("architecture").nth(-1).reindex(index)
    return latest["predicted_accuracy"], latest["predicted_accuracy_sd"]


def _loss_view(
    stage: str, rows: pd.DataFrame, index: pd.Index, fidelity: float, reached: Scores, *, early: bool
) -> Iterator[View]:
    """The training loss of the last epoch, negated; trainings that failed have none."""
    losses = rows[(rows["metric"] == "train_loss") & ~rows["architecture"].isin(_failed(rows))]
    last = losses.sort_values("epoch").groupby("architecture").tail(1)
    if last["epoch"].nunique() == 1:
        values = -last.set_index("architecture")["value"].reindex(index).to_numpy(dtype=float)
        halfway = -_halfway(losses, "train_loss", index) if early else np.array(np.nan)
        yield View(f"{stage}:train_loss", "loss", values, values, fidelity, reached, stage, halfway=halfway)


def reliability(values: Scores, sds: Scores) -> float:
    """Share of the variance of ``values`` that is no noise: 1 - mean(sd^2) / variance, in [0, 1].

    NaN where fewer than two have both a value and a standard deviation, or all are the same.
    """
    known = np.isfinite(values) & np.isfinite(sds)
    if known.sum() < 2 or np.ptp(values[known]) == 0:
        return math.nan
    noise = float(np.mean(np.broadcast_to(sds, values.shape)[known] ** 2))
    return float(np.clip(1 - noise / np.var(values[known], ddof=1), 0.0, 1.0))


def normal_scores(values: Scores) -> Scores:
    """Normal scores ns(x) = Phi^-1((rank - 1/2) / n) with ties averaged; NaN stays NaN, and a constant becomes 0."""
    scores = np.full(len(values), np.nan)
    known = np.isfinite(values)
    if known.any():
        ranks = stats.rankdata(values[known])
        scores[known] = stats.norm.ppf((ranks - 0.5) / known.sum())
    return scores
