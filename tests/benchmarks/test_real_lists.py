from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.real_lists.record import HERE, Journal, RealList, export, record, shorts_of
from taurank.orchestrator.experiment import load_experiment
from taurank.orchestrator.replay import make_bench
from taurank.trainables.table import read_table, write_table

NETS = [f"benchmarks.real_lists.nets:{name}" for name in ("mlp_d1_w6", "conv_d1_w3_k3")]


@pytest.fixture
def tiny() -> RealList:
    """Two networks on 40 digits."""
    content = {
        "name": "tiny",
        "space": "zoo",
        "candidates": NETS,
        "data": {"name": "digits", "train": 40, "validation": 20, "test": 20},
        "recipe": {"epochs": 20, "batch_size": 20, "learning_rate": 0.05},
        "baseline": {"seeds": [1, 2]},
    }
    return RealList("tiny", load_experiment(content))


def without_seconds(journal: Journal) -> list[object]:
    entries = [{key: value for key, value in entry.items() if key != "seconds"} for entry in journal.entries]
    return [
        entry | {"rows": [{key: value for key, value in row.items() if key != "seconds"} for row in entry["rows"]]}
        if entry["kind"] == "training"
        else entry
        for entry in entries
    ]


def test_a_killed_recorder_loses_the_line_that_it_was_writing_and_nothing_else(tiny: RealList, tmp_path: Path):
    whole = Journal(tmp_path / "whole.jsonl")
    assert sorted(record(tiny, whole)) == sorted(NETS)
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 2 * (2 + len(tiny.trainings))

    (tmp_path / "killed.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:-40])
    killed = Journal(tmp_path / "killed.jsonl")
    assert len(killed.entries) == 5
    list(record(tiny, killed))
    assert without_seconds(killed) == without_seconds(whole)
    assert without_seconds(Journal(tmp_path / "killed.jsonl")) == without_seconds(whole)


def test_the_table_has_the_complete_candidates_and_can_be_replayed(tiny: RealList, tmp_path: Path):
    journal = Journal(tmp_path / "tiny.jsonl")
    list(record(tiny, journal))
    begun = [entry | {"code": "benchmarks.real_lists.nets:linear"} for entry in journal.entries[:3]]
    journal.entries.extend(begun)
    table, count = export(tiny, journal)
    assert count == 2
    write_table(table, tmp_path / "tiny.parquet")
    bench = make_bench(read_table(tmp_path / "tiny.parquet"), truth="test seeds 2", buy_seed=1)
    assert bench.pool == tuple(sorted(NETS))
    assert bench.seeds == {20: 1, 2: 0, 1: 0}
    for entry in journal.entries:
        if (entry.get("epochs"), entry.get("seed")) == (20, 2):
            assert bench.truth.values[entry["code"]] == entry["rows"][-1]["test_accuracy"]


def test_lengths_are_a_tenth_with_and_without_an_epoch_for_proxies_and_a_twentieth():
    assert shorts_of(40) == [(4, 0), (3, 0), (2, 0), (2, 3)]
    assert shorts_of(20) == [(2, 0), (1, 0), (1, 3)]


@pytest.mark.parametrize("path", sorted(HERE.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_list_is_an_experiment_of_its_name_with_two_baseline_seeds(path: Path):
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert experiment.baseline is not None
    assert experiment.baseline.seeds == (1, 2)
