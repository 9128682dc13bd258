"""Seconds and memory of training-free proxies: each alone, and all together in one pass.

Cells of NAS-Bench-201 in the full network (16 channels, 5 cells a stage, 32 x 32 images), one thread. `alone` is the
time of a proxy computed alone; `together` is its share when all are computed in one call. Memory is the growth of the
peak use of a process since before the first score, each measured in a separate process. Prints a table and
writes `proxy_time.csv`.

    python -m benchmarks.proxies.proxy_time
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.common.paired import positive
from taurank.spaces import get_space
from taurank.trainables.proxies import ProxyBatch, list_proxies, score_network

OUT = Path(__file__).parent / "results" / "proxy_time.csv"


def measure(names: Sequence[str], cells: int, images: int) -> dict[str, float]:
    """Mean seconds per cell, by proxy and in total, and the growth of the process in mebibytes."""
    torch.set_num_threads(1)
    space = get_space("nasbench201")
    generator = torch.Generator().manual_seed(0)
    batch = ProxyBatch(
        torch.randn(images, 3, 32, 32, generator=generator), torch.randint(10, (images,), generator=generator), 10
    )
    drawn = space.sample(cells + 1, np.random.default_rng(0))
    networks = [space.build(cell, input_shape=(3, 32, 32), classes=10) for cell in drawn]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    score_network(networks[0], ProxyBatch(batch.images[:2], batch.labels[:2], 10), names)  # warm up
    seconds: dict[str, float] = dict.fromkeys(names, 0.0)
    began = time.perf_counter()
    for cell, network in zip(drawn[1:], networks[1:], strict=True):
        found = score_network(network, batch, names, thin=lambda cell=cell: space.thin(cell, classes=10))
        for name in names:
            seconds[name] += found[name].seconds / cells
    whole = (time.perf_counter() - began) / cells
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return seconds | {"whole": whole, "mebibytes": grown}


def apart(names: Sequence[str], cells: int, images: int) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, names, cells, images).result()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=positive, default=4)
    parser.add_argument("--images", type=positive, default=64)
    parser.add_argument("--proxies", nargs="+", choices=list_proxies(), default=list_proxies(), metavar="PROXY")
    options = parser.parse_args(arguments)
    together = apart(options.proxies, options.cells, options.images)
    lines = []
    for name in options.proxies:
        alone = apart([name], options.cells, options.images)
        lines.append(
            {
                "proxy": name,
                "alone": alone["whole"],
                "together": together[name],
                "mebibytes": alone["mebibytes"],
            }
        )
        print(lines[-1], flush=True)
    whole = {"proxy": "all", "together": together["whole"], "mebibytes": together["mebibytes"]}
    whole["alone"] = sum(line["alone"] for line in lines)
    table = pd.DataFrame([*lines, whole])
    table.round(4).to_csv(OUT, index=False)
    print(table.round(3).to_string(index=False))
    print(f"all in one pass take {whole['together'] / whole['alone']:.2f} of the time of one after another")


if __name__ == "__main__":
    main()
