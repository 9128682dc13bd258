"""Which proxies apply to networks of torchvision, and which are void for what reason.

CIFAR-10 images, resized; untrained networks with ten classes. Prints a table and writes `proxy_models.csv`. Needs the
CIFAR-10 images in $TAURANK_DATA; takes some minutes.

    python -m benchmarks.proxies.proxy_models
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from benchmarks.common.paired import positive
from taurank.spaces.zoo.torchvision_import import import_torchvision
from taurank.trainables.data import load_dataset, make_splits
from taurank.trainables.proxies import draw_batch, list_proxies, score_network

OUT = Path(__file__).parent / "results" / "proxy_models.csv"
MODELS = ("resnet18", "efficientnet_b0", "convnext_tiny", "vit_b_16")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="MODEL", help="names of torchvision.models")
    parser.add_argument("--images", type=positive, default=16)
    parser.add_argument("--size", type=positive, default=64, help="height and width")
    options = parser.parse_args(arguments)
    data = make_splits(load_dataset("cifar10"), seed=0, validation=1000, test=None, train=1000, size=options.size)
    batch = draw_batch(data, images=options.images, seed=0)
    models = import_torchvision().models
    rows = []
    for model in options.models:
        torch.manual_seed(0)
        size = {"image_size": options.size} if model.startswith("vit") else {}
        network = getattr(models, model)(num_classes=10, **size)
        for name, score in score_network(network, batch, list_proxies()).items():
            rows.append({"model": model, **vars(score), "proxy": name})
    table = pd.DataFrame(rows).drop(columns="sd")
    table.to_csv(OUT, index=False, float_format="%.5g")
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.max_colwidth", 100):
        print(table.pivot(index="proxy", columns="model", values="value")[list(options.models)].to_string())
        print(table[table["reason"] != ""][["model", "proxy", "reason"]].to_string(index=False))


if __name__ == "__main__":
    main()
