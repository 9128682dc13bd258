"""`imagenet-90` in small against the same recipe written with torchvision's transforms and torch's schedules alone.

Four classes of CIFAR-10, enlarged to 64 pixels, and a small residual network with batch normalisation, trained by both
programs with the same seeds. The programs draw their own random numbers, so that they agree in distribution only:
what is compared is the mean accuracy after training, against its spread over the seeds. The plain program takes from
this package nothing but the images, their mean and standard deviation, and the settings of the recipe.

Writes `imagenet_recipe.csv`: accuracy on held-out images, training loss and seconds of each program and seed.

    python -m benchmarks.system.imagenet_recipe
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.spaces import import_torchvision
from taurank.trainables.data import Dataset, ImageData, ImageSet, load_dataset, make_splits
from taurank.trainables.training import RECIPES, Recipe, Training

OUT = Path(__file__).parent / "results" / "imagenet_recipe.csv"
CLASSES = (0, 1, 4, 8)  # airplane, automobile, deer, ship
SIDE = 64
BATCH = 64


class Block(nn.Module):
    """A residual block whose branch begins at zero."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, out, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(out)
        self.second = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(out)
        nn.init.zeros_(self.second_norm.weight)
        self.shortcut = nn.Conv2d(width, out, 1, stride=2, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        branch = functional.relu(self.first_norm(self.first(images)))
        return functional.relu(self.shortcut(images) + self.second_norm(self.second(branch)))


def build() -> nn.Module:
    stem = [nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    blocks = [Block(16, 24), Block(24, 32), Block(32, 64)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(CLASSES)))


def read_images(train: int, test: int) -> ImageData:
    """The first images of the classes, enlarged."""
    published = load_dataset("cifar10")

    def some(images: ImageSet, count: int) -> ImageSet:
        chosen = np.flatnonzero(np.isin(images.labels, CLASSES))[:count]
        large = [cv2.resize(images.images[place], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for place in chosen]
        return ImageSet(np.stack(large), np.searchsorted(CLASSES, images.labels[chosen]).astype(np.int64))

    names = tuple(published.classes[label] for label in CLASSES)
    assert published.test is not None
    data = Dataset("cifar10", some(published.train, train), some(published.test, test), names)
    return make_splits(data, seed=0, validation=len(CLASSES), test=None)


def train_here(recipe: Recipe, data: ImageData, seed: int) -> tuple[float, float]:
    training = Training(build, recipe, data, seed=seed)
    while not training.finished:
        row = training.step_epoch()
    return row["test_accuracy"], row["train_loss"]


def train_plainly(recipe: Recipe, data: ImageData, seed: int) -> tuple[float, float]:
    """The recipe, in the words of torchvision's reference scripts."""
    import_torchvision()
    from torchvision.transforms import v2

    torch.manual_seed(seed)
    scale = v2.Normalize([value / 255 for value in data.mean], [value / 255 for value in data.std])
    floats = [v2.ToDtype(torch.float32, scale=True), scale]
    changed = v2.Compose([v2.RandomResizedCrop(SIDE, antialias=True), v2.RandomHorizontalFlip(), *floats])
    resized = v2.Resize(round(SIDE / recipe.evaluated_centre), antialias=True)
    looked_at = v2.Compose([resized, v2.CenterCrop(SIDE), *floats])
    images, labels = (torch.from_numpy(array) for array in (data.train.images, data.train.labels))
    images = images.permute(0, 3, 1, 2).contiguous()

    model = build()
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1 * BATCH / 256, momentum=0.9)
    steps = math.ceil(len(images) / BATCH)
    warmup, total = round(recipe.epochs * 5 / 90 * steps), recipe.epochs * steps

    def share(step: int) -> float:
        if step < warmup:
            return step / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    for _ in range(recipe.epochs):
        model.train()
        sum_of_losses = 0.0
        for chosen in torch.randperm(len(images)).split(BATCH):
            batch = torch.stack([changed(images[place]) for place in chosen])
            loss = functional.cross_entropy(model(batch), labels[chosen], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            sum_of_losses += loss.item() * len(chosen)
    model.eval()
    with torch.no_grad():
        held_out = torch.from_numpy(data.test.images).permute(0, 3, 1, 2)
        found = model(looked_at(held_out)).argmax(1)
    accuracy = (found == torch.from_numpy(data.test.labels)).float().mean().item()
    return accuracy, sum_of_losses / len(images)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=640)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = read_images(options.train, options.test)
    full = RECIPES["imagenet-90"]()
    recipe = Recipe(**{**vars(full.of_length(options.epochs)), "batch_size": BATCH})
    rows = []
    for seed in range(options.seeds):
        for name, train in (("taurank", train_here), ("plain torchvision", train_plainly)):
            started = time.process_time()
            accuracy, loss = train(recipe, data, seed)
            rows.append(
                {"program": name, "seed": seed, "test_accuracy": accuracy, "train_loss": loss,
                 "core_seconds": round(time.process_time() - started, 1)}
            )  # fmt: skip
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    means = table.groupby("program")[["test_accuracy", "train_loss"]].agg(["mean", "std"])
    print(means.to_string())
    table.round(5).to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
