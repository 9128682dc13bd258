"""The ranking against the truth: tau and its company, the baselines it has to beat, and the speed-up as measured."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
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
    """How many times cheaper than one full training of all candidates; everything counted; NaN: nothing was spent."""

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
        speed_up: None unless the run has trained every candidate itself, by at least one seed.
        truth: full training.
        coverage: share of the intervals of predicted accuracy that hold the truth; NaN without intervals, and where the
            truth is no accuracy in [0, 1].
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
    """The truth from a run's own full trainings.

    A baseline that was cut off has a seed that reached only some candidates: it counts only while no seed has reached
    all that any seed has. Candidates whose full training failed have no truth.

    Raises:
        ScoringError: the run has no two candidates with a finished baseline training.
    """
    rows = log.evidence()
    rows = rows[(rows["stage"] == BASELINE) & (rows["metric"] == "test_accuracy")]
    seeds = _by_seed(rows, candidates)
    known = np.isfinite(seeds).any(axis=0)
    if known.sum() < 2:
        raise ScoringError(f"{log.path.parent} has no finished baseline trainings; run them, or give --baseline")
    whole = np.isfinite(seeds[:, known]).all(axis=1)
    return _truth(seeds[whole] if whole.any() else seeds, "test accuracy")


def read_truth(source: Path, candidates: Sequence[str], *, parse: Callable[[str], str] | None = None) -> Truth:
    """The truth from another run's folder, or from a CSV with the columns ``architecture`` and ``value``.

    Several rows of one architecture are its seeds, in the order in which they stand. An empty value is a missing one.

    Args:
        source: folder or CSV file.
        candidates: codes of the architectures that were ranked; others in the source are left out.
        parse: turns another spelling (a short name) into the code, or raises ``ValueError``.

    Raises:
        ScoringError: neither of the two, a value that is no number, or nothing in common with the candidates.
    """
    if source.is_dir():
        log = EvidenceLog(source / "evidence.sqlite")
        if not log.path.is_file():
            raise ScoringError(f"{source} is not the folder of a run: it has no evidence.sqlite")
        return baseline_truth(log, candidates)
    try:
        table = pd.read_csv(source, dtype=str, skipinitialspace=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ScoringError(f"{source} cannot be read as CSV: {reason}") from None
    if not {"architecture", "value"} <= set(table.columns):
        found = ", ".join(map(str, table.columns))
        raise ScoringError(f"{source} needs the columns 'architecture' and 'value'; it has {found}")
    values = pd.to_numeric(table["value"], errors="coerce")
    broken = np.flatnonzero(values.isna() & table["value"].notna())
    if len(broken):
        row = int(broken[0])
        raise ScoringError(f"{source}, row {row + 1}: value {table['value'].iloc[row]!r} is not a number")
    table["value"] = values.where(np.isfinite(values))
    table = table.dropna(subset="architecture")
    codes = set(candidates)
    table["architecture"] = [_code(text, codes, parse) for text in table["architecture"]]
    table["seed"] = table.groupby("architecture").cumcount()
    seeds = _by_seed(table, candidates)
    if np.isfinite(seeds).any(axis=0).sum() < 2:
        raise ScoringError(f"{source} has fewer than two of the ranked architectures; is it of the same candidates?")
    return _truth(seeds, "value")


def _code(text: str, codes: Collection[str], parse: Callable[[str], str] | None) -> str:
    if text in codes or parse is None:
        return text
    try:
        return parse(text)
    except ValueError:  # not of this space, so not of this ranking
        return text


def _by_seed(rows: pd.DataFrame, candidates: Sequence[str]) -> NDArray[np.float64]:
    """Values by seed and candidate, (seeds, candidates); NaN = none."""
    table = rows.pivot_table(index="seed", columns="architecture", values="value")
    return table.reindex(columns=list(candidates)).to_numpy(dtype=float).reshape(-1, len(candidates))


def _truth(seeds: NDArray[np.float64], metric: str) -> Truth:
    count = np.isfinite(seeds).sum(axis=0)
    values = np.where(count > 0, np.nansum(seeds, axis=0) / np.maximum(count, 1), np.nan)
    return Truth(values=values, seeds=tuple(seed for seed in seeds if np.isfinite(seed).sum() >= 2), metric=metric)


def score_ranking(
    ranking: Ranking, truth: Truth, log: EvidenceLog, candidates: Sequence[str], *, full_epochs: int
) -> Score:
    """Scores a ranking against the truth, beside what each source alone would have given."""
    table = ranking.table.set_index("architecture").reindex(list(candidates))
    scores = -table["rank"].to_numpy(dtype=float)
    known = np.isfinite(truth.values)
    rows = log.evidence()
    evidence, baseline = rows[rows["stage"] != BASELINE], rows[rows["stage"] == BASELINE]
    full_seconds = _seconds_of_full_training(baseline, log.outcomes(), len(candidates))

    top = min(TOP, int(known.sum()))
    complete = [seed[known] for seed in truth.seeds if np.isfinite(seed[known]).all()]
    low, high = table["accuracy_low"].to_numpy(dtype=float), table["accuracy_high"].to_numpy(dtype=float)
    accuracies = bool(((truth.values[known] >= 0) & (truth.values[known] <= 1)).all())
    stated = np.isfinite(low) & known & accuracies
    inside = (truth.values >= low) & (truth.values <= high)
    return Score(
        candidates=tuple(candidates),
        ranking=agreement(scores, truth.values),
        top_overlap=top_overlap(scores[known], truth.values[known], top),
        top=top,
        ceiling=ceiling(scores[known], complete),
        sources=_source_scores(evidence, candidates, truth, full_epochs=full_epochs, full_seconds=full_seconds),
        speed_up=_speed_up(log, evidence, baseline, full_seconds, float(full_epochs * len(candidates))),
        truth=truth,
        coverage=float(inside[stated].mean()) if stated.any() else np.nan,
    )


def _source_scores(
    evidence: pd.DataFrame, candidates: Sequence[str], truth: Truth, *, full_epochs: int, full_seconds: float
) -> tuple[SourceScore, ...]:
    sources = []
    for metric in ("parameters", "flops"):
        size = evidence[(evidence["source"] == "size") & (evidence["metric"] == metric)]
        if len(size):
            values = size.groupby("architecture")["value"].mean().reindex(list(candidates)).to_numpy(dtype=float)
            sources.append(SourceScore(f"{metric} only", values, agreement(values, truth.values), np.nan))
    seconds = evidence.groupby("stage")["seconds"].sum()
    for view in make_views(evidence, candidates, full_epochs=full_epochs):
        if view.name != "size" and np.isfinite(view.order).sum() >= 3:
            speed_up = _ratio(full_seconds, float(seconds.get(view.stage, np.nan)))
            sources.append(SourceScore(view.name, view.values, agreement(view.order, truth.values), speed_up))
    return tuple(sources)


def _seconds_of_full_training(baseline: pd.DataFrame, ended: Collection[str], candidates: int) -> float:
    """Device seconds of one full training of everybody: mean over the seeds that have ended, NaN for none."""
    seconds = [
        rows["seconds"].sum()
        for _, rows in baseline.groupby("seed")
        if rows.loc[rows["trial"].isin(list(ended)), "architecture"].nunique() == candidates
    ]
    return float(np.mean(seconds)) if seconds else np.nan


def _speed_up(
    log: EvidenceLog, evidence: pd.DataFrame, baseline: pd.DataFrame, full_seconds: float, full_epochs: float
) -> SpeedUp | None:
    if not np.isfinite(full_seconds):
        return None
    wall = log.wall_seconds()
    # Several seeds, one of them perhaps cut off: the wall time of one in proportion.
    full_wall = wall.get(BASELINE, np.nan) * _ratio(full_seconds, float(baseline["seconds"].sum()))
    return SpeedUp(
        epochs=_ratio(full_epochs, float(evidence["epochs"].sum())),
        seconds=_ratio(full_seconds, float(evidence["seconds"].sum())),
        wall=_ratio(full_wall, sum(seconds for stage, seconds in wall.items() if stage != BASELINE)),
    )


def _ratio(whole: float, part: float) -> float:
    return whole / part if part > 0 else np.nan
