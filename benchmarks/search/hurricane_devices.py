"""A search in two stages against one supernet of the whole space, for two recorded devices: steps and result.

NAS-Bench-201 (8 channels, one cell a stage) on 1,000 images of CIFAR-10 at 16 pixels. The limit is a latency that 30 %
of all cells keep, on a Raspberry Pi 4 and on Eyeriss (recorded, HW-NAS-Bench); the best cells under the limits
differ. The result is the recorded test accuracy of the selected cell after 200 epochs.

- `two stages`: a supernet of the last three edges with skip connections before them (7 epochs), then, from its weights,
  one of the first three edges with the best last ones (4 epochs): 69 % of the steps. Each device has its own.
- `single`: a supernet of all cells, 16 epochs; the best of as many random cells under the limit as the two stages
  scored. One supernet serves both devices.
- `single, as short`: the same with the steps of both stages.
- `random`: the mean of all cells under the limit, which costs nothing; `best`: the best of them.

One row of `hurricane_devices.csv` for each seed, device and method; seeds that are there are not run again. Prints
means, and the difference of the two stages to the others with 95 % intervals over seeds and devices. One thread; a
minute of CPU time a seed. Needs CIFAR-10 and nb201 in $TAURANK_DATA.

    OMP_NUM_THREADS=1 python -m benchmarks.search.hurricane_devices
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from benchmarks.common.paired import positive
from benchmarks.common.recorded import data_folder
from benchmarks.search.staged import StagedSupernet, count_steps
from benchmarks.search.two_stage import two_stage
from taurank.orchestrator.search.drawing import listed
from taurank.spaces import Architecture, get_space
from taurank.trainables.data import ImageData, load_dataset, make_splits
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, make_supernet
from taurank.trainables.training.recipe import Recipe

OUT = Path(__file__).parent / "results" / "hurricane_devices.csv"
SPACE = get_space("nasbench201", width=8, cells_per_stage=1)
DEVICES = ("raspi4", "eyeriss")
WITHIN = 0.3
RECIPE = Recipe(learning_rate=0.05, batch_size=32)
CONFIG = SupernetConfig(calibration_images=64)
STAGES, SINGLE = (7, 4), 16
DEFAULT = SPACE.parse("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|")
METHODS = ("two stages", "single", "single, as short", "random", "best")


@dataclass(frozen=True)
class Device:
    """What is recorded of a device.

    Attributes:
        name: of the device.
        latency: ms, by code.
        limit: ms.
    """

    name: str
    latency: pd.Series
    limit: float

    def keeps(self, architecture: Architecture) -> bool:
        return bool(self.latency[architecture.code] <= self.limit)


def read_device(name: str) -> Device:
    table = pd.read_parquet(data_folder() / "nb201" / "nb201_cifar10_hardware.parquet").set_index("arch_str")
    latency = table[f"c10_{name}_latency"]
    return Device(name, latency, float(latency.quantile(WITHIN)))


def train_single(data: ImageData, epochs: int, seed: int) -> SupernetTraining:
    training = SupernetTraining(
        lambda: make_supernet(SPACE, input_shape=data.input_shape, classes=len(data.classes)),
        RECIPE.of_length(epochs),
        data,
        paths=Paths(SPACE, tuple(one.code for one in listed(SPACE) or ())),
        config=CONFIG,
        seed=seed,
    )
    while not training.finished:
        training.step_epoch()
    return training


def measure(data: ImageData, devices: Sequence[Device], truth: pd.Series, seed: int) -> Iterator[dict[str, object]]:
    """A row for each device and method."""
    order = [
        (listed(SPACE) or ())[place] for place in np.random.default_rng(seed).permutation(len(listed(SPACE) or ()))
    ]
    whole = count_steps(RECIPE.of_length(SINGLE), images=len(data.train))
    lengths = {"single": SINGLE, "single, as short": sum(STAGES)}
    spent, singles = {}, {}
    for name, epochs in lengths.items():
        began = time.process_time()
        singles[name] = train_single(data, epochs, seed)
        spent[name] = time.process_time() - began

    @cache
    def score(name: str, code: str) -> float:
        return singles[name].score(code).accuracy

    for device in devices:
        feasible = [one for one in order if device.keeps(one)]
        began = time.process_time()
        found = two_stage(
            SPACE,
            StagedSupernet(SPACE, RECIPE, data, epochs=STAGES, config=CONFIG, seed=seed),
            default=DEFAULT,
            feasible=device.keeps,
            generator=np.random.default_rng(seed),
        )
        seconds = time.process_time() - began
        scored = sum(len(stage.ranking) for stage in found.stages)
        key = {"seed": seed, "device": device.name}
        yield key | {
            "method": "two stages", "steps": found.steps, "share_of_steps": found.steps / whole, "scored": scored,
            "seconds": seconds, "test_accuracy": truth[found.best.code], "cell": found.best.code,
        }  # fmt: skip
        for name, epochs in lengths.items():
            best = max(feasible[:scored], key=lambda one, name=name: score(name, one.code))
            steps = count_steps(RECIPE.of_length(epochs), images=len(data.train))
            yield key | {
                "method": name, "steps": steps, "share_of_steps": steps / whole, "scored": scored,
                "seconds": spent[name], "test_accuracy": truth[best.code], "cell": best.code,
            }  # fmt: skip
        known = truth[[one.code for one in feasible]]
        yield key | {"method": "random", "test_accuracy": known.mean()}
        yield key | {"method": "best", "test_accuracy": known.max(), "cell": known.idxmax()}


def show(rows: pd.DataFrame) -> None:
    print(
        rows.groupby(["device", "method"], sort=False)[["share_of_steps", "test_accuracy"]].mean().round(3).to_string()
    )
    by = rows.pivot(index=["seed", "device"], columns="method", values="test_accuracy")
    for other in METHODS[1:]:
        less = by["two stages"] - by[other]
        half = stats.t.ppf(0.975, len(less) - 1) * less.sem()
        print(f"two stages less {other}: {less.mean():.2f} ± {half:.2f} points, {len(less)} pairs")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=positive, default=5)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = make_splits(load_dataset("cifar10"), seed=0, validation=200, test=None, train=1000, size=16)
    table = pd.read_parquet(data_folder() / "nb201" / "nb201_cifar10.parquet").set_index("arch_str")
    devices, truth = [read_device(name) for name in DEVICES], table["c10_test_hp200_mean"]
    rows = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame({"seed": []})
    for seed in range(options.seeds):
        if (rows["seed"] == seed).any():
            continue
        rows = pd.concat([rows, pd.DataFrame(measure(data, devices, truth, seed))], ignore_index=True)
        rows.astype({"seed": int}).round(4).to_csv(OUT, index=False)
        print(seed, "done", flush=True)
    show(rows)


if __name__ == "__main__":
    main()
