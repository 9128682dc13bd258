"""Scaling of taurank: thousands of trials in a run, a whole space ranked and searched, a million rows.

1. `trials`: `taurank run` over N networks of one linear layer that train one epoch on 40 images, so that hardly any
   time is training: wall time of the stage, milliseconds per trial (of all, and of the first and last tenth), peak
   memory of the driver, seconds of the whole command with Ray's start and the ranking.
2. All 15,625 cells of NAS-Bench-201. `sizes`: CPU seconds of parameters and FLOPs, one thread. `proxies`: wall seconds
   of two proxies on eight images through the workers of `taurank proxies` (`--cells` of the cells), and what the scores
   take in sum. `ranking`: CPU seconds, from size, proxies and 400 trainings. End to end on recorded trainings, each in
   a process of its own with its peak memory: `replay`, `taurank replay` over all cells at a tenth of the cost, and
   `search`, 300 trainings by `posterior`; these need nb201 in $TAURANK_DATA.
3. `log`: evidence logs of up to a million rows: rows per second in transactions of 4 and of 1,000, seconds to read all,
   and of the queries that a run makes.

Prints tables and writes `scale.csv` beside this file.

    python -m benchmarks.system.scale
    python -m benchmarks.system.scale --parts trials --trials 500 1000
    python -m benchmarks.system.scale --parts sizes proxies ranking replay search
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from benchmarks.common.recorded import data_folder
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.ranker import rank_evidence
from taurank.spaces import Architecture, get_space, measure_size
from taurank.trainables.table import write_table
from taurank.trainables.table.importers import import_table

ROOT = Path(__file__).parents[2]
OUT = Path(__file__).parent / "results" / "scale.csv"
SPACE = get_space("nasbench201", width=4, cells_per_stage=1)
MODULE = '''
from torch import nn

from taurank.spaces import ChoiceSpace


class OneLayer(ChoiceSpace):
    """One linear layer, whatever is chosen: 10,000 networks that cost nothing."""

    named_decisions = {name: tuple(range(10)) for name in "abcd"}

    def network(self, taken, *, input_shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[1] * input_shape[2], classes))
'''
EXPERIMENT = """
name: scale
space: one_layer:OneLayer
candidates: {trials}
data: {{name: digits, train: 40, validation: 20, test: 20}}
recipe: {{epochs: 1, batch_size: 40}}
budget: 1x
proxies: null
trainings: [{{epochs: 1}}]
supernets: []
baseline: null
share_results: false
"""
SEARCH = """
from benchmarks.common.recorded import data_folder
from benchmarks.search.search import Method, Table, search

assert len(search(Method("posterior", 300), 0, Table(data_folder() / "nb201")).observations) == 300
"""
PARTS = ("trials", "sizes", "proxies", "ranking", "replay", "search", "log")
ALL_CELLS = 15_625
MEGABYTE = 1e6
METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def trials_row(count: int) -> dict[str, Any]:
    """One run of this many trials."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "one_layer.py").write_text(MODULE)
        Path(folder, "scale.yaml").write_text(EXPERIMENT.format(trials=count))
        command = [sys.executable, "-m", "taurank", "run", "scale.yaml"]
        began = time.perf_counter()
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        peak = watched_memory(process)
        process.wait()
        seconds = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"the run of {count} trials failed")
        (run,) = Path(folder, "runs").glob("scale-*")
        log = EvidenceLog(run / "evidence.sqlite")
        events = log.events().query("stage == 'training-1'")
        ended = np.sort(events.loc[events["event"] == "completed", "time"].to_numpy())
        tenth = max(2, count // 10)

        def milliseconds(times: np.ndarray) -> float:
            return float(1000 * (times[-1] - times[0]) / (len(times) - 1))

        return {
            "part": "trials",
            "count": count,
            "trials_completed": len(ended),
            "stage_seconds": log.wall_seconds()["training-1"],
            "ms_a_trial": milliseconds(ended),
            "ms_a_trial_first_tenth": milliseconds(ended[:tenth]),
            "ms_a_trial_last_tenth": milliseconds(ended[-tenth:]),
            "driver_peak_megabytes": peak() / MEGABYTE,
            "command_seconds": seconds,
        }


def watched_memory(process: subprocess.Popen[bytes]) -> Callable[[], float]:
    """Peak resident memory of a process, bytes, known when it has ended."""
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, float(watched.memory_info().rss))
            except psutil.Error:
                return
            time.sleep(0.2)

    thread = threading.Thread(target=watch)
    thread.start()

    def result() -> float:
        thread.join()
        return peak

    return result


