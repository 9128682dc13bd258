"""Training-free proxies on live NAS-Bench-201 cells: against published scores, and against the truth.

Cells are a seeded draw among those without dead edges, in the full network (16 channels, 5 cells a stage), on CIFAR-10
images. `stored` is Spearman's rho between taurank's score and the one stored by NASLib's authors; `tau` is Kendall's
tau to the mean test accuracy after 200 epochs, next to the published figure (for other cells and labels); `given_flops`
is the partial tau given FLOPs.

Scores and seconds of every cell are kept in `proxy_scores.csv` and are not computed again; the table is
printed and written to `proxies.csv`. Needs the recordings and CIFAR-10 images in $TAURANK_DATA; takes an hour and a
half on two cores.

    python -m benchmarks.proxies.proxies
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks.common.paired import positive
from benchmarks.common.recorded import data_folder
from taurank.orchestrator.tau import partial_tau
from taurank.spaces import get_space
from taurank.trainables.data import load_dataset, make_splits
from taurank.trainables.proxies import (
    SETS,
    ProxyBatch,
    draw_batch,
    get_proxy,
    list_proxies,
    log_rank_sum,
    size_regularised,
)
from taurank.trainables.proxies.chunk import ProxyConfig, score_architecture
from taurank.trainables.proxies.te_nas import rank_sum

OUT = Path(__file__).parent / "results" / "proxies.csv"
SCORES = OUT.with_name("proxy_scores.csv")
NO_SCORES = pd.DataFrame(columns=["cell", "proxy", "value", "seconds", "reason"])
STORED = {
    "params": "params", "flops": "flops", "synflow": "synflow", "l2_norm": "l2_norm", "nwot": "nwot",
    "jacob_cov": "jacov", "snip": "snip", "grad_norm": "grad_norm", "plain": "plain", "fisher": "fisher",
    "grasp": "grasp", "epe_nas": "epe_nas", "zen": "zen",
}  # fmt: skip
"""taurank's name, and that of the stored column."""


def live_cells(count: int, seed: int) -> pd.DataFrame:
    """A draw of the cells with stored scores, with those and their accuracy."""
    folder = data_folder() / "nb201"
    scores = pd.read_parquet(folder / "nb201_cifar10_proxies.parquet")
    truth = pd.read_parquet(folder / "nb201_cifar10.parquet")[["arch_index", "c10_test_hp200_mean"]]
    cells = scores.merge(truth, on="arch_index")
    return cells.iloc[np.random.default_rng(seed).permutation(len(cells))[:count]].reset_index(drop=True)


def score_cell(code: str, config: ProxyConfig, images: int) -> list[tuple[str, str, float, float, str]]:
    """Rows of one cell; runs in a separate process, in which the batch is drawn once."""
    torch.set_num_threads(1)
    space = get_space("nasbench201")
    found = score_architecture(space, space.parse(code), cifar10_batch(images), config)
    return [(shorten(code), name, s.value, s.seconds, s.reason) for name, s in found.items()]


def shorten(code: str) -> str:
    space = get_space("nasbench201")
    return space.short(space.parse(code))


@cache
def cifar10_batch(images: int) -> ProxyBatch:
    """The batch that all cells are scored on."""
    data = make_splits(load_dataset("cifar10"), seed=0, validation=1000, test=None)
    return draw_batch(data, images=images, seed=0)


def interval_of_tau(scores: np.ndarray, accuracy: np.ndarray) -> float:
    """Half of the 90 % interval of tau under another draw of the cells, by the bootstrap."""
    generator = np.random.default_rng(0)
    draws = [generator.integers(len(scores), size=len(scores)) for _ in range(200)]
    taus = [kendalltau(scores[draw], accuracy[draw]).statistic for draw in draws]
    return float(np.subtract(*np.nanquantile(taus, [0.95, 0.05])) / 2)


