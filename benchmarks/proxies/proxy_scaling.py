"""Wall time of `taurank proxies` as the number of candidates grows, on all cores.

The set `reference` (FLOPs and jacob_cov) on cells of NAS-Bench-201 in the full network, 64 CIFAR-10 images. `seconds`
is the whole command, start of Ray included; `per_candidate` is what each candidate beyond the fewest costs. Prints a
table and writes `proxy_scaling.csv`. Needs the CIFAR-10 images in $TAURANK_DATA; takes ten minutes on two idle cores.

    python -m benchmarks.proxies.proxy_scaling
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.common.paired import positive

OUT = Path(__file__).parent / "results" / "proxy_scaling.csv"
ROOT = Path(__file__).resolve().parents[2]


def measure(candidates: int, folder: Path) -> dict[str, float]:
    output = folder / f"{candidates}.csv"
    command = [sys.executable, "-m", "taurank", "proxies", "--space", "nasbench201"]
    command += ["--candidates", str(candidates), "--data", "cifar10", "--output", str(output)]
    began = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    scores = pd.read_csv(output)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "candidates": candidates,
        "scored": int(scores["score"].notna().groupby(scores["architecture"]).all().sum()),
        "seconds": seconds,
        "scoring_seconds": float(scores["seconds"].sum()),
        "largest_process_mebibytes": largest,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=positive, nargs="+", default=[10, 100, 1000])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        lines = []
        for candidates in options.candidates:
            lines.append(measure(candidates, Path(folder)))
            print(lines[-1], flush=True)
    table = pd.DataFrame(lines)
    first = table.iloc[0]
    beyond = table["candidates"] - first["candidates"]
    table["per_candidate"] = ((table["seconds"] - first["seconds"]) / beyond).where(beyond > 0)
    table.round(4).to_csv(OUT, index=False)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
