"""Peak memory of a search step on the DARTS space: all operations of an edge at once, against one path (MANAS).

The network is that of the DARTS search: 8 cells, 14 edges of eight operations, 16 channels, batches of 64 images of
32 x 32. `mixture` computes all operations and their weighted sum and goes back through it, as DARTS does. `multi-agent`
draws an operation for each of the 28 edges of both cells, trains on that path, and evaluates a path without gradients.
Each step runs in a process of its own after a step on two images; its memory is the peak of the resident set less what
was resident before. Weights, images and libraries are therefore not part of it. The paths differ by seed.

Prints a table and writes `step_memory.csv`, a row a step. The claim of MANAS (arXiv 1909.01051) is an eighth of the
memory. One to two minutes of one core; a mixture step takes some gigabytes.

    OMP_NUM_THREADS=1 python -m benchmarks.supernets.step_memory
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import t
from torch import Tensor, nn

from benchmarks.common.paired import positive
from taurank.spaces.cells.darts import NODES, OPERATIONS
from taurank.spaces.cells.darts_network import make_operation
from taurank.spaces.cells.network import CellNetwork, FactorizedReduction, Stem, layer_widths, relu_conv_bn

OUT = Path(__file__).parent / "results" / "step_memory.csv"
INPUTS = 2
EDGES = [(source, node) for node in range(NODES) for source in range(INPUTS + node)]
CHOICES = len(OPERATIONS) + 1
"""Options of an edge; the last one is `none`, which the source has in its search."""
LAYERS, CLASSES = 8, 10
STEPS = {"mixture": 1, "multi-agent": 5}
"""Seeds of each method. A mixture is the same whatever the seed."""


class SearchCell(nn.Module):
    """A cell with all operations on all edges; `taken` computes one on each edge, None the even mixture."""

    def __init__(self, widths: tuple[int, int], block: int, *, reduces: bool, halved: bool) -> None:
        super().__init__()
        first = FactorizedReduction(widths[0], block) if halved else relu_conv_bn(widths[0], block)
        self.inputs = nn.ModuleList([first, relu_conv_bn(widths[1], block)])
        self.strides = [2 if reduces and source < INPUTS else 1 for source, _ in EDGES]
        self.edges = nn.ModuleList(
            nn.ModuleList(self._operation(name, block, stride) for name in OPERATIONS) for stride in self.strides
        )
        self.taken: list[int] | None = None

    @staticmethod
    def _operation(name: str, block: int, stride: int) -> nn.Module:
        operation = make_operation(name, block, stride)
        # As in the source's search; pools have none in the networks that it evaluates.
        return nn.Sequential(operation, nn.BatchNorm2d(block, affine=False)) if "pool" in name else operation

    def _compute(self, edge: int, option: int, features: Tensor) -> Tensor:
        if option == len(OPERATIONS):
            stride = self.strides[edge]
            return features[:, :, ::stride, ::stride] * 0
        output: Tensor = self.edges[edge][option](features)  # type: ignore[index]
        return output

    def forward(self, before: Tensor, previous: Tensor) -> Tensor:
        """Maps the outputs of the two cells before to this one's, (batch, nodes * block, height, width)."""
        states = [make(features) for make, features in zip(self.inputs, (before, previous), strict=True)]
        edge = 0
        for node in range(NODES):
            arriving = []
            for features in states[: INPUTS + node]:
                if self.taken is None:
                    arriving += [self._compute(edge, option, features) / CHOICES for option in range(CHOICES)]
                else:
                    arriving.append(self._compute(edge, self.taken[edge], features))
                edge += 1
            states.append(reduce(torch.add, arriving))
        return torch.cat(states[INPUTS:], dim=1)


def make_network(width: int) -> CellNetwork:
    """The search network of DARTS on CIFAR-10."""
    cells: list[nn.Module] = []
    stem = nn.Sequential(nn.Conv2d(3, 3 * width, 3, padding=1, bias=False), nn.BatchNorm2d(3 * width))
    widths, halved = (3 * width, 3 * width), False
    for block, reduces in layer_widths(width, LAYERS):
        cells.append(SearchCell(widths, block, reduces=reduces, halved=halved))
        widths, halved = (widths[1], NODES * block), reduces
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[1], CLASSES))
    return CellNetwork(Stem(stem), cells, classifier)  # type: ignore[arg-type]


def take(network: CellNetwork, generator: np.random.Generator | None) -> None:
    """Draws the operations of the normal and of the reduction cell; None for the mixture."""
    drawn = {} if generator is None else {kind: generator.integers(CHOICES, size=len(EDGES)) for kind in (False, True)}
    for cell in network.cells:
        assert isinstance(cell, SearchCell)
        cell.taken = drawn[max(cell.strides) > 1].tolist() if drawn else None


def step(network: CellNetwork, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(network(images), labels).backward()
    optimizer.step()


def resident() -> float:
    """Megabytes that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure(method: str, *, width: int, batch: int, seed: int) -> dict[str, float]:
    """One step in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    generator = None if method == "mixture" else np.random.default_rng(seed)
    network = make_network(width).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
    images = torch.rand(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (batch,))
    take(network, generator)
    step(network, optimizer, images[:2], labels[:2])
    before, worked = resident(), time.process_time()
    step(network, optimizer, images, labels)
    if generator is not None:
        take(network, generator)
        with torch.no_grad():
            network(images)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"megabytes": round(peak - before, 1), "cpu_seconds": round(time.process_time() - worked, 2)}


def report(table: pd.DataFrame) -> None:
    for (width, batch), own in table.groupby(["width", "batch"]):
        whole = own.loc[own["method"] == "mixture", "megabytes"].mean()
        paths = own.loc[own["method"] == "multi-agent", "megabytes"]
        shares = paths / whole
        half = t.ppf(0.975, len(shares) - 1) * shares.std() / len(shares) ** 0.5
        print(
            f"{width} channels, batch {batch}: mixture {whole:,.0f} MB, one path {paths.mean():,.0f} MB:"
            f" {shares.mean():.3f} of it, 95 % interval over {len(shares)} paths +- {half:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=positive, nargs="+", default=[16])
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "SEED"), help="measures one step in this process")
    options = parser.parse_args()
    if options.one is not None:
        method, seed = options.one
        print(json.dumps(measure(method, width=options.widths[0], batch=options.batch, seed=int(seed))))
        return
    table = pd.read_csv(OUT) if OUT.exists() else pd.DataFrame(columns=["width", "batch", "method", "seed"])
    for width in options.widths:
        table = table[(table["width"] != width) | (table["batch"] != options.batch)]
        for method, seeds in STEPS.items():
            for seed in range(seeds):
                command = [sys.executable, "-m", "benchmarks.supernets.step_memory", "--one", method, str(seed)]
                command += ["--widths", str(width), "--batch", str(options.batch)]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                row = {"width": width, "batch": options.batch, "method": method, "seed": seed} | found
                table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
                table.to_csv(OUT, index=False)
                print(row, flush=True)
    report(table)


if __name__ == "__main__":
    main()