def table_of(cells: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    short = [shorten(code) for code in cells["arch_str"]]
    names = list(dict.fromkeys(scores["proxy"]))
    found = {name: scores[scores["proxy"] == name].set_index("cell").reindex(short) for name in names}
    accuracy = cells["c10_test_hp200_mean"].to_numpy()
    directions = {name: get_proxy(name).direction for name in found}
    values = {name: found[name]["value"].to_numpy(float) for name in found}
    better = {name: values[name] * directions[name] for name in found}
    sets = {f"set {name}": members for name, members in SETS.items() if set(members) <= set(found)}
    for name, members in sets.items():
        scored = np.isfinite([values[member] for member in members]).all(axis=0)  # only cells that have them all
        own = {member: np.where(scored, values[member], np.nan) for member in members}
        better[name] = log_rank_sum(own, directions)
    if {"ntk_condition", "linear_regions"} <= set(found):
        better["te_nas rank sum"] = -rank_sum(values["ntk_condition"], values["linear_regions"])
    if {"swap", "params"} <= set(found):
        better["swap, size-regularised"] = size_regularised(values["swap"], values["params"])
    lines = []
    for name, score in better.items():
        known = np.isfinite(score)
        line: dict[str, object] = {"proxy": name, "cells": int(known.sum())}
        if name in STORED:
            theirs = cells[f"c10_{STORED[name]}"].to_numpy()
            line["stored"] = spearmanr(score[known], theirs[known]).statistic * directions[name]
        line["tau"] = kendalltau(score[known], accuracy[known]).statistic
        line["half_interval"] = interval_of_tau(score[known], accuracy[known])
        line["spearman"] = spearmanr(score[known], accuracy[known]).statistic
        if name in found:
            published = get_proxy(name).published
            line["published_tau"] = published.kendall if published else None
            line["published_spearman"] = published.spearman if published else None
            line["seconds"] = found[name]["seconds"].mean()
        if name != "flops" and "flops" in values:
            line["given_flops"] = partial_tau(score, accuracy, values["flops"]).value
        lines.append(line)
    return pd.DataFrame(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=positive, default=300)
    parser.add_argument("--images", type=positive, default=64)
    parser.add_argument("--seed", type=int, default=0, help="of the draw of cells")
    parser.add_argument("--processes", type=positive, default=2)
    parser.add_argument("--proxies", nargs="+", choices=list_proxies(), default=list_proxies(), metavar="PROXY")
    parser.add_argument("--again", action="store_true", help="score these proxies anew")
    options = parser.parse_args(arguments)
    cells = live_cells(options.cells, options.seed)
    scores = pd.read_csv(SCORES, keep_default_na=False, na_values=["nan"]) if SCORES.is_file() else NO_SCORES
    if options.again:
        scores = scores[~scores["proxy"].isin(options.proxies)]
    there = set(zip(scores["cell"], scores["proxy"], strict=True))
    began = time.perf_counter()
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        jobs = []
        for code in cells["arch_str"]:
            names = tuple(name for name in options.proxies if (shorten(code), name) not in there)
            if names:
                jobs.append(pool.submit(score_cell, code, ProxyConfig(names), options.images))
        for done, job in enumerate(jobs, start=1):
            scores = pd.concat([scores, pd.DataFrame(job.result(), columns=NO_SCORES.columns)])
            if done % 10 == 0 or done == len(jobs):
                scores.to_csv(SCORES, index=False, float_format="%.7g", na_rep="nan")
                print(f"{done} cells, {(time.perf_counter() - began) / done:.1f} s each", file=sys.stderr, flush=True)
    table = table_of(cells, scores)
    table.round(4).to_csv(OUT, index=False)
    with pd.option_context("display.width", 200, "display.max_columns", None):
        print(table.round(3).to_string(index=False))
    for (name, reason), count in scores[scores["reason"] != ""].value_counts(["proxy", "reason"]).items():
        print(f"void: {name} on {count} cells: {reason}")


if __name__ == "__main__":
    main()
