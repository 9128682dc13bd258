"""The truth for scoring a ranking: a run's own full trainings, another run's, or recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.evidence import ACCURACY, BASELINE, EvidenceLog, RankedMetric
from taurank.orchestrator.scoring.baseline_sample import BaselineSample, sampled_baseline
from taurank.orchestrator.text import CsvError, read_text_cells
from taurank.trainables.table import Direction, direction_of, read_table, truth_metrics

UNKNOWN_SEED = -1
"""In a table of recorded trainings: the mean over seeds, or an unrecorded seed."""


MISSING = ("", "-", "na", "n/a", "nan", "null", "none")
"""How a CSV writes a value that is missing, in lower case."""
SEED, VALUE = "seed", "value"
LISTED = 5
"""Number of architectures, and of rows of each, that a line names."""


class ScoringError(ValueError):
    """There is no truth for scoring, or it is of other architectures."""


@dataclass(frozen=True)
class Truth:
    """Full-training results.

    Attributes:
        values: mean over the seeds, higher is better, (candidates,); NaN = none.
        seeds: the results of each seed, (candidates,) each; none where only a mean was recorded.
        metric: what was measured.
        sample: the design by which those with a truth were drawn; None if the truth is not a designed sample.
        lower_is_better: whether it was measured the other way round; values and seeds then have the other sign.
        notes: lines on how the source was read.
    """

    values: NDArray[np.float64]
    seeds: tuple[NDArray[np.float64], ...]
    metric: str
    sample: BaselineSample | None = None
    lower_is_better: bool = False
    notes: tuple[str, ...] = ()

    @property
    def measured(self) -> NDArray[np.float64]:
        """The values as they were measured, (candidates,); NaN = none."""
        return -self.values if self.lower_is_better else self.values


def baseline_truth(log: EvidenceLog, candidates: Sequence[str], metric: RankedMetric = ACCURACY) -> Truth:
    """The truth from a run's own full trainings, by the metric of its candidates.

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
    rows = rows[(rows["stage"] == BASELINE) & (rows["metric"] == metric.final)]
    if metric.is_own:
        # Each epoch has a value, and the truth is that of the end.
        rows = rows[rows["epoch"] == rows["schedule_epochs"]]
        rows = rows.assign(value=rows["value"].map(metric.rising))
    seeds = _by_seed(rows, candidates)
    known = np.isfinite(seeds).any(axis=0)
    if known.sum() < 2:
        raise ScoringError(f"{log.path.parent} has no finished baseline trainings; run them, or give --baseline")
    whole = np.isfinite(seeds[:, known]).all(axis=1)
    name = metric.name if metric.is_own else "test accuracy"
    found = _truth(seeds[whole] if whole.any() else seeds, name, sample)
    return replace(found, lower_is_better=metric.lower_is_better)


