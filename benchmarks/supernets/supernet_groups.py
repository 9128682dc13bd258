"""The effect of weighting supernets by reliability in one group: rankings with and without, on the same draws.

The recorded accuracies of a one-shot and a few-shot supernet of NAS-Bench-201 (CIFAR-10), redrawn as shares of a number
of images, together with parameters, jacov, and 12-epoch trainings of a quarter of the candidates or none. Tau is that
of the ranking against the mean of full trainings. ``apart`` is the former method: each supernet is its own group, and
noise is ignored. Prints means and writes `supernet_groups.csv`, a row a ranking. Needs nb201 in $TAURANK_DATA; about
ten minutes.

    OMP_NUM_THREADS=1 python -m benchmarks.supernets.supernet_groups
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.common.paired import positive
from benchmarks.common.recorded import data_folder
from taurank.orchestrator.ranker import RankingModel
from taurank.orchestrator.tau import tau_b
from taurank.spaces import Architecture, SearchSpace, get_space

OUT = Path(__file__).parent / "results" / "supernet_groups.csv"
FULL, SHORT = 200, 12
SETTINGS = (("all", 1.0, 150, 400), ("all", 1.0, 100, 50), ("best fifth", 0.2, 100, 100))
"""Cells drawn from, their share of all, candidates, images."""
SUPERNETS = {"both": ("oneshot", "fewshot"), "one-shot": ("oneshot",)}
NOISE = "validation_accuracy_sd"


def rows(codes: np.ndarray, stage: str, epochs: int, metric: str, values: np.ndarray, source: str = "") -> pd.DataFrame:
    fixed = {"stage": stage, "trial": stage, "source": source or stage, "epoch": epochs, "schedule_epochs": epochs}
    costs = {"seed": 0, "seconds": 0.0, "epochs": 0.0}
    return pd.DataFrame({"architecture": codes, "metric": metric, "value": values, **fixed, **costs})


def evidence(drawn: pd.DataFrame, images: int, generator: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Rows by source."""
    codes = drawn.index.to_numpy()
    found = {
        "size": rows(codes, "size", 0, "parameters", drawn["c10_params_M"].to_numpy()),
        "jacov": rows(codes, "proxies", 0, "score", drawn["c10_jacov"].to_numpy(), "proxy:jacov"),
    }
    for name in SUPERNETS["both"]:
        stage, share = f"supernet:{name}", drawn[f"supernet_{name}_c10"].to_numpy() / 100
        seen = generator.binomial(images, share) / images
        noise = rows(codes, stage, 10, NOISE, np.sqrt(seen * (1 - seen) / images))
        found[name] = pd.concat([rows(codes, stage, 10, "validation_accuracy", seen), noise])
    trained = drawn.iloc[generator.choice(len(drawn), len(drawn) // 4, replace=False)]
    accuracies = trained["c10_val_hp12"].to_numpy() / 100
    found["short"] = rows(
        trained.index.to_numpy(), f"training-{SHORT}", SHORT, "validation_accuracy", accuracies, "training"
    )
    return found


def compared(
    cells: pd.DataFrame, space: SearchSpace, setting: tuple[str, float, int, int], draw: int
) -> Iterator[dict]:
    pool, share, count, images = setting
    generator = np.random.default_rng([11, draw])
    truth = cells["c10_val_hp200_mean"]
    among = cells[truth >= truth.quantile(1 - share)]
    drawn = among.iloc[generator.choice(len(among), count, replace=False)]
    features = [space.features(Architecture(space.name, code)) for code in drawn.index]
    encoding = pd.DataFrame(features, index=drawn.index, columns=list(space.feature_names), dtype=float)
    found = evidence(drawn, images, generator)
    for supernets, names in SUPERNETS.items():
        for short in (False, True):
            parts = [found[name] for name in ("size", "jacov", *names, *(["short"] if short else []))]
            seen = pd.concat(parts, ignore_index=True)
            for apart in (True, False):
                own = (
                    patch("taurank.orchestrator.ranker.prior._join_supernets", lambda *_: None)
                    if apart
                    else nullcontext()
                )
                with own:
                    model = RankingModel(
                        seen[seen["metric"] != NOISE] if apart else seen, encoding, full_epochs=FULL, seed=draw
                    )
                    places = model.ranking().table.set_index("architecture")["rank"].reindex(drawn.index)
                yield {
                    "cells": pool, "candidates": count, "images": images, "supernets": supernets, "short": short,
                    "draw": draw, "apart": apart, "tau": tau_b(-places, drawn["c10_val_hp200_mean"]),
                }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=positive, default=20)
    options = parser.parse_args()
    folder = data_folder() / "nb201"
    files = [folder / "nb201_cifar10.parquet", folder / "nb201_cifar10_proxies.parquet"]
    if not all(file.is_file() for file in files):
        sys.exit(f"recorded trainings are missing: {folder}; set TAURANK_DATA")
    table, proxies = (pd.read_parquet(file) for file in files)
    cells = table.merge(proxies[["arch_index", "c10_jacov"]], on="arch_index", how="left").set_index("arch_str")
    cells = cells[cells["c10_val_hp200_mean"].notna()]
    space = get_space("nasbench201")
    found = pd.DataFrame(
        [row for setting in SETTINGS for draw in range(options.draws) for row in compared(cells, space, setting, draw)]
    )
    found.to_csv(OUT, index=False, float_format="%.4f")
    keys = ["cells", "candidates", "images", "supernets", "short"]
    pairs = found.pivot_table(index=[*keys, "draw"], columns="apart", values="tau")
    gain = (pairs[False] - pairs[True]).groupby(keys).agg(["mean", "sem"])
    means = pairs.groupby(keys).mean().rename(columns={True: "apart", False: "together"})
    print(means.join(gain.rename(columns={"mean": "gain", "sem": "standard error"})).round(4).to_string())


if __name__ == "__main__":
    main()
