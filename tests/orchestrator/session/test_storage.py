"""Disks that are full, read-only or gone: one line with the cause, nothing corrupt, the same ranking in the end."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from taurank.orchestrator.campaigns.campaign import run_campaign
from taurank.orchestrator.evidence.log import Evidence, EvidenceError, EvidenceLog
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.runs.run import Run, RunError
from taurank.orchestrator.session.storage import (
    ROOM_BYTES,
    StorageError,
    check_after_loss,
    check_room,
    storage_failures,
)
from taurank.trainables.data import load_dataset, make_splits
from tests.orchestrator.processes import start

ROOT = Path(__file__).parents[3]
EXPERIMENT = """
name: disk
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 4
data: {name: digits, validation: 200, test: 200}
recipe: {epochs: 12, batch_size: 32, learning_rate: 0.05}
budget: 2x
share_results: false
trainings: [{epochs: 4}]
baseline: null
"""
PATIENCE = 240.0
ROW = Evidence("training-4", "t", "a", "training", 1, 4, 0, "validation_accuracy", 0.5)


def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A small disk of its own; only root may make one."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no disk can be mounted: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    yield from mounted(tmp_path / "disk", "-o", "size=24m")


def fill(disk: Path, leave: int) -> Path:
    """Leaves so many bytes free, or fewer, where a run writes to the disk at the same time."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while (free := shutil.disk_usage(disk).free - leave) > 0:
            try:
                file.write(bytes(free))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                break
    return ballast


def test_a_full_disk_is_found_before_anything_is_spent(disk):
    check_room(disk)
    assert not list(disk.iterdir())
    fill(disk, ROOM_BYTES // 2)
    line = f"cannot write to {disk}: the disk is full; free some space, then: taurank resume {disk}"
    with pytest.raises(StorageError, match=f"^{re.escape(line)}$"):
        check_room(disk)
    assert [file.name for file in disk.iterdir()] == ["ballast"]


def test_a_log_on_a_full_disk_keeps_whole_transactions_and_goes_on(disk):
    log = EvidenceLog(disk / "evidence.sqlite")
    log.append([ROW])
    ballast = fill(disk, 0)
    many = [Evidence("s", "t", f"code-{number}" * 20, "training", 1, 4, 0, "loss", 0.5) for number in range(2_000)]
    with pytest.raises(
        EvidenceError, match=r"evidence.sqlite: the disk is full; free some space, then: taurank resume"
    ):
        log.append(many)
    assert log.failure is not None
    assert len(log.evidence()) == 1
    ballast.unlink()
    assert log.append(many) == 2_000
    assert log.failure is None
    log.close()
    assert sqlite3.connect(log.path).execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "quota is used up"),
        (errno.EROFS, "read-only"),
    ],
)
def test_what_fails_in_the_folder_is_named(tmp_path, code, cause):
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    with pytest.raises(StorageError, match=cause), storage_failures(tmp_path, log):
        raise OSError(code, os.strerror(code), str(tmp_path / "ranking.csv"))


def test_what_fails_elsewhere_is_left_alone(tmp_path):
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    with pytest.raises(FileNotFoundError, match=r"images\.npy"), storage_failures(tmp_path, log):
        Path("/nowhere/images.npy").read_bytes()
    with pytest.raises(KeyError), storage_failures(tmp_path, log):
        raise KeyError("a mistake of ours")


def test_what_ray_wraps_is_found_in_the_log_and_on_the_disk(disk):
    log = EvidenceLog(disk / "evidence.sqlite")
    log.append([ROW])
    log.failure = EvidenceError("cannot write to it")
    with pytest.raises(EvidenceError, match="cannot write"), storage_failures(disk, log):
        raise RuntimeError("TuneError: Traceback ...")
    log.failure = None
    fill(disk, 0)
    with pytest.raises(StorageError, match="the disk is full"), storage_failures(disk, log):
        raise EOFError("Ran out of input")


def test_a_trial_that_is_lost_to_a_full_disk_has_not_failed(disk):
    check_after_loss(disk, "OSError: [Errno 28] No space left on device")  # there is room by now
    fill(disk, 0)
    check_after_loss(disk, "its worker was killed")
    with pytest.raises(StorageError, match="the disk is full"):
        check_after_loss(disk, "OSError: [Errno 28] No space left on device: '/x/tune'")


def test_a_limit_on_file_sizes_is_named(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES // 4, before[1]))
    try:
        with pytest.raises(StorageError, match=r"limit on file sizes is reached; raise it \(ulimit -f\)"):
            check_room(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def make_run(folder: Path) -> Run:
    experiment = parse_experiment(EXPERIMENT, where="disk.yaml")
    images = make_splits(load_dataset("digits"), seed=0, validation=200, test=200)
    return create_run(experiment, folder, images, say=lambda line: None)


def test_a_folder_that_became_read_only_gets_one_line(disk):
    made = make_run(disk / "runs")
    made.log.close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    images = make_splits(load_dataset("digits"), seed=0, validation=200, test=200)
    with pytest.raises((StorageError, EvidenceError), match=r"read-only|readonly") as found:
        run_campaign(Run.open(made.folder), images, console=Console(quiet=True))
    assert len(str(found.value).splitlines()) == 1
    with pytest.raises(RunError, match=r"cannot write to .*: Read-only file system; give another folder with --out"):
        make_run(disk / "others")


def test_a_relative_folder_is_made_where_it_was_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run(Path("my runs/here"))
    assert run.folder.parent == tmp_path / "my runs" / "here"
    assert run.folder.is_absolute()


# --- whole runs


def finish(process: subprocess.Popen[str]) -> str:
    try:
        return process.communicate(timeout=PATIENCE)[0]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def found_run(folder: Path) -> Path:
    (run,) = folder.glob("disk-*")
    return run


def rows_of(folder: Path) -> int:
    files = list(folder.glob("disk-*/evidence.sqlite"))
    if not files:
        return 0
    log = EvidenceLog(files[0])
    try:
        return int((log.evidence()["stage"] == "training-4").sum())
    except EvidenceError:  # it is being made
        return 0
    finally:
        log.close()


def ranking_of(run: Path) -> pd.DataFrame:
    """All of the ranking but what is measured with a clock."""
    return pd.read_csv(run / "ranking.csv").drop(columns="seconds")


@pytest.mark.ray
def test_a_run_whose_disk_gets_full_ends_in_a_line_and_goes_on_to_the_same_ranking(disk, tmp_path):
    (tmp_path / "disk.yaml").write_text(EXPERIMENT)
    process = start(tmp_path, "run", "disk.yaml", "--out", str(disk))
    end = time.monotonic() + PATIENCE
    while rows_of(disk) < 4 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    ballast = fill(disk, 20_000)
    output = finish(process)
    run = found_run(disk)
    assert process.returncode == 2, output
    assert "Traceback" not in output
    assert output.splitlines()[-1].startswith("taurank: cannot write to ")
    assert output.splitlines()[-1].endswith(f"the disk is full; free some space, then: taurank resume {run}")
    ballast.unlink()
    process = start(tmp_path, "resume", str(run))
    output = finish(process)
    assert process.returncode == 0, output
    process = start(tmp_path, "run", "disk.yaml", "--out", "undisturbed")
    output = finish(process)
    assert process.returncode == 0, output
    pd.testing.assert_frame_equal(ranking_of(run), ranking_of(found_run(tmp_path / "undisturbed")))
    # A run leaves a log behind that says what Ray did, and none of Tune's own copies.
    assert not (run / "tune").exists()
