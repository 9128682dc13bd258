"""The truth for scoring a ranking: a run's own full trainings, another run's, or recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.evidence import BASELINE, EvidenceLog
from taurank.orchestrator.scoring.baseline_sample import BaselineSample, sampled_baseline
from taurank.trainables.table import RecordedTable, read_table

UNKNOWN_SEED = -1
"""In a table of recorded trainings: the mean over seeds, or an unrecorded seed."""


class ScoringError(ValueError):
    """There is no truth for scoring, or it is of other architectures."""


@dataclass(frozen=True)
class Truth:
    """Full-training results.

    Attributes:
        values: mean over the seeds, (candidates,); NaN if missing.
        seeds: the results of each seed, (candidates,) each; none if only a mean was recorded.
        metric: the measured quantity.
        sample: the sampling design; None if the truth is not a designed sample.
    """

    values: NDArray[np.float64]
    seeds: tuple[NDArray[np.float64], ...]
    metric: str
    sample: BaselineSample | None = None


def baseline_truth(log: EvidenceLog, candidates: Sequence[str]) -> Truth:
    """The truth from a run's own full trainings.

    An interrupted baseline has a seed with results of only some candidates. It is used only if no seed has the results
    of all candidates that any seed has. Candidates whose full training failed have no truth.

    Raises:
        ScoringError: the run has no two candidates with a finished baseline training, or drew them from others.
    """
    sample = sampled_baseline(log)
    if sample and not (sample.candidates == len(candidates) and set(sample.strata) <= set(candidates)):
        raise ScoringError(
            f"{log.path.parent} trained {len(sample.strata)} drawn from {sample.candidates} other candidates, which "
            f"do not represent these {len(candidates)}; give a baseline of all, or of the same candidates"
        )
    rows = log.evidence()
    rows = rows[(rows["stage"] == BASELINE) & (rows["metric"] == "test_accuracy")]
    seeds = _by_seed(rows, candidates)
    known = np.isfinite(seeds).any(axis=0)
    if known.sum() < 2:
        raise ScoringError(f"{log.path.parent} has no finished baseline trainings; run them, or give --baseline")
    whole = np.isfinite(seeds[:, known]).all(axis=1)
    return _truth(seeds[whole] if whole.any() else seeds, "test accuracy", sample)


def read_truth(source: Path, candidates: Sequence[str], *, parse: Callable[[str], str] | None = None) -> Truth:
    """The truth from another run's folder, a table of recorded trainings (.parquet), or a CSV.

    A CSV has the columns ``architecture`` and ``value``; several rows of one architecture are its seeds, in file
    order, and an empty value is a missing one. From a table it is the test accuracy at the end of the full schedule, or
    the validation accuracy if there is none.

    Args:
        source: folder or file.
        candidates: codes of the ranked architectures; others in the source are ignored.
        parse: converts another spelling (a short name) to the code, or raises ``ValueError``.

    Raises:
        ScoringError: none of the three, a value that is not a number, or no architecture in common with the candidates.
        TableError: a parquet file that is not a table of recorded trainings.
    """
    if source.is_dir():
        log = EvidenceLog(source / "evidence.sqlite")
        if not log.path.is_file():
            raise ScoringError(f"{source} is not the folder of a run: it has no evidence.sqlite")
        return baseline_truth(log, candidates)
    if source.suffix == ".parquet":
        rows, metric = _recorded(read_table(source), source)
    else:
        rows, metric = _from_csv(source), "value"
    codes = set(candidates)
    rows["architecture"] = [_code(text, codes, parse) for text in rows["architecture"]]
    if metric == "value":
        rows["seed"] = rows.groupby("architecture").cumcount()
    seeds = _by_seed(rows, candidates)
    if np.isfinite(seeds).any(axis=0).sum() < 2:
        raise ScoringError(f"{source} has fewer than two of the ranked architectures; is it of the same candidates?")
    truth = _truth(seeds, metric)
    return replace(truth, seeds=()) if (rows["seed"] == UNKNOWN_SEED).all() else truth


def _from_csv(source: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(source, dtype=str, skipinitialspace=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ScoringError(f"{source} cannot be read as CSV: {reason}") from None
    if not {"architecture", "value"} <= set(table.columns):
        found = ", ".join(" ".join(str(column).split()) for column in table.columns)
        raise ScoringError(f"{source} needs the columns 'architecture' and 'value'; it has {found}")
    values = pd.to_numeric(table["value"], errors="coerce")
    broken = np.flatnonzero(values.isna() & table["value"].notna())
    if len(broken):
        row = int(broken[0])
        raise ScoringError(f"{source}, row {row + 1}: value {table['value'].iloc[row]!r} is not a number")
    table["value"] = values.where(np.isfinite(values))
    return table.dropna(subset="architecture")


def _recorded(table: RecordedTable, source: Path) -> tuple[pd.DataFrame, str]:
    """Final accuracies, one row per architecture and seed, and the metric.

    Several seeds are used individually; with fewer, the recorded mean over seeds is the better truth, if there is one.
    """
    full = table.full_epochs
    for metric in ("test_accuracy", "validation_accuracy"):
        if not full or metric not in table.info.metrics:
            continue
        finals = {seed: table.final(metric, schedule_epochs=full, seed=seed).dropna() for seed in table.seeds(full)}
        finals = {seed: final for seed, final in finals.items() if len(final)}
        known = [seed for seed in finals if seed != UNKNOWN_SEED]
        seeds = known if len(known) >= 2 or UNKNOWN_SEED not in finals else [UNKNOWN_SEED]
        if seeds:
            rows = [
                pd.DataFrame({"architecture": finals[seed].index, "seed": seed, "value": finals[seed].to_numpy()})
                for seed in seeds
            ]
            return pd.concat(rows, ignore_index=True), metric.replace("_", " ")
    raise ScoringError(
        f"{source} has no accuracy after full training (test_accuracy or validation_accuracy of source training at "
        f"the end of a schedule); it has {', '.join(table.info.metrics)}"
    )


def _code(text: str, codes: Collection[str], parse: Callable[[str], str] | None) -> str:
    if text in codes or parse is None:
        return text
    try:
        return parse(text)
    except ValueError:  # not of this space, so not of this ranking
        return text


def _by_seed(rows: pd.DataFrame, candidates: Sequence[str]) -> NDArray[np.float64]:
    """Values by seed and candidate, (seeds, candidates); NaN if missing."""
    table = rows.pivot_table(index="seed", columns="architecture", values="value")
    return table.reindex(columns=list(candidates)).to_numpy(dtype=float).reshape(-1, len(candidates))


def _truth(seeds: NDArray[np.float64], metric: str, sample: BaselineSample | None = None) -> Truth:
    count = np.isfinite(seeds).sum(axis=0)
    values = np.where(count > 0, np.nansum(seeds, axis=0) / np.maximum(count, 1), np.nan)
    kept = tuple(seed for seed in seeds if np.isfinite(seed).sum() >= 2)
    return Truth(values=values, seeds=kept, metric=metric, sample=sample)
