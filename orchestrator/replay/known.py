"""Earlier knowledge in a replay: recorded tables of the same space on other data; it costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pandas as pd

from taurank.orchestrator.ranker import KnowledgeSource, Relation
from taurank.orchestrator.replay.bench import Bench, full_schedule
from taurank.orchestrator.replay.curves import encode
from taurank.orchestrator.replay.truth import EVIDENCE_METRIC, MEAN, ReplayError
from taurank.trainables.table import TRAINING_SOURCE, RecordedTable, read_table

TEST_METRIC = "test_accuracy"
"""What full trainings without a validation accuracy are known by; on other data it is no truth."""


def read_knowledge(text: str, bench: Bench) -> tuple[KnowledgeSource, ...]:
    """What ``--knowledge TABLE[=RELATION][,TABLE[=RELATION]...]`` asks for.

    Raises:
        ReplayError: an unknown relation, or a table of another space, of the same data, or without such trainings.
        TableError: no readable table.
    """
    sources = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        path, _, relation = part.rpartition("=") if "=" in part else (part, "", "other")
        if relation not in get_args(Relation):
            known = ", ".join(get_args(Relation))
            raise ReplayError(
                f"--knowledge: relation {relation!r} in {part!r} is none of {known}; write TABLE=RELATION"
            )
        sources.append(knowledge_of(read_table(Path(path)), bench, name=Path(path).stem, relation=relation))
    return tuple(sources)


def knowledge_of(table: RecordedTable, bench: Bench, *, name: str, relation: str) -> KnowledgeSource:
    """The final accuracies of a table as knowledge for the replay of another one, the mean of the seeds.

    ``short`` takes the longest schedule that is shorter than full training.

    Raises:
        ReplayError: another space, the same data, or no such trainings.
    """
    own, other = bench.table.info, table.info
    if other.space != own.space:
        raise ReplayError(f"--knowledge: {name} is of the space {other.space or '?'}, the replay of {own.space or '?'}")
    if other.data and other.data == own.data:
        raise ReplayError(
            f"--knowledge: {name} is of {other.data} as well: these are results of the candidates themselves, not "
            "knowledge from other data; take a table of other data"
        )
    metric = EVIDENCE_METRIC if EVIDENCE_METRIC in _metrics(table) else TEST_METRIC
    try:
        full = full_schedule(table, metric)
    except ReplayError:
        raise ReplayError(f"--knowledge: {name} has no complete training with an accuracy") from None
    epochs = full
    if relation == "short":
        shorter = [length for length in table.schedules() if length < full]
        if not shorter:
            raise ReplayError(f"--knowledge: {name} has no schedule shorter than {full} epochs; leave out =short")
        epochs = max(shorter)
    values = _means(table, metric, epochs)
    try:
        return KnowledgeSource(name, values, relation, fidelity=epochs / full)  # type: ignore[arg-type]
    except ValueError as error:
        raise ReplayError(f"--knowledge: {error}") from None


def _metrics(table: RecordedTable) -> set[str]:
    return set(table.rows.loc[table.rows["source"] == TRAINING_SOURCE, "metric"].unique())


def _means(table: RecordedTable, metric: str, epochs: int) -> dict[str, float]:
    """Mean of the seeds at the end of a schedule, by architecture; the recorded mean where no seed is known."""
    seeds = table.seeds(epochs)
    seeds = [seed for seed in seeds if seed != MEAN] or seeds
    finals = [table.final(metric, schedule_epochs=epochs, seed=seed) for seed in seeds]
    found = pd.concat(finals, axis=1).mean(axis=1).dropna()
    return {str(code): float(value) for code, value in found.items()}


def known_encoding(bench: Bench, sources: Sequence[KnowledgeSource]) -> pd.DataFrame | None:
    """The encoding of all possible candidates and known architectures; None where every candidate is known."""
    known = [set(source.values) for source in sources]
    if all(set(bench.pool) <= codes for codes in known):
        return None
    described = set(bench.table.architectures) if bench.space is None else set().union(*known)
    return encode(bench.table, bench.space, sorted(set(bench.pool) | (described & set().union(*known))))
