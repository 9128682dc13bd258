"""The truth of a replay: recorded final results that are never evidence.

Grammar of ``--truth``: ``[SOURCE/METRIC] [seeds A,B,...]``.

| text | truth |
|---|---|
| empty | validation accuracy of all seeds but that of the evidence; test accuracy where there is no other seed |
| ``seeds 1,2`` | mean validation accuracy of these seeds |
| ``last`` | validation accuracy at the end of the very trainings that are the evidence |
| ``test`` | test accuracy of the trainings, short for ``training/test_accuracy`` |
| ``training:all_images/test_accuracy seeds 0`` | that metric of that source |

All of it at the end of the full schedule. Named seeds: a candidate needs them all. Without, it is the mean over the
seeds that a candidate has (but that of the evidence, where it is the same metric), or the recorded mean (seed -1) where
the table has fewer than two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from taurank.trainables.table import TRAINING_SOURCE, RecordedTable, possible_truths

EVIDENCE_METRIC = "validation_accuracy"
"""The metric that is evidence; at the evidence's seed it cannot be the truth."""
MEAN = -1
"""Seed of a recorded mean over seeds."""

ENOUGH = 0.5
"""What this share of the trainings have, an epoch, a schedule or a seed, can be used; those without it are left out."""
UNDIRECTED = (
    "the table does not say whether a higher or a lower {metric} is better; import it again with --lower-is-better or "
    "--higher-is-better"
)
OWN = "last"
"""The truth that is the last value of the very trainings that are the evidence."""

_GRAMMAR = re.compile(r"\s*(?:(?P<source>[^\s/]+)/(?P<metric>[^\s/]+))?\s*(?:seeds?\s+(?P<seeds>[-\d,\s]+))?\s*")
_SHORTHANDS = {"test": f"{TRAINING_SOURCE}/test_accuracy"}


@dataclass(frozen=True)
class Truth:
    """What an order is scored against.

    Attributes:
        source: of the trainings.
        metric: at their end.
        seeds: whose mean it is.
        values: by architecture, higher is better; NaN for none.
        evidence_seed: seed of the full trainings that are evidence.
        partial: whether some architecture has only some of the seeds.
    """

    source: str
    metric: str
    seeds: tuple[int, ...]
    values: pd.Series
    evidence_seed: int
    partial: bool

    @property
    def of_evidence_trainings(self) -> bool:
        """Whether it is another metric of the very trainings that are evidence."""
        return self.source == TRAINING_SOURCE and self.evidence_seed in self.seeds

    def __str__(self) -> str:
        if self.seeds == (MEAN,):
            return f"{self.metric} of {self.source}, recorded mean or unknown seed"
        seeds = "seed" if len(self.seeds) == 1 else "mean of seeds"
        partial = " (of those that an architecture has)" if self.partial else ""
        return f"{self.metric} of {self.source}, {seeds} {', '.join(map(str, self.seeds))}{partial}"


