"""A table prepared for a replay: possible candidates, available trainings, and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import pandas as pd

from taurank.orchestrator.experiment import TrainingSpec
from taurank.orchestrator.planning import Pace, Setting
from taurank.orchestrator.replay.curves import encode, whole_trainings
from taurank.orchestrator.replay.truth import ENOUGH, EVIDENCE_METRIC, MEAN, ReplayError, Truth, make_truth
from taurank.spaces import Architecture, SearchSpace, get_space, list_spaces
from taurank.trainables.table import TRAINING_SOURCE, RecordedTable

Among = Literal["distinct", "live", "all"]
"""Possible candidates: live architectures that differ as functions, live ones, or all."""


SIZES = ("parameters", "flops", "depth")
"""Metrics of size, which are known before any training."""
CANDIDATES = 1000
"""Number of candidates of a draw where none is asked for and the table has as many."""


@dataclass(frozen=True)
class Bench:
    """What a replay draws its candidates and trainings from.

    Attributes:
        table: the recorded trainings.
        space: the search space, where it is registered with taurank.
        full_epochs: length of full training.
        seeds: which seed is the evidence, by length of the schedule; the lengths that can be trained, ascending.
        truth: what an order is scored against.
        final: the result of a full training of each architecture.
        pool: codes of all possible candidates, sorted.
        among: how they were chosen.
        epochs: what the trainings of each schedule show, all of them.
        notes: lines on trainings that were left out.
    """

    table: RecordedTable
    space: SearchSpace | None
    full_epochs: int
    seeds: dict[int, int]
    truth: Truth
    final: pd.Series
    pool: tuple[str, ...]
    among: Among
    epochs: dict[int, tuple[int, ...]]
    notes: tuple[str, ...] = ()

    def short(self, code: str) -> str:
        """The short name of an architecture."""
        return code if self.space is None else self.space.short(Architecture(self.space.name, code))

    def records(self, spec: TrainingSpec) -> bool:
        """Whether trainings that end early have an epoch to show by then."""
        return spec.until is None or bool(self.points(spec))

    def points(self, spec: TrainingSpec) -> tuple[int, ...]:
        """Epochs that every training shows, up to its last."""
        return tuple(epoch for epoch in self.epochs[spec.epochs] if 1 <= epoch <= spec.last_epoch)

    @property
    def setting(self) -> Setting:
        """What was trained, for forecasts."""
        return Setting(self.table.info.space, self.table.info.data, self.full_epochs)

    @property
    def described(self) -> str:
        """The possible candidates, in words."""
        return described_pool(self.space, self.among)

    def encoding(self, candidates: Sequence[str]) -> pd.DataFrame:
        """Numeric features of the candidates, (candidates, features); those that do not vary are left out."""
        rows = self._encoding.loc[list(candidates)]
        return rows.loc[:, rows.nunique() > 1]

    @cached_property
    def _encoding(self) -> pd.DataFrame:
        return encode(self.table, self.space, self.pool)

    @cached_property
    def sizes(self) -> pd.DataFrame:
        """`SIZES` by architecture: those that the table has, and depth where the space knows it without a network."""
        sizes = self.table.wide("size") if "size" in self.table.sources else pd.DataFrame(index=self.truth.values.index)
        if "depth" in sizes or self.space is None:
            return sizes
        depths = {code: self.space.depth(Architecture(self.space.name, code)) for code in self.pool}
        known = {code: float(depth) for code, depth in depths.items() if depth is not None}
        return sizes.assign(depth=pd.Series(known, dtype=float)) if known else sizes

    @cached_property
    def proxies(self) -> pd.DataFrame:
        """Proxy scores, (architectures, proxies), of those that have at least one; NaN = that proxy failed."""
        columns = {name: self.table.wide(source)["score"] for name, source in self._proxy_sources.items()}
        return pd.DataFrame(columns).dropna(how="all")

    @cached_property
    def proxy_seconds(self) -> pd.DataFrame:
        """Seconds that each of the scores took, (architectures, proxies); NaN = unknown."""
        columns = {}
        for name, source in self._proxy_sources.items():
            rows = self.table.rows[self.table.rows["source"] == source]
            columns[name] = pd.Series(rows["seconds"].to_numpy(), index=rows["architecture"].astype(str))
        return pd.DataFrame(columns).reindex(self.proxies.index)

    @property
    def _proxy_sources(self) -> dict[str, str]:
        return {name: f"proxy:{name}" for name in names_of(self.table, "proxy")}

    @cached_property
    def epoch_seconds(self) -> float:
        """Seconds of an epoch for trainings without a time; 1 where none has one, so that the clock counts epochs."""
        seconds = self.table.seconds_per_epoch
        return seconds if np.isfinite(seconds) else 1.0

    def pace(self, codes: Sequence[str], *, workers: int, device: str) -> Pace:
        """Recorded seconds of an epoch of full training of each of these architectures.

        Raises:
            ReplayError: the table lacks those of one of them.
        """
        seconds = {}
        for code in codes:
            of_epochs = self.table.curve(code, schedule_epochs=self.full_epochs, seed=self.seeds[self.full_epochs])
            seconds[code] = float(of_epochs["seconds"].sum()) / self.full_epochs
        unknown = [code for code, took in seconds.items() if not took > 0]
        if unknown:
            raise ReplayError(
                f"--budget: the table has no seconds of {len(unknown):,} of {len(codes):,} full trainings, so it "
                "counts epochs only: write how many times cheaper, as 10x"
            )
        return Pace(seconds, workers, device=device)


def make_bench(table: RecordedTable, *, truth: str = "", buy_seed: int | None = None, among: str = "distinct") -> Bench:
    """Looks through a table: full schedule, truth, available schedules, candidates.

    Args:
        table: recorded trainings.
        truth: see ``taurank.orchestrator.replay.truth``.
        buy_seed: seed of the full trainings that are the evidence; by default the first that the truth leaves.
        among: see ``Among``.

    Raises:
        ReplayError: the table has no such truth, or no trainings are left as evidence.
        TableError: the architectures are not of the space that the table names.
    """
    space = space_of(table)
    full = full_schedule(table)
    found = make_truth(table, truth, full_epochs=full, buy_seed=buy_seed)
    final = table.final(EVIDENCE_METRIC, schedule_epochs=full, seed=found.evidence_seed)
    known = final.notna() & found.values.reindex(final.index).notna()
    trained = [str(code) for code in final.index[known]]
    seeds, trained = _shorter_schedules(table, full, trained, prefer=found.evidence_seed)
    seeds |= {full: found.evidence_seed}
    left_out = _left_out(table, trained, found)
    epochs, trained, notes = _shown(table, seeds, trained)
    notes = [*left_out, *notes]
    pool = chosen_among(trained, space, among)
    if len(pool) < 2:
        raise ReplayError(
            f"the table has {len(pool)} architectures with both a full training of seed {found.evidence_seed} and a "
            f"truth ({found}); name another truth with --truth{''.join(f'; {note}' for note in notes)}"
        )
    return Bench(table, space, full, seeds, found, final, pool, among, epochs, tuple(notes))  # type: ignore[arg-type]


def _left_out(table: RecordedTable, trained: Sequence[str], truth: Truth) -> list[str]:
    """A line on architectures with trainings that are not enough to be a candidate."""
    begun = table.rows.loc[table.rows["source"] == TRAINING_SOURCE, "architecture"].nunique()
    if begun == len(trained):
        return []
    return [
        f"left out: {begun - len(trained):,} of {begun:,} trained architectures, which lack a full training of seed "
        f"{truth.evidence_seed}, the truth, or a shorter schedule that most have completed"
    ]


def _shown(
    table: RecordedTable, seeds: Mapping[int, int], trained: Sequence[str]
) -> tuple[dict[int, tuple[int, ...]], list[str], list[str]]:
    """Epochs that the trainings of each schedule show, the architectures whose trainings show them, and notes.

    A training of which only the end is recorded is no learning curve: it cannot be stopped early.
    """
    shown: dict[int, tuple[int, ...]] = {}
    notes: list[str] = []
    left = np.ones(len(trained), dtype=np.bool_)
    for length, seed in seeds.items():
        rows = table.rows[(table.rows["source"] == TRAINING_SOURCE) & (table.rows["metric"] == EVIDENCE_METRIC)]
        rows = rows[(rows["schedule_epochs"] == length) & (rows["seed"] == seed)]
        rows = rows[rows["epoch"] >= 1]  # epoch 0 is the network before training
        place = pd.Index(trained).get_indexer(pd.Index(rows["architecture"].astype(str)))
        known = np.zeros((len(trained), length + 1), dtype=np.bool_)
        known[place[place >= 0], rows["epoch"].to_numpy()[place >= 0]] = True
        usual, whole = whole_trainings(known)
        shown[length] = tuple(np.flatnonzero(usual).tolist())
        left &= whole
        ends = known.sum(axis=1) == 1
        if not whole.all():
            notes.append(
                f"left out: {int((~whole).sum()):,} of {len(trained):,} trainings over {length} epochs, which lack "
                f"epochs that most have ({int((ends & ~whole).sum()):,} have only the last)"
            )
        elif ends.any() and not ends.all():
            notes.append(
                f"{int(ends.sum()):,} of {len(trained):,} trainings over {length} epochs have only the last epoch: "
                "none is stopped early"
            )
    return shown, [code for code, kept in zip(trained, left, strict=True) if kept], notes


def drawn_count(asked: int | None, pool: Sequence[str]) -> int:
    """How many candidates are drawn: as many as asked for, by default ``CANDIDATES`` or the whole pool if smaller."""
    return min(CANDIDATES, len(pool)) if asked is None else asked


def described_pool(space: SearchSpace | None, among: str) -> str:
    """The possible candidates, in words."""
    if space is None or among == "all":
        return "architectures"
    return "live architectures" + (" that differ as functions" if among == "distinct" else "")


def names_of(table: RecordedTable, kind: str) -> list[str]:
    """Names of the sources ``kind:NAME``, in alphabetical order."""
    return sorted(source.partition(":")[2] for source in table.sources if source.startswith(f"{kind}:"))


def space_of(table: RecordedTable) -> SearchSpace | None:
    """The search space of a table, where it is registered with taurank."""
    return get_space(table.info.space, **table.info.space_options) if table.info.space in list_spaces() else None


def full_schedule(table: RecordedTable, metric: str = EVIDENCE_METRIC) -> int:
    """The longest schedule that at least half as many architectures have completed as any other.

    A few may have run longer, and a few of the full trainings may have failed.

    Raises:
        ReplayError: no training has the metric at the end of a schedule.
    """
    completed = {}
    if TRAINING_SOURCE in table.sources and metric in table.info.metrics:
        for length in table.schedules():
            finals = [table.final(metric, schedule_epochs=length, seed=seed) for seed in table.seeds(length)]
            completed[length] = max(int(final.notna().sum()) for final in finals)
    if not any(completed.values()):
        raise ReplayError(
            f"the table has no complete training with a {metric}, so there is nothing to replay; "
            "`taurank table show` lists what there is"
        )
    enough = ENOUGH * max(completed.values())
    return max(length for length, count in completed.items() if count >= enough)


def _shorter_schedules(
    table: RecordedTable, full: int, trained: Sequence[str], *, prefer: int
) -> tuple[dict[int, int], list[str]]:
    """Shorter schedules that can be replayed, with the seed that most have, and the architectures that have them."""
    chosen, left = {}, list(trained)
    for length in (length for length in table.schedules() if length < full):
        finals = {
            seed: table.final(EVIDENCE_METRIC, schedule_epochs=length, seed=seed).reindex(list(trained)).notna()
            for seed in table.seeds(length)
        }
        # A seed of its own rather than a mean, which is less noisy than what one training costs.
        seed = max(finals, key=lambda seed: (int(finals[seed].sum()), seed == prefer, seed != MEAN, -seed))
        if finals[seed].mean() >= ENOUGH:
            chosen[length] = seed
            left = [code for code in left if finals[seed][code]]
    return chosen, left


def chosen_among(codes: Sequence[str], space: SearchSpace | None, among: str) -> tuple[str, ...]:
    """Those of the architectures that can be candidates, sorted; see ``Among``.

    Raises:
        ReplayError: ``among`` is none of the three.
    """
    if among not in get_args(Among):
        raise ReplayError(f"--among: {among!r} is none of {', '.join(get_args(Among))}")
    if space is None or among == "all":
        return tuple(sorted(codes))
    live = [code for code in sorted(codes) if space.is_live(Architecture(space.name, code))]
    if among == "live":
        return tuple(live)
    chosen: dict[str, str] = {}
    for code in live:
        canonical = space.canonical(Architecture(space.name, code)).code
        if canonical not in chosen or code == canonical:
            chosen[canonical] = code
    return tuple(sorted(chosen.values()))
