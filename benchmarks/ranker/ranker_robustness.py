"""The effect of faulty evidence: tau with rows missing, sources inverted or uninformative, trainings diverged.

Only the input of the ranker is perturbed, for its selections and its order; the truth is not. The affected rows depend
only on the architecture, the source and the draw, so repeated reads are equal. Aim: a mean loss of at most 0.01.
Prints a table and keeps one row per draw in `ranker_robustness.csv` beside this file; existing rows are not
measured again.

    python -m benchmarks.ranker.ranker_robustness --draws 10
    python -m benchmarks.ranker.ranker_robustness --candidates 300 --only jacov-inverted
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.common.paired import Task, compare, compared
from taurank.orchestrator.ranker import RankingModel
from taurank.orchestrator.replay import Row, replay_draw

OUT = Path(__file__).parent / "results" / "ranker_robustness.csv"
INTACT = "as-it-is"
AIM = 0.01
MISSING, DIVERGED = 0.2, 0.05
"""Share of the rows that are missing, and of the trainings that diverge."""
CHANCE = 0.1
"""Accuracy of guessing one of ten classes."""

Perturb = Callable[[pd.DataFrame, int, int], pd.DataFrame]
"""Maps evidence rows, the length of full training and the number of the draw to the input of the ranker."""


def uniform(rows: pd.DataFrame, purpose: str, draw: int) -> np.ndarray:
    """A number in [0, 1) for each row, which depends only on its architecture, source, metric and the draw."""
    fields = [rows["architecture"], rows["stage"], rows["source"], rows["metric"]]
    keys = fields[0].str.cat(fields[1:], sep="|") + f"|{purpose}|{draw}"
    return pd.util.hash_array(keys.to_numpy(dtype=object)) / 2.0**64


def missing(rows: pd.DataFrame, full_epochs: int, draw: int) -> pd.DataFrame:
    lost = (rows["schedule_epochs"] < full_epochs) & (uniform(rows, "missing", draw) < MISSING)
    return rows[~lost]


def inverted(proxy: str) -> Perturb:
    def perturb(rows: pd.DataFrame, full_epochs: int, draw: int) -> pd.DataFrame:
        return rows.assign(value=rows["value"].where(rows["source"] != f"proxy:{proxy}", -rows["value"]))

    return perturb


def useless(proxy: str) -> Perturb:
    """The proxy of this name is noise, where it has a score."""

    def perturb(rows: pd.DataFrame, full_epochs: int, draw: int) -> pd.DataFrame:
        noise = stats.norm.ppf(uniform(rows, "useless", draw))
        hit = (rows["source"] == f"proxy:{proxy}") & rows["value"].notna()
        return rows.assign(value=rows["value"].where(~hit, noise))

    return perturb


def with_useless_sources(rows: pd.DataFrame, full_epochs: int, draw: int) -> pd.DataFrame:
    """One more proxy and a supernet for all candidates, both noise."""
    candidates = rows[(rows["source"] == "size") & (rows["metric"] == "flops")]
    proxy = candidates.assign(stage="proxies", trial="proxies/noise", source="proxy:noise", metric="score")
    supernet = candidates.assign(
        stage="supernet:noise", trial="supernet:noise", source="supernet:noise", metric="validation_accuracy"
    )
    added = [source.assign(value=uniform(source, "useless", draw)) for source in (proxy, supernet)]
    return pd.concat([rows, *added], ignore_index=True)


def diverged(value: float, *, full: bool) -> Perturb:
    """Some of the short or of the full trainings end at ``value``."""

    def perturb(rows: pd.DataFrame, full_epochs: int, draw: int) -> pd.DataFrame:
        trained = (rows["source"] == "training") & (rows["metric"] == "validation_accuracy")
        hit = trained & ((rows["schedule_epochs"] >= full_epochs) == full) & (uniform(rows, "end", draw) < DIVERGED)
        return rows.assign(value=rows["value"].mask(hit, value))

    return perturb


PERTURBED: dict[str, Perturb] = {
    INTACT: lambda rows, full_epochs, draw: rows,
    "a-fifth-missing": missing,
    "jacov-inverted": inverted("jacov"),
    "synflow-inverted": inverted("synflow"),
    "jacov-useless": useless("jacov"),
    "useless-proxy-and-supernet": with_useless_sources,
    "short-runs-failed": diverged(np.nan, full=False),
    "short-runs-at-chance": diverged(CHANCE, full=False),
    "full-trainings-at-chance": diverged(CHANCE, full=True),
}


def measure(task: Task) -> Row:
    def perturbed(evidence: pd.DataFrame, encoding: pd.DataFrame, *, full_epochs: int, **rest: object) -> RankingModel:
        rows = PERTURBED[task.variant](evidence, full_epochs, task.draw)
        return RankingModel(rows, encoding, full_epochs=full_epochs, **rest)

    with patch("taurank.orchestrator.planning.rounds.RankingModel", perturbed):
        return replay_draw(task.bench, task.plan, task.draw)


def main() -> None:
    rows = compare(__doc__.splitlines()[0], measure, PERTURBED, reference=INTACT, candidates=(100, 300, 1000), out=OUT)
    table = compared(rows, PERTURBED, reference=INTACT)
    table["loss"] = 0.0 - table.pop("difference")
    table["within aim"] = np.where(table["loss"] <= AIM, "yes", "no")
    print(table[["variant", "n", "draws", "tau", "sd", "loss", "error", "within aim"]].round(4).to_string(index=False))


if __name__ == "__main__":
    main()
