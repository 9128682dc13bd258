"""How much cheaper the evidence was than one full training of all candidates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taurank.orchestrator.evidence import BASELINE, TAKEN, EvidenceLog
from taurank.orchestrator.scoring.baseline_sample import sampled_baseline


@dataclass(frozen=True)
class SpeedUp:
    """How many times cheaper than one full training of all candidates; everything counted; NaN: nothing was spent.

    Attributes:
        epochs: in epochs of training.
        seconds: in device seconds of trials.
        wall: in wall time; NaN if only a sample was trained, or if trainings were taken over from other runs, which
            took no time.
        estimated: whether the full cost in seconds is an estimate: mean cost per sampled training times the candidates.
    """

    epochs: float
    seconds: float
    wall: float
    estimated: bool


def seconds_of_full_training(log: EvidenceLog, rows: pd.DataFrame, candidates: int) -> float:
    """Device seconds of one full training of all candidates: mean over the complete seeds, NaN for none.

    ``rows`` are all rows of the log. For a sampled baseline it is the mean cost of a training times the number of
    candidates.
    """
    sample = sampled_baseline(log)
    trained = len(sample.strata) if sample else candidates
    return candidates / trained * _seconds_per_seed(rows[rows["stage"] == BASELINE], log.outcomes(), trained)


def speed_up(log: EvidenceLog, rows: pd.DataFrame, *, full_seconds: float, full_epochs: float) -> SpeedUp | None:
    """The speed-up of a run from all rows of its log and the cost of one full training of all candidates.

    None if that cost is unknown because no seed of its baseline is complete.
    """
    if not np.isfinite(full_seconds):
        return None
    evidence, baseline = rows[rows["stage"] != BASELINE], rows[rows["stage"] == BASELINE]
    sampled = sampled_baseline(log) is not None
    taken_over = bool((log.events()["event"] == TAKEN).any())
    wall = log.wall_seconds()
    # With several seeds, possibly one incomplete: the wall time of one seed in proportion.
    full_wall = wall.get(BASELINE, np.nan) * ratio(full_seconds, float(baseline["seconds"].sum()))
    spent_wall = sum(seconds for stage, seconds in wall.items() if stage != BASELINE)
    return SpeedUp(
        epochs=ratio(full_epochs, float(evidence["epochs"].sum())),
        seconds=ratio(full_seconds, float(evidence["seconds"].sum())),
        wall=np.nan if sampled or taken_over else ratio(full_wall, spent_wall),
        estimated=sampled,
    )


def ratio(whole: float, part: float) -> float:
    """Whole divided by part, NaN if there is no part."""
    return whole / part if part > 0 else np.nan


def _seconds_per_seed(baseline: pd.DataFrame, ended: Collection[str], trained: int) -> float:
    seconds = [
        rows["seconds"].sum()
        for _, rows in baseline.groupby("seed")
        if rows.loc[rows["trial"].isin(list(ended)), "architecture"].nunique() == trained
    ]
    return float(np.mean(seconds)) if seconds else np.nan