def read_truth(
    source: Path,
    candidates: Sequence[str],
    *,
    parse: Callable[[str], str] | None = None,
    lower_is_better: bool | None = None,
    ranked: RankedMetric = ACCURACY,
) -> Truth:
    """The truth from another run's folder, a table of recorded trainings (.parquet), or a CSV.

    A CSV has the columns ``architecture`` and ``value``, or one other column instead of ``value``. Several rows of one
    architecture are its seeds, by the column ``seed`` or in the order in which they stand, and an empty value is a
    missing one. Of a table it is the test accuracy at the end of the full schedule, or the validation accuracy where
    there is none, or another metric of which one end is better.

    Args:
        source: folder or file.
        candidates: codes of the architectures that were ranked; others in the source are left out.
        parse: turns another spelling (a short name) into the code, or raises ``ValueError``.
        lower_is_better: whether a lower value is better; None: what the name of the column or the table says.
        ranked: metric of the run; that of a folder is the same.

    Raises:
        ScoringError: none of the three, a value that is not a number, or no architecture in common with the candidates.
        TableError: a parquet file that is not a table of recorded trainings.
    """
    asked: Direction | None = None if lower_is_better is None else "lower" if lower_is_better else "higher"
    if source.is_dir():
        log = EvidenceLog(source / "evidence.sqlite")
        if not log.path.is_file():
            raise ScoringError(f"{source} is not the folder of a run: it has no evidence.sqlite")
        if asked is not None and (asked == "lower") != ranked.lower_is_better:
            raise ScoringError(
                f"--{asked}-is-better: the baseline of {source} is of {ranked.final_title}; leave the option out"
            )
        return baseline_truth(log, candidates, ranked)
    is_table = source.suffix == ".parquet"
    rows, metric, direction, notes = (_recorded if is_table else _from_csv)(source, asked)
    codes = set(candidates)
    rows["architecture"] = [_code(text, codes, parse) for text in rows["architecture"]]
    if not is_table:
        notes += [*_repeated(source, rows, metric), *_unknown(source, rows, codes)]
    if SEED not in rows:
        rows[SEED] = rows.groupby("architecture").cumcount()
    if direction == "lower":
        rows["value"] = -rows["value"]
    seeds = _by_seed(rows, candidates)
    if np.isfinite(seeds).any(axis=0).sum() < 2:
        raise ScoringError(f"{source} has fewer than two of the ranked architectures; is it of the same candidates?")
    truth = replace(_truth(seeds, metric), lower_is_better=direction == "lower", notes=tuple(notes))
    return replace(truth, seeds=()) if (rows[SEED] == UNKNOWN_SEED).all() else truth


_Read = tuple[pd.DataFrame, str, Direction, list[str]]
"""Rows with the columns architecture, value and perhaps seed; the metric, which end of it is better, and notes."""


def _from_csv(source: Path, asked: Direction | None) -> _Read:
    try:
        table = read_text_cells(source).fillna("").apply(lambda column: column.str.strip())
    except CsvError as error:
        raise ScoringError(str(error)) from None
    metric = _value_column(source, [str(column) for column in table.columns])
    rows = table[["architecture", *([SEED] if SEED in table else [])]].copy()
    rows["value"] = _numbers(source, table[metric])
    if SEED in table:
        rows[SEED] = _numbers(source, table[SEED])
    rows = rows[table["architecture"] != ""]
    direction, note = _direction(f"{source}: {metric}", metric, asked)
    return rows, metric, direction, [note]


def _value_column(source: Path, columns: Sequence[str]) -> str:
    """The column of the truth: `value`, or the only one beside `architecture` and `seed`."""
    others = [column for column in columns if column not in ("architecture", SEED)]
    if "architecture" in columns and (VALUE in columns or len(others) == 1):
        return VALUE if VALUE in columns else others[0]
    found = ", ".join(" ".join(column.split()) for column in columns)
    way_out = "; name the one that is the truth 'value'" if "architecture" in columns and others else ""
    raise ScoringError(f"{source} needs the columns 'architecture' and 'value'; it has {found}{way_out}")


def _numbers(source: Path, column: pd.Series) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce")
    broken = np.flatnonzero(values.isna() & ~column.str.lower().isin(MISSING))
    if len(broken):
        row = int(broken[0])
        raise ScoringError(f"{source}, row {row + 1}: {column.name} {column.iloc[row]!r} is not a number")
    return values.where(np.isfinite(values))


def _direction(what: str, name: str, asked: Direction | None) -> tuple[Direction, str]:
    """Which end is better, and a line that says where that is from."""
    if asked is not None:
        return asked, f"{what}: {asked} is better, as asked"
    named = direction_of(name)
    if named != "none":
        other = "higher" if named == "lower" else "lower"
        return named, f"{what}: {named} is better, by its name; --{other}-is-better says otherwise"
    return "higher", f"{what}: higher is assumed to be better; add --lower-is-better for losses or errors"


