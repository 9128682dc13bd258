"""What the default run makes of the recorded lists, at a tenth of the cost.

Replays of the default stages on sub-lists of 12, 24 and 50 candidates and on all: the plan, proxies, their cost and the
ranker are those of `taurank run` on the experiment file of the list. Both full trainings take turns: one is the truth
(test accuracy), the other one serves where the plan asks for a full training; taus are means of the two. `retained` is
tau by the tau of the two full trainings with each other, as in `taurank score`.

A row per draw in `results/replays.csv`; draws that are there are not run again. Prints a line for each list and size
beside the bars: retained, and how much the best single source is above the order.

    python -m benchmarks.real_lists.replays --draws 20
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.ranker.small_lists import log_rank_sum
from benchmarks.real_lists.record import HERE, RealList, read_list
from taurank.orchestrator.planning import (
    ROUNDING,
    Setting,
    default_proxies,
    forecast,
    plan_trainings,
    planned_epochs,
)
from taurank.orchestrator.planning.forecast import update
from taurank.orchestrator.replay import Bench, ReplayPlan, draw_candidates, make_bench, plan_replay, replay_draw
from taurank.orchestrator.replay.cheap import Cheap
from taurank.orchestrator.tau import tau_b
from taurank.trainables.proxies import score_cost
from taurank.trainables.table import RecordedTable, read_table

OUT = HERE / "results" / "replays.csv"
SIZES = (12, 24, 50)
BARS = {12: 0.80, 24: 0.85, 50: 0.90}
"""Retained tau that a list of at least so many candidates has to reach at 10x."""
MOST_BELOW = 0.02
"""What the order may be below the best single source by, in the mean."""
KEY = ["list", "budget", "n"]
ALONE = ("short", "short_loss", "parameters", "flops", "depth", "jacob_cov", "nwot")
"""Single sources."""


def default_plan(each: RealList, bench: Bench, count: int) -> ReplayPlan:
    """The plan of a run of ``count`` candidates of a list, with what it costs there.

    Raises:
        ValueError: it has a length that is not recorded.
    """
    experiment, train, shape = each.experiment, len(each.data.train), each.data.input_shape
    chosen = default_proxies(experiment, train_images=train, values=int(np.prod(shape)))
    names = () if chosen is None else tuple(chosen.names)
    costs = [score_cost(name, images=chosen.images, initialisations=1, train_images=train) for name in names]
    cheap = Cheap(names, {}, float(np.mean(costs)) if costs else 0.0)
    budget = experiment.budget
    plan = plan_replay(bench, candidates=count, budget=budget, seed=0, workers=1, cheap=cheap)
    trainings = plan_trainings(
        count, full_epochs=bench.full_epochs, budget_epochs=plan.budget_epochs, seed=bench.truth.evidence_seed
    )
    unknown = [spec.epochs for spec in trainings if spec.epochs not in bench.seeds or spec.until]
    if unknown:
        raise ValueError(f"{each.name}: {count} candidates: trainings of {unknown} epochs are not recorded")
    recorded = tuple(spec.model_copy(update={"seed": bench.seeds[spec.epochs]}) for spec in trainings)
    assert sum(planned_epochs(spec, count) for spec in recorded) <= plan.budget_epochs + ROUNDING
    return dataclasses.replace(
        plan,
        trainings=recorded,
        images=len(each.data.validation),
        classes=len(each.data.classes),
        options=experiment.ranker_options,
    )


def single_orders(bench: Bench, plan: ReplayPlan, candidates: Sequence[str]) -> dict[str, pd.Series]:
    """Every source alone by name, higher is better, NaN where it has no value."""
    found = {name: bench.sizes[name] for name in ("parameters", "flops", "depth") if name in bench.sizes}
    found |= {name: bench.proxies[name] for name in plan.cheap.proxies}
    spec = plan.trainings[0]
    at = {"epoch": spec.last_epoch, "schedule_epochs": spec.epochs, "seed": spec.seed}
    found["short"] = bench.table.at("validation_accuracy", **at)
    found["short_loss"] = -bench.table.at("train_loss", **at)
    return {name: order.reindex(list(candidates)) for name, order in found.items()}


def measure(benches: Sequence[Bench], plans: Sequence[ReplayPlan], each: RealList, draw: int) -> dict[str, Any]:
    """The columns of one draw: means over which of the two full trainings is the truth."""
    rows = []
    for bench, plan in zip(benches, plans, strict=True):
        found = replay_draw(bench, plan, draw)
        candidates = draw_candidates(bench, plan, draw)
        truth = bench.truth.values.loc[candidates]
        orders = single_orders(bench, plan, candidates)
        known = {name: order.fillna(order.median()) for name, order in orders.items() if order.notna().any()}
        summed = [known[name] for name in ("short", "parameters", "jacob_cov") if name in known]
        row = {name: found[name] for name in ("tau", "tau_top20", "expected_tau", "expected_low", "expected_high")}
        row |= {name: found[name] for name in ("coverage90", "width90", "cost", "shorts", "fulls")}
        row |= {f"tau_{name}": tau_b(known[name], truth) if name in known else np.nan for name in ALONE}
        row |= {"tau_log_rank": tau_b(log_rank_sum(summed), truth)}
        row["share_of_seconds"] = _seconds(found) / _full_seconds(bench, candidates)
        promised = forecast(Setting(each.experiment.space.name, each.experiment.data.name, bench.full_epochs),
                            len(candidates), plan.speed_up, proxies=bool(plan.cheap.proxies))  # fmt: skip
        ended = update(
            promised,
            promised,
            expected_tau=row["expected_tau"],
            interval=(row["expected_low"], row["expected_high"]),
            certainty="tentative",
        )
        row |= {"forecast": promised.tau, "forecast_holds": promised.low <= row["tau"] <= promised.high}
        row |= {"ended": ended.tau, "ended_holds": ended.low <= row["tau"] <= ended.high}
        rows.append(row)
    ceiling = tau_b(benches[0].truth.values.loc[candidates], benches[1].truth.values.loc[candidates])
    means = pd.DataFrame(rows).astype(float).mean().to_dict()
    return {"draw": draw, "ceiling": ceiling, "retained": means["tau"] / ceiling, **means}


def _seconds(found: dict[str, Any]) -> float:
    return float(np.nansum([found["seconds_trainings"], found["seconds_proxies"]]))


def _full_seconds(bench: Bench, candidates: Sequence[str]) -> float:
    """Recorded seconds of one full training of the candidates, by the seed that is evidence."""
    rows = bench.table.rows
    full = (rows["source"] == "training") & (rows["schedule_epochs"] == bench.full_epochs)
    own = rows[full & (rows["seed"] == bench.truth.evidence_seed) & rows["architecture"].isin(list(candidates))]
    return float(own["seconds"].sum())


def benches_of(each: RealList, table: RecordedTable) -> list[Bench]:
    """The list with either full training as the truth, and the other one as evidence."""
    assert each.experiment.baseline is not None
    first, second = each.experiment.baseline.seeds
    turns = (first, second), (second, first)
    return [make_bench(table, truth=f"test seeds {truth}", buy_seed=shown) for shown, truth in turns]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", nargs="+", default=sorted(path.stem for path in HERE.glob("*.parquet")))
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    rows = pd.read_csv(options.out) if options.out.is_file() else pd.DataFrame(columns=[*KEY, "draw"])
    for name in options.lists:
        each = read_list(name)
        benches = benches_of(each, read_table(HERE / f"{name}.parquet"))
        there = len(benches[0].pool)
        for count in sorted({size for size in SIZES if size < there} | {there}):
            case = {"list": name, "budget": each.experiment.budget, "n": count}
            same = np.logical_and.reduce([rows[key] == value for key, value in case.items()])
            draws = options.draws if count < there else 1
            plans = [default_plan(each, bench, count) for bench in benches]
            new = [
                case | measure(benches, plans, each, draw) for draw in sorted({*range(draws)} - {*rows[same]["draw"]})
            ]
            rows = pd.concat([rows, pd.DataFrame(new)], ignore_index=True)
            options.out.parent.mkdir(exist_ok=True)
            rows.round(5).to_csv(options.out, index=False)
    print(summarise(rows).to_string(index=False))


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per list and size, with the bars."""
    lines = []
    for (name, _, count), own in rows.groupby(KEY, sort=False):
        singles = own[[f"tau_{source}" for source in ALONE]].mean()
        line = {"list": name, "n": count, "draws": len(own), "ceiling": own["ceiling"].mean(), "tau": own["tau"].mean()}
        line |= {"retained": own["tau"].mean() / own["ceiling"].mean()}
        line |= {"bar": max(bar for size, bar in BARS.items() if size <= max(count, min(BARS)))}
        line |= {"best single": singles.max(), "which": str(singles.idxmax()).removeprefix("tau_")}
        line |= {"flops": singles["tau_flops"], "depth": singles["tau_depth"], "short": singles["tau_short"]}
        line |= {"log-rank sum": own["tau_log_rank"].mean(), "expected": own["expected_tau"].mean()}
        line |= {"own interval": own["tau"].between(own["expected_low"], own["expected_high"]).mean()}
        line |= {"forecast": own["forecast"].mean(), "holds": own["forecast_holds"].mean()}
        line |= {"at the end": own["ended"].mean(), "holds then": own["ended_holds"].mean()}
        line |= {"coverage90": own["coverage90"].mean(), "fulls": own["fulls"].mean()}
        line |= {"epochs": own["cost"].mean(), "seconds": own["share_of_seconds"].mean()}
        lines.append(line)
    return pd.DataFrame(lines).round(3)


if __name__ == "__main__":
    main()
