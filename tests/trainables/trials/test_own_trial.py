"""The trial of a candidate that own code trains: its rows, its failures, and what a second one goes on from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from taurank.trainables.own import OwnCode
from taurank.trainables.trials import OwnTrial, TrialSpec
from tests.trainables.direct_trials import make_trial, results, spec_of

CALLS: list[tuple[Any, ...]] = []


def train(candidate: Any, *, epochs: int, seed: int, device: str, checkpoint: Path) -> Any:
    CALLS.append((candidate, epochs, seed, device))
    file = checkpoint / "epoch"
    for epoch in range(1 + (int(file.read_text()) if file.exists() else 0), epochs + 1):
        if candidate == {"fails": epoch}:
            raise ValueError("no\nsuch thing")
        file.write_text(str(epoch))
        yield {"dice": 0.5 + epoch / 100, "loss": -float(epoch), "note": "text"}


@pytest.fixture(autouse=True)
def storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))
    CALLS.clear()


def spec(folder: Path, code: str = "unet", **changes: Any) -> TrialSpec:
    own = {"space": "own", "architectures": (code,), "trainable": "mine:train", "metric": "dice"}
    return spec_of(folder, **(own | changes))


def trial(spec: TrialSpec, code: Any = train) -> Any:
    return make_trial(OwnTrial, spec, OwnCode("mine:train", code), stage="run training-3")


def values(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(code, epoch, name, value, cost) for row in rows for code, epoch, name, value, _, cost in row["evidence"]]


def test_rows_have_the_metrics_and_the_ranked_one_carries_the_cost(tmp_path):
    rows = results(trial(spec(tmp_path)))
    assert CALLS == [("unet", 3, 5, "cpu")]
    assert [row["dice"] for row in rows] == [0.51, 0.52, 0.53]
    assert [row["outcome"] for row in rows] == ["", "", "completed"]
    assert values(rows)[:2] == [("unet", 1, "dice", 0.51, 1.0), ("unet", 1, "loss", -1.0, 0.0)]
    assert rows[0]["unsaved"] == ""
    assert all("validation_accuracy" not in row for row in rows)


def test_an_exception_is_the_outcome_of_its_candidate_with_the_place(tmp_path):
    rows = results(trial(spec(tmp_path, '{"fails": 2}')))
    assert [row["outcome"] for row in rows] == ["", "failed"]
    line = train.__code__.co_firstlineno + 5
    assert rows[1]["reason"] == f"could not be trained: ValueError: no such thing (test_own_trial.py, line {line})"
    assert math.isnan(rows[1]["dice"])
    assert values(rows)[-1][:3] == ('{"fails": 2}', 2, "dice")


def test_code_that_cannot_be_found_is_the_outcome_too(tmp_path):
    found = make_trial(OwnTrial, spec(tmp_path), OwnCode("no_such_module_here:train"), stage="run training-3")
    rows = results(found)
    assert [row["outcome"] for row in rows] == ["failed"]
    assert rows[0]["reason"].startswith("trainable: 'no_such_module_here:train': there is no module")


def test_a_second_trial_reports_again_and_goes_on(tmp_path):
    first = trial(spec(tmp_path))
    rows = [first.train(), first.train()]
    again = results(trial(spec(tmp_path)))
    assert values(again)[:4] == values(rows)
    assert [row["epoch"] for row in again] == [1, 2, 3]
    assert len(CALLS) == 2
    assert [cost for *_, name, _, cost in values(again) if name == "dice"] == [1.0, 1.0, 1.0]


def test_without_a_state_it_is_said_and_everything_is_trained_again(tmp_path):
    def forgets(candidate, *, epochs, seed, device, checkpoint):
        CALLS.append((candidate,))
        for epoch in range(1, epochs + 1):
            yield {"dice": epoch / 10}

    first = trial(spec(tmp_path), forgets)
    assert "starts over" in first.train()["unsaved"]
    again = results(trial(spec(tmp_path), forgets))
    assert [cost for *_, cost in values(again)] == [1.0, 2.0, 1.0]
    assert [row["dice"] for row in again] == [0.1, 0.2, 0.3]
    assert again[-1]["unsaved"] == ""  # it is complete


def test_ends_where_its_stage_does(tmp_path):
    rows = results(trial(spec(tmp_path, until=2)))
    assert [row["outcome"] for row in rows] == ["", "completed"]
    assert CALLS[0][1] == 3  # the schedule has its whole length


def test_another_metric_or_code_is_another_training(tmp_path):
    base = spec(tmp_path)
    assert base.fingerprint != spec(tmp_path, metric="loss").fingerprint
    assert base.fingerprint != spec(tmp_path, trainable="mine:other").fingerprint
    assert spec_of(tmp_path).fingerprint == spec_of(tmp_path, metric="loss").fingerprint  # of ours, as before


@pytest.mark.parametrize(("metric", "lower", "best"), [("dice", False, 3), ("loss", True, 3), ("loss", False, 1)])
def test_weights_of_the_best_epoch_are_kept_on_request(tmp_path, metric, lower, best):
    file = tmp_path / "weights" / "best.pt"
    results(trial(spec(tmp_path, metric=metric, lower_is_better=lower, best=str(file))))
    content = torch.load(file, weights_only=True)
    assert content["epoch"] == best
    assert content["weights"]["files"]["epoch"].numpy().tobytes().decode() == str(best)
    assert content["candidate"] == "unet"
    assert metric in content


def test_weights_that_cannot_be_written_are_said_and_stop_nothing(tmp_path):
    (tmp_path / "weights").touch()
    rows = results(trial(spec(tmp_path, best=str(tmp_path / "weights" / "best.pt"))))
    assert rows[-1]["outcome"] == "completed"
    assert str(tmp_path / "weights") in rows[0]["unsaved"]