def _repeated(source: Path, rows: pd.DataFrame, metric: str) -> list[str]:
    """Lines on architectures that have several rows, with the same value and with different ones.

    Raises:
        ScoringError: a seed of an architecture has two rows.
    """
    keys = ["architecture", SEED] if SEED in rows else ["architecture", "value"]
    twice = rows.duplicated(keys) & rows["value"].notna()
    if not twice.any():
        return _several(source, rows)
    row = int(np.argmax(twice.to_numpy()))
    last = rows.iloc[row]
    first = int(rows.index[(rows[keys] == last[keys]).all(axis=1)][0])
    place = f"{source}, row {int(rows.index[row]) + 1}: {last['architecture']!r}"
    if SEED in rows:
        raise ScoringError(f"{place} has seed {last[SEED]:g} in row {first + 1}, too; leave one of the rows")
    count = int(twice.sum())
    more = f" ({count} such rows)" if count > 1 else ""
    same = f"{place} has the {metric} of row {first + 1}{more}: read as another seed; remove it if it is the same row"
    return [same, *_several(source, rows)]


def _several(source: Path, rows: pd.DataFrame) -> list[str]:
    """A line on architectures with rows of different values, which are taken for seeds since no column says so."""
    if SEED in rows:
        return []
    present = rows.dropna(subset="value")
    values = present.groupby("architecture", sort=False)["value"].nunique()
    found = values.index[values > 1]
    if found.empty:
        return []
    have = "1 architecture has" if len(found) == 1 else f"{len(found):,} architectures have"
    return [f"{source}: {have} several rows: read as seeds: {_listed(present, found.tolist())}"]


def _unknown(source: Path, rows: pd.DataFrame, codes: Collection[str]) -> list[str]:
    """A line on rows of architectures that are not ranked."""
    other = rows[~rows["architecture"].isin(codes)]
    if other.empty:
        return []
    are = "1 row is of an architecture" if len(other) == 1 else f"{len(other):,} rows are of architectures"
    return [f"{source}: {are} that the run does not have: {_listed(other, other['architecture'].unique().tolist())}"]


def _listed(rows: pd.DataFrame, codes: Sequence[str]) -> str:
    """The first architectures with their rows, counted from 1."""
    parts = []
    for code in codes[:LISTED]:
        places = [f"{index + 1}" for index in rows.index[rows["architecture"] == code]]
        more = ", ..." if len(places) > LISTED else ""
        parts.append(f"{code} (row{'s' if len(places) > 1 else ''} {', '.join(places[:LISTED])}{more})")
    return ", ".join(parts) + (f" and {len(codes) - LISTED:,} more" if len(codes) > LISTED else "")


def _recorded(source: Path, asked: Direction | None) -> _Read:
    """Final results, one row per architecture and seed, and which they are.

    Several seeds are used individually; with fewer, the recorded mean over seeds is the better truth, if there is one.
    """
    table = read_table(source)
    full = table.full_epochs
    metrics = truth_metrics(table, directed=asked is None) if full else []
    for metric in metrics:
        finals = {seed: table.final(metric, schedule_epochs=full, seed=seed).dropna() for seed in table.seeds(full)}
        finals = {seed: final for seed, final in finals.items() if len(final)}
        known = [seed for seed in finals if seed != UNKNOWN_SEED]
        seeds = known if len(known) >= 2 or UNKNOWN_SEED not in finals else [UNKNOWN_SEED]
        if seeds:
            rows = [
                pd.DataFrame({"architecture": finals[seed].index, SEED: seed, "value": finals[seed].to_numpy()})
                for seed in seeds
            ]
            recorded, name = table.info.metrics[metric].direction, metric.replace("_", " ")
            if "accuracy" in metric and asked == "lower":
                raise ScoringError(f"--lower-is-better: the truth of {source} is {name}; leave the option out")
            direction: Direction = asked or recorded
            note = f"{source}: {name} after {full} epochs: {direction} is better"
            return pd.concat(rows, ignore_index=True), name, direction, [note]
    raise ScoringError(
        f"{source} has no result after full training to score against (of source training, at the end of a schedule, "
        f"not of training images, one end better); it has {', '.join(table.info.metrics)}"
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
