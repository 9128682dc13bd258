"""The ranking against the truth: tau and its company, the baselines it has to beat, and the speed-up as measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.evidence import BASELINE, EvidenceLog
from orchestrator.ranker import Ranking, make_views
from orchestrator.tau import Agreement, Ceiling, agreement, ceiling, top_overlap

TOP = 5


class ScoringError(ValueError):
    """There is no truth to score against, or it is of other architectures."""


@dataclass(frozen=True)
class Truth:
    """Full-training results: ``values`` (candidates,) are the mean over ``seeds`` (one array each); NaN = none."""

    values: NDArray[np.float64]
    seeds: tuple[NDArray[np.float64], ...]
    metric: str


@dataclass(frozen=True)
class SpeedUp:
    """How many times cheaper than one full training of all candidates; everything counted."""

    epochs: float
    seconds: float
    wall: float


@dataclass(frozen=True)
class SourceScore:
    """What one view of the candidates alone would have given.

    Attributes:
        name: the view.
        values: what it says of each candidate, in the order of the candidates.
        agreement: with the truth.
        speed_up: cost of one full training of all over the view's own cost, in seconds; NaN where it cost nothing.
    """

    name: str
    values: NDArray[np.float64]
    agreement: Agreement
    speed_up: float


@dataclass(frozen=True)
class Score:
    """A scored ranking; every figure is measured in this run.

    Attributes:
        candidates: codes, in the order of all arrays here.
        ranking: agreement of the ranking with the truth (its Pearson is that of ranks).
        top_overlap: share of the true best ``top`` among our best ``top``.
        top: five, or fewer where there are fewer candidates.
        ceiling: what a second full training would reach; None with one baseline seed.
        sources: what each view alone would have given.
        speed_up: None without a baseline of our own.
        truth: full training.
        coverage: share of the intervals of predicted accuracy that hold the truth; NaN without intervals.
    """

    candidates: tuple[str, ...]
    ranking: Agreement
    top_overlap: float
    top: int
    ceiling: Ceiling | None
    sources: tuple[SourceScore, ...]
    speed_up: SpeedUp | None
    truth: Truth
    coverage: float


def baseline_truth(log: EvidenceLog, candidates: Sequence[str]) -> Truth:
    """The truth from a run's own full trainings; a seed counts when it has reached at least two candidates.

    Raises:
        ScoringError: the run has no finished baseline training.
    """
    rows = log.evidence()
    rows = rows[(rows["stage"] == BASELINE) & (rows["metric"] == "test_accuracy")]
    by_seed = rows.pivot_table(index="architecture", columns="seed", values="value").reindex(list(candidates))
    seeds = tuple(by_seed[seed].to_numpy(dtype=float) for seed in by_seed.columns if by_seed[seed].notna().sum() >= 2)
    if not seeds:
        raise ScoringError(f"{log.path.parent} has no finished baseline trainings; run them, or give --baseline")
    complete = [seed for seed in seeds if np.isfinite(seed).all()] or list(seeds)
    return Truth(values=np.mean(complete, axis=0), seeds=tuple(complete), metric="test accuracy")


def read_truth(source: Path, candidates: Sequence[str]) -> Truth:
    """The truth from another run's folder, or from a CSV with the columns ``architecture`` and ``value``.

    Several rows of one architecture are its seeds, in the order in which they stand.

    Raises:
        ScoringError: neither of the two, or nothing in common with the candidates.
    """
    if source.is_dir():
        log = EvidenceLog(source / "evidence.sqlite")
        if not log.path.is_file():
            raise ScoringError(f"{source} is not the folder of a run: it has no evidence.sqlite")
        return _in_common(baseline_truth(log, candidates), source)
    try:
        table = pd.read_csv(source)
    except (OSError, ValueError) as error:
        raise ScoringError(f"{source} cannot be read as CSV: {error}") from None
    if not {"architecture", "value"} <= set(table.columns):
        found = ", ".join(map(str, table.columns))
        raise ScoringError(f"{source} needs the columns 'architecture' and 'value'; it has {found}")
    table["value"] = pd.to_numeric(table["value"], errors="coerce")
    table["seed"] = table.groupby("architecture").cumcount()
    by_seed = table.pivot_table(index="architecture", columns="seed", values="value").reindex(list(candidates))
    seeds = tuple(by_seed[seed].to_numpy(dtype=float) for seed in by_seed.columns)
    with np.errstate(invalid="ignore"):
        values = by_seed.mean(axis=1).to_numpy(dtype=float)
    return _in_common(Truth(values=values, seeds=seeds, metric="value"), source)


def _in_common(truth: Truth, source: Path) -> Truth:
    if np.isfinite(truth.values).sum() < 2:
        raise ScoringError(f"{source} has fewer than two of the ranked architectures; is it of the same candidates?")
    return truth


def score_ranking(
    ranking: Ranking, truth: Truth, log: EvidenceLog, candidates: Sequence[str], *, full_epochs: int
) -> Score:
    """Scores a ranking against the truth, beside what each source alone would have given."""
    position = ranking.table.set_index("architecture")["rank"].reindex(list(candidates)).to_numpy(dtype=float)
    scores = -position
    known = np.isfinite(truth.values)
    rows = log.evidence()
    evidence = rows[rows["stage"] != BASELINE]
    baseline = rows[rows["stage"] == BASELINE]
    full_seconds = _seconds_of_full_training(baseline)
    stage_seconds = evidence.groupby("stage")["seconds"].sum()

    sources = []
    for metric in ("parameters", "flops"):
        size = evidence[(evidence["source"] == "size") & (evidence["metric"] == metric)].set_index("architecture")
        values = size["value"].reindex(list(candidates)).to_numpy(dtype=float)
        sources.append(SourceScore(f"{metric} only", values, agreement(values, truth.values), np.nan))
    for view in make_views(evidence, candidates, full_epochs=full_epochs):
        if view.name != "size" and np.isfinite(view.order).sum() >= 3:
            seconds = float(stage_seconds.get(view.name, np.nan))
            speed_up = full_seconds / seconds if seconds > 0 else np.nan
            sources.append(SourceScore(view.name, view.values, agreement(view.order, truth.values), speed_up))

    top = min(TOP, int(known.sum()))
    complete = [seed for seed in truth.seeds if np.isfinite(seed[known]).all()]
    table = ranking.table.set_index("architecture").reindex(list(candidates))
    inside = (truth.values >= table["accuracy_low"].to_numpy()) & (truth.values <= table["accuracy_high"].to_numpy())
    stated = np.isfinite(table["accuracy_low"].to_numpy(dtype=float)) & known
    return Score(
        candidates=tuple(candidates),
        ranking=agreement(scores, truth.values),
        top_overlap=top_overlap(scores[known], truth.values[known], top),
        top=top,
        ceiling=ceiling(scores[known], [seed[known] for seed in complete]),
        sources=tuple(sources),
        speed_up=_speed_up(log, evidence, full_seconds, full_epochs * len(candidates)),
        truth=truth,
        coverage=float(inside[stated].mean()) if stated.any() else np.nan,
    )


def _seconds_of_full_training(baseline: pd.DataFrame) -> float:
    """Device seconds of one full training of everybody: mean over the seeds."""
    return float(baseline.groupby("seed")["seconds"].sum().mean()) if len(baseline) else np.nan


def _speed_up(log: EvidenceLog, evidence: pd.DataFrame, full_seconds: float, full_epochs: float) -> SpeedUp | None:
    if not np.isfinite(full_seconds):
        return None
    wall = log.wall_seconds()
    rows = log.evidence()
    seeds = max(rows.loc[rows["stage"] == BASELINE, "seed"].nunique(), 1)
    evidence_wall = sum(seconds for stage, seconds in wall.items() if stage != BASELINE)
    return SpeedUp(
        epochs=full_epochs / float(evidence["epochs"].sum()),
        seconds=full_seconds / float(evidence["seconds"].sum()),
        wall=wall.get(BASELINE, np.nan) / seeds / evidence_wall if evidence_wall > 0 else np.nan,
    )
