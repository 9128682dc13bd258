"""The ranker on results of trainings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from taurank.orchestrator.evidence import PREDICTED, PREDICTED_SD, TRAINING, VALIDATION_ACCURACY
from taurank.orchestrator.own_results.results import Results
from taurank.orchestrator.ranker import MetricScale, Ranking, RankingModel, in_unit
from taurank.schedulers.curves import CurveMatrix, Floats, Ladder, Metric

NOT_FINITE = "its last value is not finite"


@dataclass(frozen=True)
class ResultsModel:
    """The ranker's model of some results, and the way back to their metric.

    Attributes:
        results: what is ranked.
        scale: of the metric.
        evidence: the results as rows of an evidence log, and predictions for trainings that ended at different epochs.
    """

    results: Results
    scale: MetricScale
    evidence: pd.DataFrame

    @cached_property
    def model(self) -> RankingModel:
        """The ranker on the evidence."""
        ends = self.results.last
        return RankingModel(
            self.evidence,
            self.results.features,
            full_epochs=self.results.full_epochs,
            seed=0,
            reasons=dict.fromkeys(ends.index[ends["value"].isna()], NOT_FINITE),
        )

    @cached_property
    def ranking(self) -> Ranking:
        """The posterior; its accuracies are on the scale of the ranker."""
        return self.model.ranking()

    def frame(self) -> pd.DataFrame:
        """The ranking with tiers, best first: final values as ``predicted``, ``low`` and ``high`` of the metric."""
        names = {"architecture": "candidate", "predicted_accuracy": "predicted"}
        names |= {"accuracy_low": "low", "accuracy_high": "high"}
        return self.finals(self.ranking.with_tiers).rename(columns=names)

    def finals(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table of a ranking with its final values in the unit of the metric, those measured as they were."""
        return in_unit(table, self.scale, self.measured)

    @cached_property
    def measured(self) -> pd.Series:
        """Mean over seeds of the values at the end of full training."""
        ends = self.results.last
        full = ends[(ends["epoch"] >= self.results.full_epochs) & ends["value"].notna()]
        return full.groupby("candidate")["value"].mean()


def model_of(results: Results) -> ResultsModel:
    """The ranker's model of results."""
    ends = results.last
    ends = ends[ends["value"].notna()]
    finals = ends.loc[ends["epoch"] == results.full_epochs, "value"]
    values = results.rows["value"].dropna().to_numpy(dtype=float)
    scale = MetricScale.of(values, (finals if len(finals) > 1 else ends["value"]).to_numpy(dtype=float), results.mode)
    return ResultsModel(results, scale, _evidence(results, scale))


def _evidence(results: Results, scale: MetricScale) -> pd.DataFrame:
    rows = results.rows
    several = rows["repeat"] > 0
    stage = rows["schedule_epochs"].map("{} epochs".format)
    stage = stage.where(~several, stage + ", repetition " + (rows["repeat"] + 1).astype(str))
    measured = pd.DataFrame(
        {
            "stage": stage,
            "trial": rows["training"],
            "architecture": rows["candidate"],
            "source": TRAINING,
            "epoch": rows["epoch"],
            "schedule_epochs": rows["schedule_epochs"],
            "seed": rows["repeat"],
            "metric": VALIDATION_ACCURACY,
            "value": scale.accuracies(rows["value"].to_numpy(dtype=float)),
            "seconds": rows["seconds"],
            "epochs": rows["epochs"],
            "epoch_share": 1.0,
        }
    ).sort_values(["schedule_epochs", "seed", "trial", "epoch"], kind="stable")
    predicted = [_predicted(part, results, scale) for _, part in measured.groupby("stage", sort=False)]
    return pd.concat([measured, *predicted], ignore_index=True)


def _predicted(stage: pd.DataFrame, results: Results, scale: MetricScale) -> pd.DataFrame:
    """Forecasts of the ends of trainings of one schedule that ended at different epochs; none where all ended alike.

    An accuracy after 3 epochs cannot be compared with one after 30, and it was not the ranker's policy that ended them.
    """
    ends = stage.groupby("trial", sort=False).tail(1)
    ends = ends[ends["value"].notna()]
    if ends["epoch"].nunique() < 2:
        return stage.head(0)
    own = results.rows[results.rows["training"].isin(ends["trial"])]
    curves = own.pivot_table(index="training", columns="epoch", values="value").reindex(ends["trial"])
    schedule = int(stage["schedule_epochs"].iloc[0])
    if schedule not in curves.columns:
        curves[schedule] = np.nan
    values, metric, back = _for_curves(curves.to_numpy(dtype=float), results, scale)
    features = results.features.reindex(ends["architecture"]).to_numpy(dtype=float)
    matrix = CurveMatrix(
        values, curves.columns.to_numpy(dtype=np.int64), metric, features=features if features.shape[1] else None
    )
    forecast = Ladder().forecast(matrix)
    means, sides = back(forecast.means), (back(forecast.means + side * forecast.sds) for side in (-1, 1))
    accuracies = scale.accuracies(means)
    lower, upper = (scale.accuracies(side) for side in sides)
    sds = np.abs(upper - lower) / 2
    unfinished = (ends["epoch"].to_numpy() < schedule) & np.isfinite(accuracies) & np.isfinite(sds)
    base = ends[unfinished].assign(seconds=0.0, epochs=0.0)
    return pd.concat(
        [
            base.assign(metric=PREDICTED, value=accuracies[unfinished]),
            base.assign(metric=PREDICTED_SD, value=sds[unfinished]),
        ]
    )


def _for_curves(
    values: Floats, results: Results, scale: MetricScale
) -> tuple[Floats, Metric, Callable[[Floats], Floats]]:
    """Curves in a unit that curve models know, what they are, and the way back to the unit of the metric."""
    if scale.kind == "accuracy":
        return values, "accuracy", lambda found: found
    if scale.kind == "log":
        unit = float(np.nanmedian(values))
        return values / unit, "loss", lambda found: found * unit
    sign = 1.0 if results.mode == "max" else -1.0
    middle, width = float(np.nanmedian(values)), float(np.nanstd(values)) or 1.0
    return sign * (values - middle) / width, "score", lambda found: middle + sign * width * found
