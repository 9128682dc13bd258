"""Fronts of accuracy against recorded latencies, and the calibration of the front probabilities.

100 random cells of NAS-Bench-201 on CIFAR-10 are ranked by replay at a tenth of the cost; truth is the mean of two
other full trainings, cost the published latency on each device. The front is compared with that of the order by FLOPs,
with that of 12-epoch trainings of all candidates, which cost 6 %, and with taurank's without zero-cost proxies. Prints
a table, and keeps one row per draw, device and order in `pareto_fronts.csv` and the calibration in
`pareto_calibration.csv`, both beside this file.

    python -m benchmarks.search.pareto_fronts --draws 10
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.common.recorded import NASBENCH201, data_folder, read_recorded
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.hardware.pareto import front, front_probability
from taurank.orchestrator.planning.rounds import LogRanker, Problem
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.replay import (
    Bench,
    ReplayPlan,
    choose_cheap,
    draw_candidates,
    make_bench,
    plan_replay,
    replay_draw,
)
from taurank.orchestrator.tau import tau_b

OUT = Path(__file__).parent / "results" / "pareto_fronts.csv"
CALIBRATION = Path(__file__).parent / "results" / ("pareto_calibration.csv")
HARDWARE = "nb201/nb201_cifar10_hardware.parquet"
DEVICES = {
    "edge GPU (Jetson TX2)": "c10_edgegpu_latency",
    "Raspberry Pi 4": "c10_raspi4_latency",
    "Pixel 3": "c10_pixel3_latency",
    "Eyeriss": "c10_eyeriss_latency",
    "FPGA": "c10_fpga_latency",
    "GTX 1080 Ti, batch 1": "help_1080ti_1_ms",
    "Titan RTX, batch 256": "help_titan_rtx_256_ms",
    "Xeon Gold 6226": "help_gold_6226_ms",
}
SHORT = 12
"""Epochs of the short trainings, which are recorded for all cells."""
OURS, FLOPS, SHORTS = "taurank", "FLOPs only", "12 epochs of everybody"
PLAIN = "taurank without proxies"
BINS = np.array([0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0])

Values = NDArray[np.float64]


def rank(bench: Bench, plan: ReplayPlan, draw: int, candidates: list[str]) -> tuple[Ranking, float]:
    """The ranking of a replay, and the share of full training that it cost."""
    with tempfile.TemporaryDirectory() as folder:
        log = EvidenceLog(Path(folder) / "evidence.sqlite")
        row = replay_draw(bench, plan, draw, log=log)
        problem = Problem(tuple(candidates), bench.encoding(candidates), bench.full_epochs, plan.seed)
        ranking = LogRanker(problem, log).ranking(truth_seeds=len(bench.truth.seeds))
        log.close()
    return ranking, float(row["cost"])


def order(ranking: Ranking, candidates: list[str]) -> Values:
    """Places of the candidates, negated: higher is better."""
    return -ranking.table.set_index("architecture").loc[candidates, "rank"].to_numpy(dtype=float)


def samples(ranking: Ranking, candidates: list[str]) -> Values:
    """Draws of the scores, (draws, candidates)."""
    place = {code: index for index, code in enumerate(ranking.table["architecture"])}
    return ranking.samples[:, [place[code] for code in candidates]]


def hypervolume(accuracy: Values, cost: Values, worst: tuple[float, float]) -> float:
    """Dominated area above an accuracy and below a cost."""
    lowest, dearest = worst
    area, best = 0.0, lowest
    by_cost = np.lexsort((-accuracy, cost))
    for value, price in zip(accuracy[by_cost], cost[by_cost], strict=True):
        if value > best and price < dearest:
            area += (value - best) * (dearest - price)
            best = value
    return area


def compare(chosen: NDArray[np.bool_], true: NDArray[np.bool_], accuracy: Values, cost: Values) -> dict[str, float]:
    """A front against the true one: recall, precision, and the covered share of the area.

    The area is above the median accuracy: below it, any front covers nearly everything.
    """
    worst = float(np.median(accuracy)), float(cost.max())
    both = float((chosen & true).sum())
    good = accuracy >= worst[0]
    covered = hypervolume(accuracy[chosen], cost[chosen], worst)
    return {
        "size": float(chosen.sum()),
        "true_size": float(true.sum()),
        "found": both / true.sum(),
        "found_above_median": float((chosen & true & good).sum() / (true & good).sum()),
        "right": both / chosen.sum() if chosen.any() else np.nan,
        "hypervolume": covered / hypervolume(accuracy[true], cost[true], worst),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--budget", default="10x")
    options = parser.parse_args()
    table = read_recorded(NASBENCH201, options.data_dir)
    hardware = pd.read_parquet(data_folder(options.data_dir) / HARDWARE).set_index("arch_str")
    bench = make_bench(table, truth="seeds 1,2", among="live")
    asked = {"candidates": options.candidates, "budget": options.budget, "seed": 0, "workers": 8}
    plans = {
        OURS: plan_replay(bench, **asked, cheap=choose_cheap(table, proxies="all", supernets="")),
        PLAIN: plan_replay(bench, **asked, cheap=choose_cheap(table, proxies="none", supernets="")),
    }
    short = table.final("validation_accuracy", schedule_epochs=SHORT, seed=bench.seeds[SHORT])
    rows, said = [], []
    for draw in range(options.draws):
        candidates = draw_candidates(bench, plans[OURS], draw)
        rankings = {name: rank(bench, plan, draw, candidates) for name, plan in plans.items()}
        accuracy = bench.truth.values.loc[candidates].to_numpy(dtype=float)
        orders = {name: order(ranking, candidates) for name, (ranking, _) in rankings.items()}
        orders[FLOPS] = bench.sizes["flops"].loc[candidates].to_numpy(dtype=float)
        orders[SHORTS] = short.loc[candidates].to_numpy(dtype=float)
        spent = {name: cost for name, (_, cost) in rankings.items()} | {FLOPS: 0.0, SHORTS: SHORT / bench.full_epochs}
        taus = {name: tau_b(values, accuracy) for name, values in orders.items()}
        for device, column in DEVICES.items():
            cost = hardware.loc[candidates, column].to_numpy(dtype=float)
            true = front(accuracy, cost)
            fronts = {name: front(values, cost) for name, values in orders.items()}
            for name, (ranking, _) in rankings.items():
                probability = front_probability(samples(ranking, candidates), cost)
                key = {"order": name, "device": device, "draw": draw}
                said.append(pd.DataFrame(key | {"probability": probability, "true": true}))
            for name, chosen in fronts.items():
                key = {"device": device, "draw": draw, "order": name, "cost": spent[name], "tau": taus[name]}
                rows.append(key | compare(chosen, true, accuracy, cost))
        print(f"draw {draw}: cost {spent[OURS]:.3f}", file=sys.stderr)
    results = pd.DataFrame(rows)
    results.round(5).to_csv(OUT, index=False)
    measures = ["cost", "tau", "size", "true_size", "found", "found_above_median", "right", "hypervolume"]
    for over in (["order"], ["device", "order"]):
        print(results.groupby(over, sort=False)[measures].mean().round(3).to_string(), end="\n\n")
    judged = pd.concat(said, ignore_index=True)
    calibration = pd.concat(
        [reliability(own).assign(order=name) for name, own in judged.groupby("order", sort=False)], ignore_index=True
    )
    calibration.round(5).to_csv(CALIBRATION, index=False)
    print(calibration.round(3).to_string(index=False))
    rate = judged["true"].mean()
    for name, own in judged.groupby("order", sort=False):
        squared = (own["probability"] - own["true"]) ** 2
        print(f"Brier score of {name}: {squared.mean():.4f}")
    print(f"Brier score of the share on the front, {rate:.3f}, for all: {rate * (1 - rate):.4f}")


def reliability(judged: pd.DataFrame) -> pd.DataFrame:
    """Stated probabilities against how often they came true, over all devices and draws."""
    bins = pd.cut(judged["probability"], BINS, include_lowest=True)
    return (
        judged.groupby(bins, observed=True)
        .agg(candidates=("true", "size"), stated=("probability", "mean"), came_true=("true", "mean"))
        .reset_index(names="probability")
    )


if __name__ == "__main__":
    main()
