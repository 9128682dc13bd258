"""One run of each recorded list through Ray, as `taurank run` does it, beside the recording and its replay.

The run trains everything anew except the baseline, for which the two recorded full trainings stand. Whatever a run
measures is in the recording too: `trainings_equal` and `proxies_equal` count the values that are equal bit for bit.
`tau` is the mean of the order's tau with either full training, `replay_tau` that of the replay of the same list.

A row per list in `results/through_ray.csv`; lists that are there are not run again, and a run that is in the folder is
resumed.

    python -m benchmarks.real_lists.through_ray --out runs own_code mobile
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import taurank
from benchmarks.real_lists.record import HERE, read_list
from benchmarks.real_lists.replays import benches_of, default_plan, measure
from taurank.orchestrator.evidence import PROXY, TRAINING, VALIDATION_ACCURACY
from taurank.orchestrator.tau import tau_b
from taurank.trainables.table import read_table

OUT = HERE / "results" / "through_ray.csv"
AT = ["architecture", "source", "epoch", "schedule_epochs", "seed", "metric"]


def compared(run: taurank.Run, recorded: pd.DataFrame) -> dict[str, int]:
    """How many validation accuracies and proxy scores a run has, and how many of these are as they are recorded.

    A score that the run could not compute (NaN) and the recording lacks counts as equal.
    """
    both = run.evidence().merge(recorded, on=AT, how="left", suffixes=("", "_recorded"))
    same_or_none = (both["value"] == both["value_recorded"]) | both[["value", "value_recorded"]].isna().all(axis=1)
    found = {}
    for name, kind in (
        ("trainings", (both["source"] == TRAINING) & (both["metric"] == VALIDATION_ACCURACY)),
        ("proxies", both["source"].str.startswith(PROXY)),
    ):
        found |= {name: int(kind.sum()), f"{name}_equal": int((kind & same_or_none).sum())}
    return found


def through_ray(name: str, out: Path) -> dict[str, Any]:
    """The row of a list."""
    each, table = read_list(name), read_table(HERE / f"{name}.parquet")
    benches = benches_of(each, table)
    candidates = list(benches[0].pool)
    experiment = each.experiment.model_copy(update={"candidates": candidates})
    earlier = sorted(out.glob(f"{name}-2*"))
    run = (
        taurank.open_run(earlier[-1]).resume(baseline=False)
        if earlier
        else taurank.run(experiment, out=out, baseline=False)
    )
    plans = [default_plan(each, bench, len(candidates)) for bench in benches]
    replay = measure(benches, plans, each, 0)
    ranks = -run.ranking.to_frame().set_index("candidate")["rank"].loc[candidates]
    tau = float(np.mean([tau_b(ranks, bench.truth.values.loc[candidates]) for bench in benches]))
    row = {"list": name, "candidates": len(candidates), **compared(run, table.rows)}
    row |= {"tau": tau, "replay_tau": replay["tau"], "ceiling": replay["ceiling"], "retained": tau / replay["ceiling"]}
    return row | {"cost": run.evidence()["epochs"].sum() / (len(candidates) * experiment.recipe.epochs)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", nargs="*", default=sorted(path.stem for path in HERE.glob("*.parquet")))
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    options = parser.parse_args(arguments)
    rows = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame(columns=["list"])
    for name in options.lists:
        if name in set(rows["list"]):
            continue
        rows = pd.concat([rows, pd.DataFrame([through_ray(name, options.out)])], ignore_index=True)
        rows.round(4).to_csv(OUT, index=False)
    print(rows.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
