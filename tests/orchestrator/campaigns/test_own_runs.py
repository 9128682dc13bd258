"""Runs of candidates that own training code trains, from the file to the score, in the unit of their own metric."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from taurank.orchestrator.api import open_run
from taurank.orchestrator.campaigns import campaign
from taurank.orchestrator.cli.why import _begun_stages, print_explanation
from taurank.orchestrator.experiment import ExperimentError, load_experiment
from taurank.orchestrator.report import explain
from taurank.orchestrator.runs import Changes, create_run, extend, import_run
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.scoring import read_truth
from taurank.orchestrator.stages.runner import TrainableError
from taurank.trainables.data import no_images
from tests.orchestrator.campaigns.own_runs import DirectRunner, content, finish, run_own, train, without_ray


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))
    monkeypatch.setattr(campaign, "StageRunner", DirectRunner)
    monkeypatch.setattr(campaign, "run_session", without_ray)


def final_loss(width: int, seed: int) -> float:
    *_, last = train({"width": width}, epochs=8, seed=seed, device="cpu", checkpoint=Path())
    return last["val_loss"]


def test_a_loss_is_ranked_shown_and_scored_as_it_is(tmp_path):
    report, printed = run_own(tmp_path, trainings=[{"epochs": 2}, {"epochs": 8, "candidates": 4}], budget="1.5x")
    table = report.ranking.table.set_index("architecture")
    widths = [json.loads(code)["width"] for code in table.index]
    assert np.corrcoef(widths, table["rank"])[0, 1] < -0.95  # the widest have the lowest loss
    full = report.run.log.evidence().query("stage == 'training-8' and epoch == 8 and metric == 'val_loss'")
    measured = full.groupby("architecture")["value"].mean()
    assert table.loc[measured.index, "predicted_accuracy"].to_numpy() == pytest.approx(measured.to_numpy())
    assert (table["accuracy_low"] <= table["predicted_accuracy"]).all()
    assert (table["predicted_accuracy"] <= table["accuracy_high"]).all()
    others = table.drop(index=measured.index)
    truth = [final_loss(json.loads(code)["width"], 1) for code in others.index]
    assert np.abs(others["predicted_accuracy"] - truth).max() < 0.5
    score = report.score
    assert score is not None
    assert score.tau > 0.8
    assert score.truth.measured == pytest.approx([final_loss(json.loads(c)["width"], 1) for c in score.candidates])
    assert {source.name: source.agreement.tau > 0.8 for source in score.sources} == {
        "training-2": True,
        "training-8": True,
    }
    assert np.isfinite(score.coverage)
    assert "candidates that" in printed
    assert "by val_loss (lower is better)" in printed
    assert "predicted final val_loss" in printed
    best = table["predicted_accuracy"].iloc[0]
    assert f"{best:.5g} (" in printed
    assert "%" not in printed.split("ranking, best first")[1].split("evidence cost")[0].replace("90 %", "")
    page = (report.run.folder / "report.html").read_text()
    assert "predicted final val_loss" in page
    assert f"{best:.5g}" in page


def test_a_score_of_any_size_and_the_same_order_as_its_loss(tmp_path):
    by_loss, _ = run_own(tmp_path / "a", baseline=None)
    by_quality, _ = run_own(tmp_path / "b", baseline=None, metric={"name": "quality", "mode": "max"})
    assert list(by_quality.ranking.table["architecture"]) == list(by_loss.ranking.table["architecture"])


def test_a_failure_is_the_outcome_of_its_candidate(tmp_path):
    candidates = [{"width": width} for width in range(9, 17)]
    report, printed = run_own(tmp_path, candidates=candidates, trainings=[{"epochs": 2}])
    last = report.ranking.table.iloc[-1]
    assert last["architecture"] == '{"width": 13}'
    assert "ValueError: thirteen (own_runs.py, line" in last["problem"]
    assert "1 candidate failed" in printed
    assert report.score.n == 7  # type: ignore[union-attr]


def test_a_mistake_that_fails_all_trainings_ends_the_run_in_one_line(tmp_path):
    run = create_run(
        load_experiment(content(metric={"name": "val_los", "mode": "min"})), tmp_path, no_images(), say=list
    )
    for _ in range(2):  # and so does resuming it
        with pytest.raises(
            TrainableError, match=r"all 15 trainings failed; the first: epoch 1 has no 'val_los'"
        ) as caught:
            finish(run)
        assert "\n" not in str(caught.value)


def test_the_run_is_opened_again_explained_and_extended(tmp_path):
    report, _ = run_own(tmp_path, trainings=[{"epochs": 2}], budget="2x")
    run = Run.open(report.run.folder)
    assert run.experiment.to_yaml() == report.run.experiment.to_yaml()
    assert run.rank().table.equals(report.ranking.table)
    code = '{"width": 11}'
    found = explain(
        run.log,
        code,
        names=run.names,
        stages=_begun_stages(run),
        encoding=run.problem.encoding,
        ranking=run.rank(),
        metric=run.experiment.ranked_metric,
    )
    out = io.StringIO()
    print_explanation(Console(file=out, width=160), found)
    values = [own["val_loss"] for own in train({"width": 11}, epochs=2, seed=0, device="cpu", checkpoint=tmp_path)]
    assert f"first {values[0]:.5g} at epoch 1, best {values[1]:.5g} at epoch 2" in out.getvalue()
    assert open_run(run.folder).ranking.metric == "val_loss"

    more = extend(run, Changes(add=('{"width": 30}',)), no_images(), say=list)
    again, _ = finish(more)
    assert again.ranking.table["architecture"].iloc[0] == '{"width": 30}'
    assert again.ranking.table["epochs"].tolist() == [2.0] * 16
    with pytest.raises(ExperimentError, match="no space to draw from"):
        extend(run, Changes(candidates=20), no_images(), say=list)
    with pytest.raises(ExperimentError, match=r"--add: \{\"width\":30\} is a candidate of the run already"):
        extend(more, Changes(add=('{"width":30}',)), no_images(), say=list)


def test_features_and_sizes_come_from_a_file(tmp_path):
    rows = [{"candidate": f"width={width}", "parameters": 100 * width} for width in range(4, 20) if width != 13]
    pd.DataFrame(rows).to_csv(tmp_path / "sizes.csv", index=False)
    report, printed = run_own(
        tmp_path, features=str(tmp_path / "sizes.csv"), trainings=[{"epochs": 2, "candidates": 5}], budget="6x"
    )
    (tmp_path / "sizes.csv").unlink()
    run = Run.open(report.run.folder)
    assert list(run.problem.encoding.columns) == ["parameters", "width"]
    assert run.problem.encoding.loc['{"width": 7}'].tolist() == [700.0, 7.0]
    assert any(source.name.startswith("parameters") for source in report.score.sources)  # type: ignore[union-attr]
    assert (run.folder / "front.csv").is_file()
    assert "val_loss against parameters: " in printed
    assert report.score.tau > 0.5  # type: ignore[union-attr]
    with pytest.raises(ExperimentError, match=r"features: .* does not exist|features: .* cannot be read"):
        extend(run, Changes(add=('{"width": 30}',)), no_images(), say=list)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("width=4", 1)], r"parameters has no value for width=5"),
        ([("width=4", "big")], r"parameters 'big' is not a number"),
        ([("width=4", 1), ("width=4", 2)], "'width=4' twice"),
        ([("wdth 4", 1)], "is none of the candidates"),
    ],
)
def test_features_that_do_not_fit_are_refused(tmp_path, rows, message):
    pd.DataFrame(rows, columns=["candidate", "parameters"]).to_csv(tmp_path / "f.csv", index=False)
    experiment = load_experiment(content(features=str(tmp_path / "f.csv")))
    with pytest.raises(ExperimentError, match=message) as caught:
        create_run(experiment, tmp_path, no_images(), say=list)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("widths-*"))


def test_a_run_scores_against_another_run_and_a_csv_of_losses(tmp_path):
    first, _ = run_own(tmp_path / "a")
    run = first.run
    there = read_truth(run.folder, run.candidates, ranked=run.experiment.ranked_metric)
    assert there.lower_is_better
    table = pd.DataFrame({"architecture": [run.names[code] for code in run.candidates], "loss": there.measured})
    table.to_csv(tmp_path / "truth.csv", index=False)
    score = open_run(run.folder).score(tmp_path / "truth.csv")
    assert score.tau == first.score.tau  # type: ignore[union-attr]


def test_its_log_becomes_a_table_of_accuracies_and_of_its_own_metric(tmp_path):
    report, _ = run_own(tmp_path, trainings=[{"epochs": 8}], budget="1x")
    table = import_run(report.run.folder)
    own = table.final("val_loss", schedule_epochs=8, seed=1)
    accuracies = table.final("validation_accuracy", schedule_epochs=8, seed=1)
    assert own.rank().equals(accuracies.rank(ascending=False))
    assert accuracies.between(0, 1).all()
    assert table.info.metrics["val_loss"].direction == "lower"
    seconds: Any = table.rows["seconds"].sum()
    assert seconds == pytest.approx(report.run.log.evidence()["seconds"].sum())
