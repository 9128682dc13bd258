"""Replays that know results on other data, over made-up tables."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.ranker import KnowledgeSource
from taurank.orchestrator.replay import (
    Bench,
    ReplayError,
    Row,
    choose_cheap,
    knowledge_of,
    make_bench,
    plan_replay,
    read_knowledge,
    replay_draw,
)
from taurank.trainables.table import RecordedTable, write_table


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taurank.orchestrator.ranker.short_runs.TREES", 40)
    monkeypatch.setattr("taurank.orchestrator.ranker.regressors.TREES", 40)


@pytest.fixture(scope="module")
def bench(table: RecordedTable) -> Bench:
    return make_bench(table, truth="seeds 1,2")


@pytest.fixture(scope="module")
def elsewhere(table: RecordedTable) -> RecordedTable:
    """The same architectures on other data: noisier, with a schedule of 3 epochs as well."""
    rows = table.rows[table.rows["source"] == "training"]
    noise = np.random.default_rng(0).normal(0, 0.01, len(rows))
    noisy = rows.assign(value=np.clip(rows["value"] + np.where(rows["metric"] == "train_loss", 0, noise), 0, 1))
    short = noisy[noisy["epoch"] <= 3].assign(schedule_epochs=np.int32(3))
    return RecordedTable(dataclasses.replace(table.info, data="elsewhere"), pd.concat([noisy, short]))


@pytest.fixture(scope="module")
def replay(bench: Bench) -> Callable[..., Row]:
    def replayed(*knowledge: KnowledgeSource, budget: str = "6x", **changes: object) -> Row:
        cheap = choose_cheap(bench.table, proxies="all", supernets="")
        settings = {"candidates": 20, "budget": budget, "seed": 3, "workers": 4} | changes
        plan = plan_replay(bench, cheap=cheap, knowledge=knowledge, **settings)  # type: ignore[arg-type]
        return replay_draw(bench, pickle.loads(pickle.dumps(plan)), 0)  # as a process of --jobs gets it

    return replayed


def test_values_are_the_mean_of_the_seeds_at_the_end(bench: Bench, elsewhere: RecordedTable) -> None:
    source = knowledge_of(elsewhere, bench, name="there", relation="same-kind")
    finals = [elsewhere.final("validation_accuracy", schedule_epochs=10, seed=seed)["net-07"] for seed in range(3)]
    assert source.values["net-07"] == pytest.approx(np.mean(finals))
    assert (len(source.values), source.relation, source.fidelity) == (30, "same-kind", 1.0)


def test_short_knowledge_is_the_shorter_schedule(bench: Bench, elsewhere: RecordedTable) -> None:
    source = knowledge_of(elsewhere, bench, name="there", relation="short")
    finals = [elsewhere.final("validation_accuracy", schedule_epochs=3, seed=seed)["net-07"] for seed in range(3)]
    assert source.values["net-07"] == pytest.approx(np.mean(finals))
    assert source.fidelity == 0.3


def test_without_a_validation_accuracy_it_is_the_test_accuracy(bench: Bench, elsewhere: RecordedTable) -> None:
    tested = RecordedTable(elsewhere.info, elsewhere.rows[elsewhere.rows["metric"] == "test_accuracy"])
    source = knowledge_of(tested, bench, name="there", relation="other")
    finals = [elsewhere.final("test_accuracy", schedule_epochs=10, seed=seed)["net-07"] for seed in range(3)]
    assert source.values["net-07"] == pytest.approx(np.mean(finals))


def test_knowledge_costs_nothing_and_changes_no_training(bench: Bench, elsewhere: RecordedTable, replay) -> None:
    without = replay(budget="20x")
    known = replay(knowledge_of(elsewhere, bench, name="there", relation="same-kind"), budget="20x")
    for column in (name for name in without if name.startswith(("epochs", "seconds", "cost", "shorts", "fulls", "n"))):
        assert known[column] == without[column]
    assert known["weight_knowledge"] > 0
    assert known["tau"] > without["tau"]
    assert "weight_knowledge" not in without


def test_part_of_the_architectures_may_be_known(bench: Bench, elsewhere: RecordedTable, replay) -> None:
    source = knowledge_of(elsewhere, bench, name="there", relation="same-kind")
    some = dataclasses.replace(source, values=dict(list(source.values.items())[:25]))
    assert replay(some)["weight_knowledge"] > 0


def test_options_name_tables_and_relations(bench: Bench, elsewhere: RecordedTable, tmp_path: Path) -> None:
    file = tmp_path / "there.parquet"
    write_table(elsewhere, file)
    found = read_knowledge(f"{file}=same-kind, {file}", bench)
    assert [(one.name, one.relation) for one in found] == [("there", "same-kind"), ("there", "other")]
    assert read_knowledge("", bench) == ()
    with pytest.raises(ReplayError, match=r"--knowledge: relation 'close' in .* is none of same-kind, other, short"):
        read_knowledge(f"{file}=close", bench)


@pytest.mark.parametrize(
    ("changes", "relation", "message"),
    [
        ({"data": "nothing"}, "other", "results of the candidates themselves, not knowledge from other data"),
        ({"space": "elsewhere"}, "other", "there is of the space elsewhere, the replay of made-up"),
        ({"rows": "size"}, "other", "there has no complete training with an accuracy"),
        ({"rows": "full"}, "short", "there has no schedule shorter than 10 epochs; leave out =short"),
    ],
)
def test_a_table_that_is_no_knowledge(changes, relation, message, bench: Bench, elsewhere, table) -> None:
    rows = elsewhere.rows
    if changes.get("rows") == "size":
        rows = table.rows[table.rows["source"] == "size"]
    elif changes.get("rows") == "full":
        rows = rows[rows["schedule_epochs"] == 10]
    about = {name: value for name, value in changes.items() if name != "rows"}
    given = RecordedTable(dataclasses.replace(elsewhere.info, **about), rows)
    with pytest.raises(ReplayError, match=f"^--knowledge: .*{message}"):
        knowledge_of(given, bench, name="there", relation=relation)
