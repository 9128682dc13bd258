"""Do forecasts hold? Each recorded list is forecast from the other lists, and from other draws of itself.

Reads `results/forecast_draws.csv` (see `forecast_grid.py`) and writes `results/forecast_check.csv`: by list, number of
candidates and budget the mean tau reached, the forecast, its bias (forecast minus reached) and the share of draws
inside its 90 % interval. `other lists`: the list left out, as for a user with a new space. `same list`: forecast from
the even draws, checked on the odd ones. Then how much the expected tau of the rankings themselves is off: its bias, how
often tau lies inside its interval, and the 90 % quantile of what it is off by beyond that, on the scale artanh(tau).

    python -m benchmarks.ranker.forecast_check
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.ranker.forecast_grid import CELL, DRAWS
from taurank.orchestrator.planning.forecast import EDGE, forecast
from taurank.orchestrator.planning.replayed_taus import FEWEST_DRAWS, ReplayedTau, Setting, summarise_cell

OUT = Path(__file__).parent / "results" / "forecast_check.csv"


def cells_of(rows: pd.DataFrame) -> tuple[ReplayedTau, ...]:
    return tuple(
        summarise_cell(own.to_dict("records"), Setting(*key[:3]), proxies=key[3])
        for key, own in rows.groupby(CELL)
        if len(own) >= FEWEST_DRAWS
    )


def check(rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for setting, of_list in rows.groupby(["space", "data", "full_epochs"]):
        elsewhere = rows[(rows[["space", "data", "full_epochs"]] != list(setting)).any(axis=1)]
        even = of_list["draw"] % 2 == 0
        known = {"other lists": (cells_of(elsewhere), of_list), "same list": (cells_of(of_list[even]), of_list[~even])}
        for basis, (replays, checked) in known.items():
            for (proxies, n, budget), own in checked.groupby(["proxies", "n", "budget"]):
                found = forecast(Setting(*setting), n, budget, proxies=proxies > 0, replays=replays)
                line = {"from": basis, "space": setting[0], "data": setting[1], "proxies": proxies, "n": n}
                line |= {"budget": budget, "draws": len(own), "tau": own["tau"].mean(), "forecast": found.tau}
                line |= {"low": found.low, "high": found.high, "bias": found.tau - own["tau"].mean()}
                lines.append(line | {"inside": own["tau"].between(found.low, found.high).mean()})
    return pd.DataFrame(lines).round(4)


def own_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """What the expected tau of rankings is off by, of all, by number of candidates and by data set."""

    def z(tau: pd.Series) -> pd.Series:
        return np.arctanh(tau.clip(-EDGE, EDGE))

    off = z(rows["expected_tau"]) - z(rows["tau"])
    half = (z(rows["expected_high"]) - z(rows["expected_low"])) / 2
    table = rows[["space", "data", "n"]].assign(
        bias=rows["expected_tau"] - rows["tau"],
        inside=rows["tau"].between(rows["expected_low"], rows["expected_high"]),
        beyond=np.sqrt((off**2 - half**2).clip(lower=0)),
    )
    by_list = [own.assign(by=name) for name, own in (("all", table), *table.groupby("n"), *table.groupby("data"))]
    return (
        pd.concat(by_list)
        .groupby("by", sort=False)
        .agg(draws=("bias", "size"), bias=("bias", "mean"), inside=("inside", "mean"), beyond=("beyond", _ninth_decile))
    )


def _ninth_decile(values: pd.Series) -> float:
    return float(values.quantile(0.9))


def main() -> None:
    rows = pd.read_csv(DRAWS)
    found = check(rows)
    found.to_csv(OUT, index=False)
    weighted = found.assign(inside=found["inside"] * found["draws"], bias=found["bias"] * found["draws"])
    sums = weighted.groupby(["from", "n"])[["draws", "bias", "inside"]].sum()
    by_size = sums[["bias", "inside"]].div(sums["draws"], axis=0).assign(draws=sums["draws"])
    print(by_size.round(3).to_string(), "", sep="\n")
    by_list = found[found["from"] == "other lists"].groupby(["space", "data"])[["tau", "forecast", "bias", "inside"]]
    print(by_list.mean().round(3).to_string(), "", sep="\n")
    print(own_errors(rows).round(3).to_string())


if __name__ == "__main__":
    main()
