"""Overhead: 32 one-epoch trainings through `taurank run` against a bare loop in a process pool of equal size.

Both sides are whole processes, imports and start-up included, and take turns in one run on the same machine. Prints a
table and writes `orchestration_overhead.csv` beside this file. Needs Fashion-MNIST in --data-dir or $TAURANK_DATA.

    python -m benchmarks.system.orchestration_overhead --train 12000 --repeats 3
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 32
EXPERIMENT = """
name: overhead
space: {{name: nasbench201, options: {{width: 8, cells_per_stage: 1}}}}
candidates: {trials}
data: {{name: fashion-mnist, validation: 2000, test: 1000, train: {train}}}
recipe: {{epochs: 1, batch_size: 128}}
budget: 1x
trainings: [{{epochs: 1}}]
supernets: []
baseline: null
share_results: false
resources: {{cpus: {workers}}}
"""


def train_alone(code: str, file: str) -> float:
    """One of the same trainings, without orchestration."""
    import torch

    from taurank.orchestrator.experiment.file import load_experiment
    from taurank.trainables.training.training import Training

    torch.set_num_threads(1)
    experiment, space, data = *_parts(file), _data(load_experiment(file))
    training = Training(
        lambda: space.build(space.parse(code), input_shape=data.input_shape, classes=len(data.classes)),
        experiment.recipe,
        data,
        seed=0,
    )
    return training.step_epoch()["validation_accuracy"]


def _parts(file: str):
    from taurank.orchestrator.experiment.file import load_experiment

    experiment = load_experiment(file)
    return experiment, experiment.space.make()


_loaded: dict[str, object] = {}


def _data(experiment):
    """Loaded once per process."""
    from taurank.trainables.data import load_dataset, make_splits

    if "data" not in _loaded:
        spec = experiment.data
        _loaded["data"] = make_splits(
            load_dataset(spec.name), seed=spec.seed, validation=spec.validation, test=spec.test, train=spec.train
        )
    return _loaded["data"]


def bare_loop(file: str, workers: int) -> None:
    import numpy as np

    experiment, space = _parts(file)
    drawn = space.sample(experiment.candidates, np.random.default_rng([experiment.seed, 0]))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(train_alone, [architecture.code for architecture in drawn], [file] * len(drawn)))


def timed(command: list[str], folder: str) -> float:
    started = time.perf_counter()
    subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, nargs="+", default=[4000, 12000], help="training images; sets the epoch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--data-dir", default=os.environ.get("TAURANK_DATA", "data"))
    parser.add_argument("--bare", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        bare_loop(arguments.bare, arguments.workers)
        return
    os.environ["TAURANK_DATA"] = str(Path(arguments.data_dir).resolve())
    rows = []
    for train in arguments.train:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "overhead.yaml"
            file.write_text(EXPERIMENT.format(trials=TRIALS, train=train, workers=arguments.workers))
            bare = [sys.executable, __file__, "--bare", str(file), "--workers", str(arguments.workers)]
            ours = [sys.executable, "-m", "taurank", "run", str(file)]
            for repeat in range(arguments.repeats):
                seconds_bare, seconds_ours = timed(bare, folder), timed(ours, folder)
                rows.append((train, repeat, round(seconds_bare, 1), round(seconds_ours, 1)))
                print(
                    f"{train} images, pair {repeat}: bare {seconds_bare:.1f} s, taurank {seconds_ours:.1f} s",
                    flush=True,
                )
    with (Path(__file__).parent / "results" / "orchestration_overhead.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("train_images", "pair", "bare_seconds", "taurank_seconds"))
        writer.writerows(rows)
    print(f"\n{TRIALS} one-epoch trainings, {arguments.workers} workers")
    print("train images   bare s   taurank s   added s a trial   ratio (median of pairs)")
    for train in arguments.train:
        pairs = [(bare, ours) for size, _, bare, ours in rows if size == train]
        bare, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(ours / bare for bare, ours in pairs)
        print(f"{train:>12} {bare:>8.1f} {ours:>11.1f} {(ours - bare) / TRIALS:>17.2f} {ratio:>7.2f}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
