"""A run in processes that are killed and resumed, with networks that count their training batches; for `faults.py`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TRAIN_IMAGES = 1397
EXPERIMENT = """
name: faults
space: {name: "traced_space:Traced", options: {width: 4, cells_per_stage: 1}}
candidates: 6
data: {name: digits, validation: 200, test: 200}
recipe: {epochs: 6, batch_size: 32, learning_rate: 0.05}
budget: 1x
proxies: [jacob_cov, synflow]
supernets: [{epochs: 4, contenders: {most: 2, epochs: 2}}]
trainings: [{epochs: 2}, {epochs: 4, scheduler: successive-halving, budget_epochs: 12}]
baseline: {seeds: [1]}
resources: {cpus_per_trial: 1LOCAL}
share_results: false
"""
PATIENCE = 400.0

sys.path.insert(0, str(ROOT))
from taurank.orchestrator.evidence.log import EvidenceLog  # noqa: E402


def environment(folder: Path) -> dict[str, str]:
    settings = {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}", "TAURANK_TRACE": str(folder / "trace.txt")}
    return os.environ | settings | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def images_trained(folder: Path) -> int:
    trace = folder / "trace.txt"
    return sum(map(int, trace.read_text().split())) if trace.exists() else 0


class Attempt:
    """A run in its own folder, from its first process to its end."""

    def __init__(self, folder: Path, *, address: str | None = None, within: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True)
        local = "" if address else ", cpus: 1"
        (folder / "faults.yaml").write_text(EXPERIMENT.replace("LOCAL", local))
        self.folder, self.seconds, self.tracebacks, self.left_over = folder, 0.0, 0, 0
        self.seen = pd.DataFrame()
        self._address = ["--address", address] if address else []
        self._within = list(within)

    @property
    def run(self) -> Path | None:
        """The run folder, once it exists."""
        made = sorted((self.folder / "runs").glob("faults-*/experiment.yaml"))
        return made[0].parent if made else None

    def rows(self) -> pd.DataFrame:
        file = self.run / "evidence.sqlite" if self.run else None
        return EvidenceLog(file).evidence() if file is not None and file.exists() else pd.DataFrame()

    def stage(self) -> str:
        """The folder of the run."""
        if self.run is None:
            return "nothing"
        events = EvidenceLog(self.run / "evidence.sqlite").events()
        stages = events[events["trial"] == ""]
        return f"{stages['stage'].iloc[-1]} {stages['event'].iloc[-1]}" if len(stages) else "made"

    @contextmanager
    def process(self) -> Iterator[subprocess.Popen[str]]:
        """The run's next process; killed at the end if it is still running."""
        task = ["resume", str(self.run)] if self.run else ["run", "faults.yaml"]
        command = [*self._within, sys.executable, "-m", "taurank", *task, *self._address]
        began = time.monotonic()
        with (self.folder / "output.txt").open("a") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment(self.folder),
                stdout=output,
                stderr=output,
                text=True,
                # A shell has what runs in its background ignore SIGINT, and so would the run.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        try:
            yield process
            process.wait(timeout=PATIENCE)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            self.seconds += time.monotonic() - began
            self.tracebacks = (self.folder / "output.txt").read_text().count("Traceback (most recent call last)")

    def note_rows(self) -> None:
        """Remembers the current rows: none of them may be missing later."""
        self.seen = pd.concat([self.seen, self.rows()]).drop_duplicates(["trial", "architecture", "epoch", "metric"])

    def lost_rows(self) -> int:
        keys = ["trial", "architecture", "epoch", "metric"]
        if self.seen.empty:
            return 0
        columns = [*keys, "value", "seconds"]
        now = set(map(repr, self.rows()[columns].itertuples(index=False)))
        return sum(repr(row) not in now for row in self.seen[columns].itertuples(index=False))


def wait_for(process: subprocess.Popen[str], ready: Callable[[], bool]) -> bool:
    """Whether that happened before the process ended."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        if ready():
            return process.poll() is None
        time.sleep(0.1)
    return False


@dataclass
class Reference:
    """The undisturbed run."""

    ranking: pd.DataFrame
    rows: int
    images: int
    seconds: float
    epoch_seconds: float

    @staticmethod
    def of(attempt: Attempt) -> Reference:
        rows = attempt.rows()
        images = images_trained(attempt.folder)
        assert attempt.run is not None
        return Reference(
            ranking_of(attempt.run),
            len(rows),
            images,
            attempt.seconds,
            float(rows["seconds"].sum()) / (images / TRAIN_IMAGES),
        )


def ranking_of(run: Path) -> pd.DataFrame:
    """The ranking without its measured times."""
    return pd.read_csv(run / "ranking.csv").drop(columns="seconds")
