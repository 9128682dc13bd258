"""A candidate whose trainings failed, wherever a user meets it: terminal, files, page, `why`, front and score."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from taurank.orchestrator.evidence import EvidenceLog

Taurank = Callable[..., tuple[int, str, str]]
REASON = "non-finite loss: train_loss is nan in epoch 1"


@pytest.fixture
def failing(run_folder: Path, codes: tuple[str, ...]) -> tuple[Path, list[str]]:
    """The run with two of its best diverged in every training, the baseline's too."""
    failed = [codes[0], codes[2]]
    log = EvidenceLog(run_folder / "evidence.sqlite")
    for code in failed:
        of = "architecture = ? AND source = 'training'"
        log.connection.execute(f"DELETE FROM evidence WHERE {of} AND (epoch > 1 OR metric = 'test_accuracy')", (code,))
        log.connection.execute(f"UPDATE evidence SET value = NULL WHERE {of}", (code,))
        for trial in log.evidence().query("architecture == @code and source == 'training'")["trial"]:
            log.append_event(trial.partition("/")[0], trial, "failed", REASON)
    log.close()
    return run_folder, failed


def test_says_so_and_predicts_nothing(failing: tuple[Path, list[str]], taurank: Taurank) -> None:
    folder, failed = failing
    code, out, err = taurank("rank", folder)
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    assert len(re.findall(r" - - \d+\.\d \d+\.\d size; failed: non-finite loss", words)) == 2
    assert "2 candidates failed in every training: no final value is predicted for them" in words
    assert "final accuracies: measured where trained to the end, else predicted from 3 full trainings" in words
    assert "left out of the score: 2 candidates whose full training failed" in words
    assert "against full training: test accuracy of 22 architectures, 2 seeds" in words

    table = pd.read_csv(folder / "ranking.csv")
    assert sorted(table["architecture"].tail(2)) == sorted(failed)
    own = table.tail(2)
    assert own["problem"].tolist() == [f"failed: {REASON}"] * 2
    assert own[["score", "predicted_accuracy", "accuracy_low", "accuracy_high"]].isna().all(axis=None)
    assert (own["rank_high"] - own["rank_low"] > 15).all()
    assert table["predicted_accuracy"].head(22).notna().all()
    front = pd.read_csv(folder / "front.csv")
    assert not front["architecture"].isin(failed).any()

    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count(f'title="failed: {REASON}"') == 2
    assert "Left out of the score: 2 candidates whose full training failed." in page

    code, out, _ = taurank("why", failed[0], "--run", folder)
    assert code == 0
    assert f"\nfailed: {REASON}\n" in out
    assert "predicted final" not in out
    assert "nan%" not in out
    assert "forecast" not in out
    code, out, _ = taurank("why", failed[0], "--run", folder, "--json")
    assert json.loads(out)["standing"]["problem"] == f"failed: {REASON}"


def test_the_switch_of_the_experiment(failing: tuple[Path, list[str]], taurank: Taurank) -> None:
    folder, failed = failing
    file = folder / "experiment.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("failed: last", "failed: unknown"), encoding="utf-8")
    assert file.read_text(encoding="utf-8") != text
    assert taurank("rank", folder)[0] == 0
    own = pd.read_csv(folder / "ranking.csv").set_index("architecture").loc[failed]
    assert (own["rank"] < 20).all()
    assert own["score"].notna().all()
    assert own["predicted_accuracy"].isna().all()
