"""A run that is interrupted, killed, and robbed of a worker ends in the ranking of the run that was not."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import pytest

from taurank.orchestrator.evidence import TIMING
from taurank.orchestrator.evidence.log import EvidenceLog

ROOT = Path(__file__).parents[3]
EXPERIMENT = """
name: faults
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 4
data: {name: digits, train: 512, validation: 200, test: 200}
recipe: {epochs: 12, batch_size: 32, learning_rate: 0.05}
budget: 2x
trainings: [{epochs: 4}]
supernets: [{epochs: 6}]
baseline: {seeds: [1]}
"""
PATIENCE = 600.0

pytestmark = pytest.mark.ray


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "taurank", *arguments]


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=PATIENCE)
    return output


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run_folder(folder: Path) -> Path:
    (found,) = (folder / "runs").glob("faults-*")
    return found


def wait_for(folder: Path, ready: Callable[[pd.DataFrame], bool]) -> pd.DataFrame:
    """Waits until the log of the run holds what is asked for, and returns its rows at that moment."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        files = list((folder / "runs").glob("faults-*/evidence.sqlite"))
        if files and files[0].stat().st_size:  # empty while its tables are made
            rows = EvidenceLog(files[0]).evidence()
            if ready(rows):
                return rows
        time.sleep(0.05)
    raise AssertionError("the run did not come so far")


def epochs_of(rows: pd.DataFrame, stage: str) -> int:
    return int(((rows["stage"] == stage) & (rows["metric"] == "train_loss")).sum())


def ranking_of(run: Path) -> pd.DataFrame:
    """All of the ranking but what is measured with a clock."""
    return pd.read_csv(run / "ranking.csv").drop(columns="seconds")


def numbers_of(run: Path) -> pd.DataFrame:
    """All of the evidence but what is measured with a clock."""
    rows = EvidenceLog(run / "evidence.sqlite").evidence()
    rows = rows[rows["stage"] != TIMING]
    keys = ["stage", "trial", "architecture", "epoch", "metric"]
    return rows.sort_values(keys).reset_index(drop=True)[[*keys, "seed", "value", "epochs"]]


def assert_same(run: Path, other: Path) -> None:
    pd.testing.assert_frame_equal(numbers_of(run), numbers_of(other))
    pd.testing.assert_frame_equal(ranking_of(run), ranking_of(other))


def is_trial(process: psutil.Process) -> bool:
    """Whether it is a worker of Ray's that holds a trial: its title is its class, or the trial of its current call."""
    title = " ".join(process.cmdline()[:1])
    return title.startswith("ray::") and ("Trial" in title or "/seed " in title)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "faults.yaml").write_text(EXPERIMENT)
    with started(folder, "run", "faults.yaml") as process:
        output = finish(process)
    assert process.returncode == 0, output
    assert "tau-b" in output
    return run_folder(folder)


@pytest.mark.smoke
def test_a_run_that_was_killed_goes_on_to_the_same_ranking(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text(EXPERIMENT)
    with started(tmp_path, "run", "faults.yaml") as process:
        killed_at = wait_for(tmp_path, lambda rows: epochs_of(rows, "supernet:uniform") >= 2)
        process.kill()
        process.wait()
    run = run_folder(tmp_path)
    # Rows are in the log before anything else happens: what was there before is there now, untouched.
    after_kill = EvidenceLog(run / "evidence.sqlite").evidence()
    pd.testing.assert_frame_equal(after_kill.iloc[: len(killed_at)], killed_at)
    with started(tmp_path, "resume", str(run)) as process:
        output = finish(process)
    assert process.returncode == 0, output
    assert_same(run, undisturbed)


def test_a_run_survives_ctrl_c_sigterm_and_a_lost_worker(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text(EXPERIMENT)

    with started(tmp_path, "run", "faults.yaml") as process:
        before = wait_for(tmp_path, lambda rows: epochs_of(rows, "training-4") >= 3)
        process.send_signal(signal.SIGINT)
        output = finish(process)
    assert process.returncode == 130, output
    assert "taurank resume" in output
    assert "Traceback" not in output
    run = run_folder(tmp_path)
    assert len(EvidenceLog(run / "evidence.sqlite").evidence()) >= len(before)

    with started(tmp_path, "resume", str(run)) as process:
        wait_for(tmp_path, lambda rows: epochs_of(rows, "baseline") >= 6)
        process.terminate()
        output = finish(process)
    assert process.returncode == 130, output
    assert "Traceback" not in output

    # A state that is gone means starting over, and the same numbers.
    for state in (run / "checkpoints").iterdir():
        state.unlink()

    with started(tmp_path, "resume", str(run)) as process:
        so_far = epochs_of(EvidenceLog(run / "evidence.sqlite").evidence(), "baseline")
        wait_for(tmp_path, lambda rows: epochs_of(rows, "baseline") >= so_far + 2)
        workers = [child for child in psutil.Process(process.pid).children(recursive=True) if is_trial(child)]
        assert workers, "no trial worker found to kill"
        workers[0].kill()
        output = finish(process)
    assert process.returncode == 0, output
    events = EvidenceLog(run / "evidence.sqlite").events()
    assert (events["event"].isin(["recovered", "lost"])).any(), "the loss of the worker left no trace"
    assert not (events["event"] == "failed").any()

    assert_same(run, undisturbed)


def test_resuming_a_finished_run_trains_nothing(undisturbed: Path) -> None:
    before = numbers_of(undisturbed)
    with started(undisturbed.parent, "resume", str(undisturbed)) as process:
        output = finish(process)
    assert process.returncode == 0, output
    assert "nothing left to run" in output
    pd.testing.assert_frame_equal(numbers_of(undisturbed), before)


def test_a_second_process_is_kept_out(undisturbed: Path) -> None:
    with (undisturbed / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            command("resume", str(undisturbed)), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 2
    assert "another taurank is working on" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
