"""Training steps of a supernet against those of a plain network of the same cost, one after the other in one run.

Each path is trained as a path of the supernet and as a separate network, on the same batches, in alternation; the ratio
is that of the medians. On a GPU also in bfloat16, and channels last. Writes `supernet_step.csv`, a row for each space
and precision: images a second of both, and the ratio (above 1: the supernet is slower).

    python -m benchmarks.supernets.supernet_step
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from taurank.spaces import Architecture, SearchSpace, get_space
from taurank.trainables.data import ImageData, ImageSet
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, make_supernet
from taurank.trainables.supernet.samplers import Group
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import Training

OUT = Path(__file__).parent / "results" / "supernet_step.csv"
SHAPES = {"mnist_blocks": (28, 28, 1), "nasbench201": (32, 32, 3), "nasbench_macro": (32, 32, 3)}
RECIPE = Recipe(epochs=1, batch_size=64)


def noise(shape: tuple[int, int, int], count: int) -> ImageData:
    """Random images: only their number and size matter here."""
    generator = np.random.default_rng(0)
    images = generator.integers(256, size=(count, *shape), dtype=np.uint8)
    own = ImageSet(images, generator.integers(10, size=count))
    channels = shape[2]
    return ImageData(
        train=own,
        validation=own,
        test=own,
        classes=tuple(map(str, range(10))),
        mean=(128.0,) * channels,
        std=(64.0,) * channels,
    )


def seconds_of(step: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def compare(space: SearchSpace, recipe: Recipe, *, paths: int, turns: int, device: str) -> dict[str, float]:
    """Images a second of the supernet and of plain networks, over the same random paths."""
    data = noise(SHAPES[space.name], recipe.batch_size)
    drawn = space.sample(paths, np.random.default_rng(0))
    supernet = SupernetTraining(
        lambda: make_supernet(space, input_shape=data.input_shape, classes=10),
        recipe,
        data,
        paths=Paths(space, tuple(one.code for one in drawn)),
        config=SupernetConfig(),
        seed=0,
        device=device,
    )
    own = torch.device(device)
    ((images, labels),) = supernet.batches(data.train, recipe.batch_size)
    times: dict[str, list[float]] = {"supernet": [], "plain": []}
    for architecture in drawn:
        plain = _plain(space, architecture, recipe, data, device)
        steps = {
            "supernet": _one_path(supernet, architecture.code, images, labels),
            "plain": _step(plain, images, labels),
        }
        for training in (supernet, plain):
            training.model.train()
        for turn in range(turns + 2):
            for name, step in steps.items():
                took = seconds_of(step, own)
                if turn >= 2:  # the first ones allocate
                    times[name].append(took)
    median = {name: float(np.median(np.reshape(own, (paths, turns)), axis=1).sum()) for name, own in times.items()}
    rates = {f"{name}_images_per_second": paths * recipe.batch_size / took for name, took in median.items()}
    return rates | {"ratio": median["supernet"] / median["plain"]}


def _plain(space: SearchSpace, architecture: Architecture, recipe: Recipe, data: ImageData, device: str) -> Training:
    def build() -> nn.Module:
        return space.build(architecture, input_shape=data.input_shape, classes=10)

    return Training(build, recipe, data, seed=0, device=device)


def _step(training: Training, images: Tensor, labels: Tensor) -> Callable[[], object]:
    return lambda: training.train_batch(images, labels)


def _one_path(training: SupernetTraining, path: str, images: Tensor, labels: Tensor) -> Callable[[], object]:
    """A step of the supernet on a given path."""

    def step() -> object:
        training.sampler.draw = lambda *_: Group((path,))  # type: ignore[method-assign]
        return training.train_batch(images, labels)

    return step


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=8)
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    precisions = {"float32": replace(RECIPE, mixed_precision=False)}
    if device == "cuda":
        larger = replace(RECIPE, batch_size=256)
        precisions = {"float32": replace(larger, mixed_precision=False), "bfloat16": larger}
    lines = []
    for name in SHAPES:
        for precision, recipe in precisions.items():
            found = compare(get_space(name), recipe, paths=options.paths, turns=options.turns, device=device)
            lines.append({"device": device, "space": name, "precision": precision, "batch": recipe.batch_size} | found)
            print(lines[-1], flush=True)
    table = pd.DataFrame(lines)
    table.round(4).to_csv(OUT, index=False)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