def sizes_row() -> dict[str, Any]:
    """Parameters and FLOPs of the whole space."""
    architectures = list(SPACE.enumerate())
    began = time.process_time()
    for one in architectures:
        measure_size(SPACE, one, input_shape=(1, 8, 8), classes=10)
    return {"part": "sizes", "count": len(architectures), "cpu_seconds": time.process_time() - began}


def ranking_row() -> dict[str, Any]:
    """The ranking of the whole space from made-up evidence."""
    codes = [one.code for one in SPACE.enumerate()]
    generator = np.random.default_rng(0)
    quality = generator.standard_normal(len(codes))
    columns = {
        ("size", "size", "flops"): quality + 3 * generator.standard_normal(len(codes)),
        ("proxies", "proxy:jacob_cov", "score"): quality + generator.standard_normal(len(codes)),
        ("proxies", "proxy:synflow", "score"): quality + 2 * generator.standard_normal(len(codes)),
    }
    rows = [
        row(stage, source, metric, code, float(value), 0)
        for (stage, source, metric), values in columns.items()
        for code, value in zip(codes, values, strict=True)
    ]
    trained = generator.choice(len(codes), 400, replace=False)
    rows += [
        row("training-12", "training", "validation_accuracy", codes[place], 1 / (1 + np.exp(-quality[place])), 12)
        for place in trained
    ]
    encoding = pd.DataFrame(
        [SPACE.features(Architecture(SPACE.name, code)) for code in codes], index=codes, columns=SPACE.feature_names
    )
    began = time.process_time()
    ranking = rank_evidence(pd.DataFrame(rows), encoding.astype(float), full_epochs=200, seed=0)
    assert len(ranking.table) == len(codes)
    return {"part": "ranking", "count": len(codes), "cpu_seconds": time.process_time() - began}


def proxies_row(cells: int) -> dict[str, Any]:
    """Two proxies of this many cells, through workers."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scores.csv")
        command = [sys.executable, "-m", "taurank", "proxies", "--space", "nasbench201", "--option", "width=4"]
        command += ["--option", "cells_per_stage=1", "--data", "digits", "--images", "8", "--output", str(file)]
        command += ["--proxies", "jacob_cov,synflow", "--candidates", "all" if cells == ALL_CELLS else str(cells)]
        row = measured_alone("proxies", cells, command)
        scores = pd.read_csv(file)
        assert scores["architecture"].nunique() == cells
        del row["cpu_seconds"]  # of the driver alone: workers are not its children
        return row | {"scoring_seconds": float(scores["seconds"].sum())}


def replay_row(cells: int) -> dict[str, Any]:
    """A replay over this many cells."""
    files = [data_folder() / "nb201" / f"nb201_cifar10{part}.parquet" for part in ("", "_proxies")]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "table.parquet")
        write_table(import_table(files), table)
        command = [sys.executable, "-m", "taurank", "replay", "--table", str(table), "--candidates", str(cells)]
        command += ["--among", "all", "--truth", "seeds 1", "--draws", "1", "--proxies", "jacov,synflow"]
        return measured_alone("replay", cells, command)


def measured_alone(part: str, count: int, command: list[str]) -> dict[str, Any]:
    """Wall seconds, CPU seconds and peak memory of a command."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    peak = watched_memory(process)
    if process.wait():
        raise SystemExit(f"{part} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "part": part, "count": count, "seconds": time.perf_counter() - began, "cpu_seconds": spent,
        "driver_peak_megabytes": peak() / MEGABYTE,
    }  # fmt: skip


