"""Results in folders, as Ray Tune, Lightning, MLflow and TensorBoard write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from taurank.orchestrator.own_results import Results, ResultsError, read_results

EPOCHS = 3
WIDTHS = (8, 16, 32)


def accuracy(width: int, epoch: int) -> float:
    return width / 64 + epoch / 10


def tune(folder: Path) -> None:
    for seed in (0, 1):
        for width in WIDTHS:
            trial = folder / f"train_{width}_{seed}"
            trial.mkdir(parents=True)
            config = {"net": {"width": width}, "seed": seed, "lr": 0.1}
            (trial / "params.json").write_text(json.dumps(config))
            reports = [
                {
                    "training_iteration": e,
                    "eval": {"acc": accuracy(width, e)},
                    "config": config,
                    "time_this_iter_s": 2.0,
                }
                for e in range(1, EPOCHS + 1)
            ]
            # A killed process leaves half a line.
            (trial / "result.json").write_text("\n".join(map(json.dumps, reports)) + '\n{"training_it')


def tune_csv(folder: Path) -> None:
    for width in WIDTHS:
        trial = folder / f"t{width}"
        trial.mkdir(parents=True)
        rows = [f"{e},{accuracy(width, e)},{width}" for e in range(1, EPOCHS + 1)]
        (trial / "progress.csv").write_text("training_iteration,eval/acc,config/width\n" + "\n".join(rows) + "\n")


def lightning(folder: Path) -> None:
    for number, width in enumerate(WIDTHS):
        version = folder / "lightning_logs" / f"version_{number}"
        version.mkdir(parents=True)
        (version / "hparams.yaml").write_text(f"width: {width}\nseed: {number}\n")
        rows = ["epoch,step,train_loss,eval/acc"]
        for epoch in range(EPOCHS):
            rows += [f"{epoch},{10 * epoch + 5},0.5,", f"{epoch},{10 * epoch + 9},,{accuracy(width, epoch + 1)}"]
        (version / "metrics.csv").write_text("\n".join(rows) + "\n")


def lightning_by_name(folder: Path) -> None:
    for width in WIDTHS:
        for version in (0, 1):
            place = folder / f"width={width}" / f"version_{version}"
            place.mkdir(parents=True)
            rows = [f"{epoch},{accuracy(width, epoch + 1)}" for epoch in range(EPOCHS)]
            (place / "metrics.csv").write_text("epoch,eval/acc\n" + "\n".join(rows) + "\n")


def mlflow(folder: Path) -> None:
    for number, width in enumerate((*WIDTHS, 64)):
        run = folder / "mlruns" / "0" / f"{number:032x}"
        (run / "metrics" / "eval").mkdir(parents=True)
        (run / "params").mkdir()
        (run / "tags").mkdir()
        (run / "meta.yaml").write_text(f"lifecycle_stage: {'deleted' if width == 64 else 'active'}\n")
        (run / "params" / "width").write_text(str(width))
        (run / "tags" / "mlflow.runName").write_text(f"lively-fox-{number}")
        lines = [f"{1700000000 + e} {accuracy(width, e)} {e}" for e in range(1, EPOCHS + 1)]
        (run / "metrics" / "eval" / "acc").write_text("\n".join(lines) + "\n")


def tensorboard(folder: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for width in WIDTHS:
        writer = EventFileWriter(str(folder / f"width={width}"))
        for epoch in range(1, EPOCHS + 1):
            values = {"eval/acc": accuracy(width, epoch), "epoch": epoch}
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
            writer.add_event(Event(step=100 * epoch, wall_time=float(epoch), summary=summary))
        writer.close()


def read(folder: Path, **options: object) -> Results:
    return read_results(folder, **({"full_epochs": EPOCHS, "metric": "eval/acc"} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("write", "prefix", "trainings"),
    [
        (tune, "net/width=", 6),
        (tune_csv, "width=", 3),
        (lightning, "width=", 3),
        (lightning_by_name, "width=", 6),
        (mlflow, "width=", 3),
        (tensorboard, "width=", 3),
    ],
)
def test_each_logger_is_read(tmp_path: Path, write: Callable[[Path], None], prefix: str, trainings: int) -> None:
    write(tmp_path)
    found = read(tmp_path)
    assert set(found.candidates) == {f"{prefix}{width}" for width in WIDTHS}
    assert found.rows["training"].nunique() == trainings
    assert found.spent == trainings * EPOCHS
    for width in WIDTHS:
        values = found.rows.loc[found.rows["candidate"] == f"{prefix}{width}"].groupby("epoch")["value"].mean()
        assert list(values.index) == [1, 2, 3]
        assert np.allclose(values, [accuracy(width, e) for e in (1, 2, 3)])
    with pytest.raises(ResultsError, match=r"no metric 'val_acc'; it has .*eval/acc"):
        read(tmp_path, metric="val_acc")


def test_a_hyper_parameter_can_name_the_candidates(tmp_path: Path) -> None:
    tune(tmp_path)
    assert read(tmp_path, columns={"candidate": "seed"}).candidates == ("0", "1")
    with pytest.raises(
        ResultsError, match="no hyper-parameter 'depth' for the candidate; there are lr, net/width, seed"
    ):
        read(tmp_path, columns={"candidate": "depth"})


def test_a_loss_that_became_nan_is_a_failure(tmp_path: Path) -> None:
    tune(tmp_path)
    file = tmp_path / "train_8_0" / "result.json"
    lines = file.read_text().splitlines()
    lines[2] = lines[2].replace(str(accuracy(8, 3)), "NaN")
    file.write_text("\n".join(lines))
    ends = read(tmp_path).last
    assert ends["value"].isna().sum() == 1
    assert ends.index[ends["value"].isna()][0].endswith("train_8_0")


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"has no results: no result\.json"):
        read(tmp_path)


def test_without_the_reader_of_tensorboard_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensorboard(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "tensorboard.backend.event_processing.event_accumulator", None)
    with pytest.raises(ResultsError, match=r"pip install 'taurank\[tensorboard\]'"):
        read(tmp_path)
