"""A finished run made of numbers: what the ranking, the score and the report are tested on, without training."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taurank.orchestrator import cli
from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.spaces import get_space
from taurank.trainables.table import RecordedTable, TableInfo
from taurank.trainables.table.format import Metric
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.rows import Rows

EXPERIMENT = """
name: made-up
description: 24 cells with curves that nobody trained
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 24
data: {name: digits, validation: 400, test: 600}
recipe: {epochs: 40}
trainings:
  - {epochs: 2}
  - {epochs: 40, candidates: 3}
baseline: {seeds: [1, 2]}
"""


@pytest.fixture(scope="session")
def experiment() -> Experiment:
    return parse_experiment(EXPERIMENT, where="made-up.yaml")


@pytest.fixture(scope="session")
def codes() -> tuple[str, ...]:
    drawn = get_space("nasbench201").sample(24, np.random.default_rng(0))
    return tuple(architecture.code for architecture in drawn)


def book_size(log: EvidenceLog, codes: Sequence[str], quality: np.ndarray, generator: np.random.Generator) -> None:
    log.append_event("size", "", "started")
    size = quality + generator.normal(0, 1, len(codes))
    rows = []
    for code, value in zip(codes, size, strict=True):
        trial = f"size/{code}"
        rows.append(Evidence("size", trial, code, "size", 0, 0, 0, "parameters", 1e4 * np.exp(value), seconds=0.01))
        rows.append(Evidence("size", trial, code, "size", 0, 0, 0, "flops", 1e6 * np.exp(value)))
    log.append(rows)
    log.append_event("size", "", "ended")


def book_training(log: EvidenceLog, stage: str, code: str, curve: Sequence[float], seed: int, test: float) -> None:
    """One training to its end: an epoch takes a tenth of a second."""
    trial = f"{stage}/{code}/seed {seed}"
    rows = [
        Evidence(stage, trial, code, "training", epoch, len(curve), seed, "validation_accuracy", value, 0.1, 1.0)
        for epoch, value in enumerate(curve, start=1)
    ]
    rows.append(Evidence(stage, trial, code, "training", len(curve), len(curve), seed, "test_accuracy", test))
    log.append(rows)
    log.append_event(stage, trial, "completed")


def book_run(
    folder: Path, codes: Sequence[str], *, trainings: bool = True, seeds: Sequence[int] = (1, 2)
) -> EvidenceLog:
    """The log of a run over candidates that are given best first, by their final accuracy."""
    log, count = EvidenceLog(folder / "evidence.sqlite"), len(codes)
    generator = np.random.default_rng(7)
    quality = np.linspace(1.5, -1.5, count) if count > 1 else np.zeros(1)
    book_size(log, codes, quality, generator)

    def final(index: int, spread: float) -> float:
        return float(1 / (1 + np.exp(-2.5 - 0.7 * (quality[index] + generator.normal(0, spread)))))

    rise = 1 - np.exp(-np.arange(1, 41) / 6)
    if trainings:
        log.append_event("training-2", "", "started")
        for index in range(count):
            end = 0.6 * final(index, 0.7)
            book_training(log, "training-2", codes[index], [0.6 * end, end], 0, end)
        log.append_event("training-2", "", "ended")
        log.append_event("training-40", "", "started")
        for index in sorted({count // 4, count // 2, 3 * count // 4}):
            end = final(index, 0.2)
            book_training(log, "training-40", codes[index], end * rise, 0, end)
        log.append_event("training-40", "", "ended")
    if seeds:
        log.append_event(BASELINE, "", "started")
        for seed in seeds:
            for index in range(count):
                end = final(index, 0.2)
                book_training(log, BASELINE, codes[index], end * rise, seed, end)
        log.append_event(BASELINE, "", "ended")
    return log


@pytest.fixture
def make_log(tmp_path: Path, codes: tuple[str, ...]) -> Callable[..., EvidenceLog]:
    """Makes the log of a run over the first ``count`` candidates; see ``book_run`` for the rest."""

    def make(count: int = 24, **settings: Any) -> EvidenceLog:
        folder = tmp_path / "run"
        folder.mkdir()
        return book_run(folder, codes[:count], **settings)

    return make


@pytest.fixture(scope="session")
def finished_log(tmp_path_factory: pytest.TempPathFactory, codes: tuple[str, ...]) -> EvidenceLog:
    """The log of a whole run, to look at and not to write to."""
    return book_run(tmp_path_factory.mktemp("finished"), codes)


@pytest.fixture
def run_folder(finished_log: EvidenceLog, codes: tuple[str, ...], experiment: Experiment, tmp_path: Path) -> Path:
    """The folder of a finished run."""
    folder = tmp_path / "run"
    finished_log.close()
    shutil.copytree(finished_log.path.parent, folder)
    resolved = experiment.model_copy(update={"candidates": list(codes)})
    (folder / "experiment.yaml").write_text(resolved.to_yaml(), encoding="utf-8")
    return folder


@pytest.fixture
def taurank(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; gives its exit code and what it wrote to both outputs."""

    def taurank(*arguments: object, columns: int = 150) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["taurank", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", str(columns))
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        written = capfd.readouterr()
        return code, written.out, written.err

    return taurank


@pytest.fixture(scope="session")
def table() -> RecordedTable:
    """Recorded trainings of 30 made-up architectures: 10 epochs of 2 seconds, three seeds, sizes, two proxies."""
    generator = np.random.default_rng(5)
    count, epochs = 30, np.arange(1, 11)
    width, depth, kind = (
        generator.uniform(1, 4, count),
        generator.integers(1, 5, count),
        generator.integers(0, 3, count),
    )
    quality = 0.5 * width + 0.3 * depth + 0.4 * (kind == 1)
    rows = Rows([f"net-{number:02d}" for number in range(count)])
    for seed in range(3):
        final = 1 / (1 + np.exp(-quality - generator.normal(0, 0.05, count)))
        curve = final[:, None] * (1 - np.exp(-epochs / generator.uniform(1, 3, count)[:, None]))
        curves = {"validation_accuracy": curve, "train_loss": -np.log(curve)}
        rows.add("training", curves, epoch=epochs, schedule_epochs=10, seed=seed, seconds=2.0)
        test = {"test_accuracy": curve[:, -1] - 0.01 + generator.normal(0, 0.002, count)}
        rows.add("training", test, epoch=10, schedule_epochs=10, seed=seed, seconds=0.0)
    rows.add("size", {"parameters": np.round(1e5 * width), "flops": np.round(1e6 * width * depth)}, seconds=0.0)
    for name in ("jacov", "nwot"):
        rows.add(f"proxy:{name}", {"score": quality + generator.normal(0, 1, count)}, seconds=0.1)
    rows.add("supernet:shared", {"validation_accuracy": 1 / (1 + np.exp(-quality - generator.normal(0, 0.5, count)))})
    rows.add("encoding", {"width": width, "depth": depth, "kind": kind, "stem": np.ones(count)}, seconds=0.0)
    metrics = describe_all(rows.metrics) | {"kind": Metric(category=True)}
    return RecordedTable(TableInfo("made-up", "nothing", metrics), rows.frame())


@pytest.fixture
def recorded() -> Path:
    """The folder with the recorded trainings of NAS-Bench-201."""
    folder = os.environ.get("TAURANK_DATA")
    if not folder:
        pytest.skip("TAURANK_DATA is unset: it names the folder with the recorded trainings")
    return Path(folder) / "nb201"