def make_truth(
    table: RecordedTable,
    text: str,
    *,
    full_epochs: int,
    buy_seed: int | None,
    metric: str = EVIDENCE_METRIC,
    may_meet: bool = False,
) -> Truth:
    """The truth that ``text`` asks for, and the seed of the evidence: by default the first that the truth leaves.

    Seeds of which only a few trainings are full are used by default only if no other is left.

    Args:
        table: recorded trainings.
        text: see above.
        full_epochs: length of the full schedule.
        buy_seed: seed of the trainings that are evidence; None for the default.
        metric: that of the evidence; it is the truth where ``text`` names no other.
        may_meet: whether the truth may be the end of the very trainings that are evidence, which are then shown
            before their end, and whether these may be of an unknown seed.

    Raises:
        ReplayError: the text does not follow the grammar, the table has no such result, or the truth is the evidence.
    """
    own = text.strip() == OWN
    may_meet |= own
    complete = table.seeds(full_epochs)
    trained = [seed for seed in complete if seed != MEAN] or (complete if may_meet else [])
    if not trained:
        raise ReplayError(
            "the table has no full training with a seed of its own; --truth last replays those of unknown seed, or "
            "means, against their own last value"
        )
    if buy_seed is not None and buy_seed not in trained:
        raise ReplayError(
            f"--buy-seed: {buy_seed} has no full training in the table; there are {', '.join(map(str, trained))}"
        )
    shown = metric
    usual = _usual(table, shown, full_epochs, trained)
    if own:
        buy_seed = usual[0] if buy_seed is None else buy_seed
        text = f"seeds {buy_seed}"
    source, metric, asked = _parsed(text, shown)
    if not text.strip() and len(usual) < 2:
        metric = "test_accuracy"
    _check_recorded(table, source, metric, text)
    recorded = table.seeds(full_epochs, source)
    is_evidence = source == TRAINING_SOURCE and metric == shown
    left = [seed for seed in trained if not (is_evidence and seed in (asked or ()))] or (trained if may_meet else [])
    if buy_seed is None and not left:
        raise ReplayError(
            f"--truth: it takes all seeds of the table ({', '.join(map(str, trained))}), none is left as evidence"
        )
    evidence_seed = next((seed for seed in left if seed in usual), left[0]) if buy_seed is None else buy_seed
    seeds = asked or _all_seeds(recorded, but=evidence_seed if is_evidence else None)
    for seed in seeds:
        if seed not in recorded:
            known = ", ".join(map(str, recorded)) or "none"
            raise ReplayError(f"--truth: seed {seed} of {source} has no full training; there are {known}")
    if is_evidence and evidence_seed in seeds and not may_meet:
        raise ReplayError(
            f"--truth: seed {evidence_seed} is that of the evidence, which cannot be the truth; "
            "leave it out, or choose another with --buy-seed"
        )
    finals = [table.final(metric, schedule_epochs=full_epochs, seed=seed, source=source) for seed in seeds]
    by_seed = pd.concat(finals, axis=1) if finals else pd.DataFrame()
    values = by_seed.mean(axis=1, skipna=asked is None)
    if not values.notna().any():
        raise ReplayError(
            f"--truth: beside seed {evidence_seed} of the evidence no training has {metric} of {source} after "
            f"{full_epochs} epochs"
        )
    sign = -1.0 if table.info.metrics[metric].direction == "lower" else 1.0
    partial = bool(by_seed[values.notna()].isna().any(axis=None))
    return Truth(source, metric, tuple(seeds), sign * values, evidence_seed, partial)


def _usual(table: RecordedTable, metric: str, full_epochs: int, seeds: Sequence[int]) -> list[int]:
    """Seeds with at least half as many full trainings as the most frequent one.

    In the table of a run, the seed of its evidence has only a few full trainings, that of its baseline nearly all.
    """
    counts = {seed: int(table.final(metric, schedule_epochs=full_epochs, seed=seed).notna().sum()) for seed in seeds}
    return [seed for seed in seeds if counts[seed] >= ENOUGH * max(counts.values())]


def _check_recorded(table: RecordedTable, source: str, metric: str, text: str) -> None:
    if not ((table.rows["source"] == source) & (table.rows["metric"] == metric)).any():
        known = [f"{truth.source}/{truth.metric}" for truth in possible_truths(table)]
        if text.strip():
            raise ReplayError(f"--truth: the table has no {metric} of source {source}; there is {', '.join(known)}")
        others = [f"'{name}'" for name in known if name != f"{TRAINING_SOURCE}/{EVIDENCE_METRIC}"]
        way_out = f"name one with --truth: there is {', '.join([*others, OWN])}, the last value of the same trainings"
        raise ReplayError(f"the table has one seed and no test accuracy of it to be the truth; {way_out}")
    if table.info.metrics[metric].direction == "none":
        raise ReplayError(f"--truth: {UNDIRECTED.format(metric=metric)}")


def _all_seeds(recorded: Sequence[int], *, but: int | None) -> tuple[int, ...]:
    seeds = tuple(seed for seed in recorded if seed not in (MEAN, but))
    return (MEAN,) if MEAN in recorded and len(seeds) < 2 else seeds


def _parsed(text: str, shown: str) -> tuple[str, str, tuple[int, ...] | None]:
    """Source, metric (``shown`` if none is named), and seeds if any are."""
    first, _, rest = text.strip().partition(" ")
    found = _GRAMMAR.fullmatch(f"{_SHORTHANDS.get(first, first)} {rest}")
    parts = re.split(r"[,\s]+", (found["seeds"] or "").strip()) if found else []
    seeds = [part for part in parts if part]
    if found is None or not all(re.fullmatch(r"-?\d+", seed) for seed in seeds) or (found["seeds"] and not seeds):
        raise ReplayError(
            f"--truth: {text!r} is not of the form '[SOURCE/METRIC] [seeds A,B]', as 'seeds 1,2', 'test' or "
            "'training:all_images/test_accuracy'"
        )
    source, metric = found["source"] or TRAINING_SOURCE, found["metric"] or shown
    return source, metric, tuple(dict.fromkeys(map(int, seeds))) or None


class ReplayError(ValueError):
    """A replay that cannot be run as it was asked for; one line with the way out."""
