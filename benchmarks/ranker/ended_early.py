"""Complete full trainings against more of them, ended early by a policy, for the same epochs: which rank better.

Recorded curves of spikenas and naap440, truth: test accuracy. Every variant has the same candidates, the same short
trainings and the same budget of full trainings. Where the default split has no full training, the short ones get
35 % of the budget, as with larger budgets. Prints a table and keeps one row per draw in `ended_early.csv`; existing
rows are not measured again. `sd from N on` weights predictions by their standard deviation once N trainings are
complete.

    python -m benchmarks.ranker.ended_early --draws 20
    python -m benchmarks.ranker.ended_early --sets naap440 --candidates 300 --only 2x
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.common.paired import SEED, positive
from benchmarks.common.recorded import NAAP440, SPIKENAS, read_recorded
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.planning.split import SHARE_OF_SOME
from taurank.orchestrator.ranker import RankingModel
from taurank.orchestrator.replay import Bench, Cheap, ReplayError, ReplayPlan, make_bench, plan_replay, replay_draw

OUT = Path(__file__).parent / "results" / "ended_early.csv"
KEY = ["set", "n", "budget", "draw", "variant"]
KEPT = ["tau", "ceiling", "tau_top20", "expected_tau", "coverage90", "width90", "shorts", "finished", "early", "epochs"]
WORKERS = 1
"""Seconds are not measured here, and one training at a time needs the fewest decisions."""
CHEAP = Cheap((), {})
TO_THE_END = "to the end"
OWN = "own split"


@dataclass(frozen=True)
class Variant:
    """Full trainings under a policy.

    Attributes:
        times: their number, relative to complete trainings.
        goal: of order-settling.
        weighed: changes the weights of predictions.
    """

    times: float
    goal: str = "order"
    weighed: Callable[[], AbstractContextManager[object]] = nullcontext


def sds_from(finished: int) -> Callable[[], AbstractContextManager[object]]:
    """Number of complete trainings of a stage from which standard deviations are used."""
    return lambda: patch("taurank.orchestrator.ranker.final.SHOWN", finished)


VARIANTS = {
    OWN: None,
    TO_THE_END: None,
    "1.5x": Variant(1.5),
    "2x": Variant(2),
    "3x": Variant(3),
    "1.5x, top": Variant(1.5, "top"),
    "1.5x, top, sd from 3 on": Variant(1.5, "top", sds_from(3)),
    "2x, sd from 0 on": Variant(2, weighed=sds_from(0)),
}


@cache
def bench_of(name: str, folder: Path | None) -> Bench:
    return make_bench(read_recorded(name, folder), truth="test")


def planned(bench: Bench, name: str, *, candidates: int, budget: str) -> ReplayPlan:
    def plan(trainings: list[TrainingSpec] | None = None) -> ReplayPlan:
        return plan_replay(
            bench,
            candidates=candidates,
            budget=budget,
            seed=SEED,
            workers=WORKERS,
            cheap=CHEAP,
            trainings=trainings,
        )

    own = plan()
    if name == OWN:
        return own
    short, *rest = own.trainings
    full = bench.full_epochs
    if rest:
        shorts, fulls = short.candidates, int(rest[0].candidates)
    else:
        fulls = math.floor((1 - SHARE_OF_SOME) * own.budget_epochs / full)
        shorts = min(candidates, int((own.budget_epochs - fulls * full) // short.last_epoch))
    variant = VARIANTS[name]
    last = TrainingSpec(epochs=full, candidates=fulls)
    if variant is not None:
        policy = {"name": "order-settling", "options": {"goal": variant.goal}}
        count = min(candidates, int(variant.times * fulls))
        last = TrainingSpec(epochs=full, candidates=count, scheduler=policy, budget_epochs=fulls * full)
    return plan([TrainingSpec(epochs=short.epochs, until=short.until, candidates=shorts), last])


def measured(
    bench: Bench, plan: ReplayPlan, name: str, draw: int, earlier: RankingModel | None
) -> tuple[dict[str, float], RankingModel]:
    """One variant on one draw; results of the same short trainings are reused."""
    variant = VARIANTS[name]
    log = EvidenceLog(Path(":memory:"))
    models: list[RankingModel] = []
    with ExitStack() as changes:
        remembering = _remembering(None if variant is None else earlier, models)
        changes.enter_context(patch("taurank.orchestrator.planning.rounds.RankingModel", remembering))
        if variant is not None:
            changes.enter_context(variant.weighed())
        row = replay_draw(bench, plan, draw, log=log)
    model = models[-1]
    labels = [view.reached[np.isfinite(view.values)] for view in model.views if view.is_final]
    reached = np.concatenate([*labels, np.zeros(0)])
    row |= {"finished": float((reached >= 1).sum()), "early": float((reached < 1).sum())}
    row["epochs"] = row["epochs_trainings"]
    return {column: row[column] for column in KEPT}, model


def _remembering(known: RankingModel | None, models: list[RankingModel]) -> Callable[..., RankingModel]:
    """Makes models that reuse ``known``, and adds each to ``models``."""

    def made(*args: object, earlier: RankingModel | None, **rest: object) -> RankingModel:
        models.append(RankingModel(*args, earlier=known or earlier, **rest))
        return models[-1]

    return made


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per variant: means, and tau minus that of the two references on the same draws with its error."""
    lines = []
    for case, cell in rows.groupby(KEY[:3]):
        by_variant = {name: own.set_index("draw") for name, own in cell.groupby("variant")}
        for name in (name for name in VARIANTS if name in by_variant):
            own = by_variant[name]
            line = dict(zip(KEY[:3], case, strict=True)) | {"variant": name, "draws": len(own)}
            line |= own[KEPT].mean().to_dict()
            for reference in (TO_THE_END, OWN):
                pairs = (own["tau"] - by_variant[reference]["tau"]).dropna()
                line[f"minus {reference}"] = pairs.mean()
                line[f"error, {reference}"] = pairs.std(ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.nan
            lines.append(line)
    return pd.DataFrame(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=positive, default=20)
    parser.add_argument("--sets", nargs="+", choices=(SPIKENAS, NAAP440), default=(SPIKENAS, NAAP440))
    parser.add_argument("--candidates", type=positive, nargs="+", default=(300, 100), metavar="N")
    parser.add_argument("--budget", nargs="+", default=["10x"], metavar="10x")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, metavar="VARIANT", help=f"of {', '.join(VARIANTS)}")
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    rows = pd.read_csv(options.out) if options.out.is_file() else pd.DataFrame(columns=[*KEY, *KEPT])
    known = set(rows[KEY].itertuples(index=False, name=None))
    asked = [name for name in VARIANTS if name in (OWN, TO_THE_END) or name in (options.only or VARIANTS)]
    cells = [(name, n, budget) for name in options.sets for n in options.candidates for budget in options.budget]
    # Draw by draw, so that an interrupted run leaves whole pairs of every set behind.
    for draw in range(options.draws):
        for data, n, budget in cells:
            bench, earlier = bench_of(data, options.data_dir), None
            for name in asked:
                key = (data, n, budget, draw, name)
                if key in known:
                    continue
                try:
                    plan = planned(bench, name, candidates=n, budget=budget)
                except ReplayError as error:
                    sys.exit(str(error))
                row, earlier = measured(bench, plan, name, draw, earlier)
                print(*key, f"tau {row['tau']:.3f}", file=sys.stderr, flush=True)
                found = pd.DataFrame([dict(zip(KEY, key, strict=True)) | row])
                rows = pd.concat([rows, found], ignore_index=True) if len(rows) else found
            rows.round(5).to_csv(options.out, index=False)
    print(compared(rows).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
