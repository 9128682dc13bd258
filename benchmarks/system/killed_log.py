"""A process that only writes an evidence log and is killed while writing; for `faults.py`."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.system.disturbed_run import environment
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog


def append_for_ever(file: str) -> None:
    """Transactions of seven rows, one after the other; prints the committed ones."""
    log = EvidenceLog(Path(file))
    for number in range(10**9):
        log.append(
            Evidence("stage", f"trial {number}", "a", "training", epoch, 7, 0, "validation_accuracy", 0.5)
            for epoch in range(7)
        )
        os.write(1, b"%d\n" % number)


def kill_in_mid_write(times: int, folder: Path) -> dict[str, object]:
    """Kills a process that writes the log; a committed transaction has to be complete."""
    generator = random.Random(5)
    lost = halves = damaged = written = 0
    for number in range(times):
        file = folder / f"{number}.sqlite"
        command = [sys.executable, __file__, str(file)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(folder))
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(generator.uniform(0.0, 0.4))
        process.kill()
        said = process.stdout.read().split()
        process.wait()
        log = EvidenceLog(file)
        rows = log.evidence()
        there = rows.groupby("trial")["epoch"].count()
        written += len(there)
        lost += max(0, int(said[-1]) + 1 - len(there)) if said else 0
        halves += int((there != 7).sum())
        damaged += log.connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok"
        log.close()
    return {
        "fault": "log killed in mid-write",
        "run": 1,
        "injected": times,
        "right": times - damaged if not halves else 0,
        "rows_lost": 7 * lost,
        "moments": f"{written} transactions",
    }


if __name__ == "__main__":
    append_for_ever(sys.argv[1])
