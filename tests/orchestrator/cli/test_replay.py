"""`taurank replay` as a user meets it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from taurank.orchestrator.replay import ReplayPlan, print_draw, print_summary
from taurank.orchestrator.replay.cheap import Cheap
from taurank.orchestrator.text import make_console
from taurank.trainables.table import RecordedTable, write_table

Taurank = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(table: RecordedTable, tmp_path: Path) -> Path:
    path = tmp_path / "made-up.parquet"
    write_table(table, path)
    return path


SMALL = ("--candidates", 12, "--budget", "3x", "--truth", "seeds 1,2")


def test_prints_draws_means_what_was_bought_and_the_reference(taurank: Taurank, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    code, written, err = taurank("replay", "--table", file, *SMALL, "--draws", 2, "--out", out)
    assert (code, err) == (0, "")
    lines = written.splitlines()
    assert lines[0] == "made-up on nothing: 2 draws of 12 from 30 architectures"
    assert lines[1] == ("truth: validation_accuracy of training, mean of seeds 1, 2, after 10 epochs; evidence: seed 0")
    assert lines[2].startswith("planned with 40 epochs (3x cheaper): 2 proxies for all, training-10@")
    assert [line[:7] for line in lines[3:5]] == ["draw 0:", "draw 1:"]
    assert any(line.startswith("measured in the mean: ") for line in lines)
    assert any(line.startswith("reference: ") for line in lines)
    rows = pd.read_csv(out)
    assert rows["draw"].tolist() == [0, 1]
    assert (rows["cost"] <= 1 / 3 + 1e-9).all()
    assert f"{rows['tau'].mean():.3f}" in written


def test_json_is_all_there_is_on_the_output(taurank: Taurank, file: Path) -> None:
    code, written, err = taurank("replay", "--table", file, *SMALL, "--draws", 1, "--json", "--among", "all")
    assert code == 0
    content = json.loads(written)
    assert content["draws"][0]["tau"] == content["mean"]["tau"]
    assert content["seed"] == 0
    assert "draw 0: tau" in err


def test_knowledge_is_named_before_the_draws(
    taurank: Taurank, file: Path, table: RecordedTable, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere.parquet"
    write_table(RecordedTable(replace(table.info, data="elsewhere"), table.rows), other)
    code, written, _ = taurank("replay", "--table", file, *SMALL, "--draws", 1, "--knowledge", f"{other}=same-kind")
    assert code == 0
    lines = [line.strip() for line in written.splitlines()]
    assert "knowledge: elsewhere (same-kind) has 30 of 30; no cost" in lines
    assert any(line.startswith("weight_knowledge ") for line in lines)


def test_what_is_not_defined_is_a_dash_and_means_state_their_draws(capsys: pytest.CaptureFixture[str]) -> None:
    shown = ("tau_low", "tau_high", "retained", "expected_tau", "tau_top20", "cost", "ranker_seconds")
    counted = ("shorts", "fulls", "epochs_trainings", "epochs_proxies", "epochs_supernets")
    row = dict.fromkeys(("draw", "n", "budget", "tau", *shown, *counted), 0.5)
    rows = [row | {"tau_reference": math.nan}, row | {"retained": math.nan, "tau_reference": math.nan}]
    cheap = Cheap(proxies=(), supernets={})
    plan = ReplayPlan(5, 3.0, 0, 1, cheap, trainings=(), budget_epochs=5.0, adaptive=True)
    print_draw(make_console(), rows[1])
    print_summary(make_console(), plan, rows)
    written = capsys.readouterr().out
    assert "nan" not in written
    assert "retained -, expected 0.500" in written
    lines = {line.split()[0]: line.split()[1:4] for line in written.splitlines() if line}
    assert (lines["tau"], lines["retained"]) == (["0.500", "0.000", "2"], ["0.500", "0.000", "1"])


@pytest.mark.parametrize("options", [(), ("--policy", "uniform")])
def test_by_default_a_small_table_is_drawn_whole(options: tuple[str, ...], taurank: Taurank, file: Path) -> None:
    code, written, err = taurank("replay", "--table", file, "--budget", "3x", "--draws", 1, *options)
    assert (code, err) == (0, "")
    assert written.startswith("made-up on nothing: 1 draw of 30 from 30 architectures\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--candidates", 1000), "--candidates: 1,000 asked, but the table has 30 among architectures"),
        (("--candidates", 12, "--truth", "seeds 0,1", "--buy-seed", 0), "seed 0 is that of the evidence"),
        (("--candidates", 12, "--truth", "training/recall"), "no recall of source training"),
        (("--candidates", 12, "--budget", "1000x"), "proxies and supernets cost 0.4"),
        (("--candidates", 12, "--trainings", "[{epoch: 3}]"), "--trainings.0.epoch: unknown key"),
        (("--candidates", 12, "--trainings", "nothing.yaml"), "nothing.yaml cannot be read"),
        (("--candidates", 12, "--out", "/nowhere/at/all.csv"), "--out: /nowhere/at/all.csv cannot be written"),
        (("--candidates", 12, "--ray", "--jobs", 2), "leave out --jobs"),
        (("--knowledge", "none.parquet"), "none.parquet"),
        (("--knowledge", "none.parquet=close"), "relation 'close' in 'none.parquet=close' is none of same-kind, other"),
        (("--knowledge", "none.parquet", "--policy", "uniform"), "--knowledge: --policy replays learning curves only"),
    ],
)
def test_a_mistake_gets_one_line(arguments: tuple[object, ...], message: str, taurank: Taurank, file: Path) -> None:
    code, _, err = taurank("replay", "--table", file, *arguments)
    assert code == 2
    assert message in err
    assert err.startswith("taurank: ")
    assert err.count("\n") == 1


def test_a_table_that_is_not_there(taurank: Taurank, tmp_path: Path) -> None:
    code, _, err = taurank("replay", "--table", tmp_path / "none.parquet")
    assert code == 2
    assert err.startswith(f"taurank: {tmp_path / 'none.parquet'}")
    assert err.count("\n") == 1