def row(stage: str, source: str, metric: str, code: str, value: float, epoch: int) -> dict[str, Any]:
    return {
        "time": 0.0, "stage": stage, "trial": f"{stage}/{code}", "architecture": code, "source": source,
        "epoch": epoch, "schedule_epochs": epoch, "seed": 0, "metric": metric, "value": value, "seconds": 1.0,
        "epochs": 1.0, "epoch_share": 1.0,
    }  # fmt: skip


def log_rows(most: int) -> Iterator[dict[str, Any]]:
    """Appends to and reads of logs that grow to ``most`` rows."""
    for count in sorted({10_000, 100_000, most}):
        with tempfile.TemporaryDirectory() as folder:
            log = EvidenceLog(Path(folder) / "log.sqlite")
            by_thousands = appended(log, count - 4 * 500, 1000, 0)
            by_fours = appended(log, 4 * 500, 4, count)
            reads: dict[str, Callable[[], object]] = {
                "read_all": log.evidence,
                "last_epochs": log.last_epochs,
                "spent_in": lambda log=log: log.spent_in("training-12"),
                "trials_of": lambda log=log: log.trials_of("training-12"),
                "wall_seconds": log.wall_seconds,
            }
            took = {}
            for name, read in reads.items():
                began = time.perf_counter()
                read()
                took[f"{name}_seconds"] = time.perf_counter() - began
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / MEGABYTE
            log.close()
            yield {
                "part": "log",
                "count": count,
                "rows_a_second_by_1000": by_thousands,
                "rows_a_second_by_4": by_fours,
                "megabytes": size,
            } | took


def appended(log: EvidenceLog, count: int, together: int, offset: int) -> float:
    """Rows per second, with ``together`` rows in a transaction."""
    began = time.perf_counter()
    for start in range(0, count, together):
        numbers = range(offset + start, offset + min(start + together, count))
        log.append(evidence_row(number) for number in numbers)
    return count / (time.perf_counter() - began)


def evidence_row(number: int) -> Evidence:
    """Four metrics an epoch, twelve epochs a training."""
    cell, epoch, metric = number // 48, number // 4 % 12, METRICS[number % 4]
    return Evidence(
        "training-12", f"training-12/{cell}", f"cell {cell}", "training", epoch, 12, 0, metric, 0.5, 1.0, 1.0
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--trials", type=int, nargs="+", default=[500, 1000, 2000, 5000])
    parser.add_argument("--cells", type=int, default=ALL_CELLS, help="that proxies are scored of")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    parts: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "trials": lambda: map(trials_row, options.trials),
        "sizes": lambda: iter([sizes_row()]),
        "proxies": lambda: iter([proxies_row(options.cells)]),
        "ranking": lambda: iter([ranking_row()]),
        "replay": lambda: iter([replay_row(ALL_CELLS)]),
        "search": lambda: iter([measured_alone("search", ALL_CELLS, [sys.executable, "-c", SEARCH])]),
        "log": lambda: log_rows(options.rows),
    }
    for part in options.parts:
        found = []
        for result in parts[part]():
            found.append(result)
            print(f"{part}: " + ", ".join(f"{name} {shown(value)}" for name, value in result.items()), flush=True)
        others = pd.read_csv(OUT).query("part != @part") if OUT.is_file() else pd.DataFrame()
        pd.concat([others, pd.DataFrame(found)]).dropna(axis=1, how="all").round(3).to_csv(OUT, index=False)
    print(pd.read_csv(OUT).to_string(index=False, na_rep="", float_format=lambda value: f"{value:,.2f}"))


def shown(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
