"""The contribution of each source and each part of the ranker: the full method with one part removed, changed or added.

Parts are switched off by patching them from here; the draws are the same for all, so differences are paired. Prints a
table and keeps one row per draw in `ranker_ablation.csv` beside this file; existing rows are not measured again.

    python -m benchmarks.ranker.ranker_ablation --draws 10
    python -m benchmarks.ranker.ranker_ablation --candidates 300 --draws 20 --only no-proxies no-trees
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.common.paired import Task, compare, compared
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.planning.rounds import Problem
from taurank.orchestrator.ranker import RankerOptions, design, final, prior
from taurank.orchestrator.ranker.choices import LABEL_NOISE, SHORT_RUN_NOISE
from taurank.orchestrator.replay import Bench, Cheap, ReplayPlan, Row, draw_candidates, plan_replay, replay_draw
from taurank.orchestrator.replay.reference import make_reference
from taurank.orchestrator.replay.summary import agreement_columns
from taurank.orchestrator.tau import tau_b

OUT = Path(__file__).parent / "results" / "ranker_ablation.csv"
FULL = "full-method"

Change = Callable[[int], AbstractContextManager[object]]
"""The change that applies while a draw of this number is ranked."""
Order = Callable[[Bench, ReplayPlan, list[str]], tuple[NDArray[np.float64], float]]
"""Scores of candidates and their cost, without the ranker."""


@dataclass(frozen=True)
class Variant:
    """The full method with other evidence or with a change; or an order that needs no ranker."""

    buys: Callable[[Bench, ReplayPlan], ReplayPlan] = lambda bench, plan: plan
    change: Change = lambda draw: nullcontext()
    order: Order | None = None


def trains(shorts: bool, fulls: bool) -> Callable[[Bench, ReplayPlan], ReplayPlan]:
    """Short trainings of all candidates or none, and full trainings with the rest of the budget or none."""

    def evidence_of(bench: Bench, plan: ReplayPlan) -> ReplayPlan:
        short, left, stages = min(bench.seeds), plan.budget_epochs, []
        if shorts:
            stages.append(TrainingSpec(epochs=short, candidates=min(plan.candidates, int(left // short))))
            left -= stages[0].candidates * short
        if fulls and left >= bench.full_epochs:
            stages.append(TrainingSpec(epochs=bench.full_epochs, candidates=int(left // bench.full_epochs)))
        return _planned(bench, plan, cheap=plan.cheap, trainings=stages)

    return evidence_of


def without_proxies(bench: Bench, plan: ReplayPlan) -> ReplayPlan:
    return _planned(bench, plan, cheap=Cheap((), {}), trainings=None)


def _planned(bench: Bench, plan: ReplayPlan, *, cheap: Cheap, trainings: list[TrainingSpec] | None) -> ReplayPlan:
    return plan_replay(
        bench,
        candidates=plan.candidates,
        budget=f"{plan.speed_up:g}x",
        seed=plan.seed,
        workers=plan.workers,
        cheap=cheap,
        trainings=trainings,
    )


def before_full_trainings(bench: Bench, plan: ReplayPlan) -> ReplayPlan:
    """The same short trainings, and the order by them and the cheap sources."""
    return replace(plan, trainings=tuple(spec for spec in plan.trainings if not spec.is_full(bench.full_epochs)))


def not_adaptive(bench: Bench, plan: ReplayPlan) -> ReplayPlan:
    return replace(plan, adaptive=False)


def at_random(*noises: float) -> Change:
    """Selects at random instead of by design; short and full trainings are distinguished by their noise."""

    def change(draw: int) -> AbstractContextManager[object]:
        generator = np.random.default_rng([draw, 1])

        def chosen(process, candidates, noise, count, *, taken, **rest):
            if noise not in noises:
                return design.choose(process, candidates, noise, count, taken=taken, **rest)
            return generator.permutation(np.setdiff1d(np.arange(candidates), taken))[:count]

        return patch("taurank.orchestrator.ranker.choices.choose", chosen)

    return change


def columns(pattern: str) -> Change:
    """Columns of the encoding whose names match; the others are removed."""
    encoding = Bench.encoding
    return lambda draw: patch.object(Bench, "encoding", lambda *args: encoding(*args).filter(regex=pattern))


def without_size(draw: int) -> AbstractContextManager[object]:
    return patch("taurank.orchestrator.replay.cheap._sizes", lambda bench, candidates: [])


def without_transfer(draw: int) -> AbstractContextManager[object]:
    """Neither the length-scales of short trainings nor those of the smoothed prior are used in the final process."""

    def made(inputs, shorts, order):
        unscaled = [
            replace(short, scales=np.ones_like(short.scales), score_scales=np.ones_like(short.score_scales))
            for short in shorts
        ]
        return final.final_inputs(inputs, unscaled, replace(order, scales=np.ones_like(order.scales)))

    return patch("taurank.orchestrator.ranker.model.final_inputs", made)


def without_smoothing(draw: int) -> AbstractContextManager[object]:
    """The prior's own scores, with the length-scales learned by smoothing; their transfer is another variant."""
    smoothed = prior._smoothed
    return patch(
        "taurank.orchestrator.ranker.prior._smoothed", lambda i, scores, g: (scores, smoothed(i, scores, g)[1])
    )


def trees_alone(draw: int) -> AbstractContextManager[object]:
    """All weight on the trees in the final stage; intervals still come from the process."""
    return patch(
        "taurank.orchestrator.ranker.final.stack_weights", lambda left_out, target, defaults: np.array([0.0, 1.0])
    )


def options(**chosen: object) -> Change:
    made = RankerOptions(**chosen)
    return lambda draw: patch("taurank.orchestrator.replay.draw.Problem", partial(Problem, options=made))


def by_size(metric: str) -> Order:
    return lambda bench, plan, candidates: (bench.sizes[metric].loc[candidates].to_numpy(dtype=float), 0.0)


def log_rank_sum(bench: Bench, plan: ReplayPlan, candidates: list[str]) -> tuple[NDArray[np.float64], float]:
    """Short trainings of all candidates, FLOPs and jacov."""
    reference = make_reference(bench, plan.trainings, candidates)
    assert reference is not None
    return reference.scores, reference.cost


GP, TREES, BOOSTED, PAIRWISE = "gaussian-process", "extra-trees", "boosted-trees", "pairwise"
VARIANTS = {
    FULL: Variant(),
    "random-full-trainings": Variant(change=at_random(LABEL_NOISE)),
    "random-short-runs": Variant(change=at_random(SHORT_RUN_NOISE)),
    "both-random": Variant(change=at_random(LABEL_NOISE, SHORT_RUN_NOISE)),
    "no-short-runs": Variant(buys=trains(shorts=False, fulls=True)),
    "short-runs-for-all": Variant(buys=trains(shorts=True, fulls=True)),
    "no-full-trainings": Variant(buys=trains(shorts=True, fulls=False)),
    "no-proxies": Variant(buys=without_proxies),
    "no-size": Variant(change=without_size),
    "no-encoding": Variant(change=columns("^$")),
    "one-hot-encoding": Variant(change=columns("^edge_")),
    "no-transfer": Variant(change=without_transfer),
    "no-smoothing": Variant(change=without_smoothing),
    "no-trees": Variant(change=options(models=(GP,))),
    "trees-alone": Variant(change=trees_alone),
    "with-boosted": Variant(change=options(models=(GP, TREES, BOOSTED))),
    "with-pairwise": Variant(change=options(models=(GP, TREES, PAIRWISE))),
    "boosted-for-trees": Variant(change=options(models=(GP, BOOSTED))),
    "pairwise-for-trees": Variant(change=options(models=(GP, PAIRWISE))),
    "log-rank": Variant(change=options(aggregation="log-rank")),
    "borda": Variant(change=options(aggregation="borda")),
    "bradley-terry": Variant(change=options(aggregation="bradley-terry")),
    "not-adaptive": Variant(buys=not_adaptive),
    "prior-alone": Variant(buys=before_full_trainings),
    "parameters-alone": Variant(order=by_size("parameters")),
    "flops-alone": Variant(order=by_size("flops")),
    "log-rank-sum": Variant(order=log_rank_sum),
}


def measure(task: Task) -> Row:
    variant, bench, plan = VARIANTS[task.variant], task.bench, task.plan
    if variant.order is None:
        with variant.change(task.draw):
            return replay_draw(bench, variant.buys(bench, plan), task.draw)
    candidates = draw_candidates(bench, plan, task.draw)
    scores, cost = variant.order(bench, plan, candidates)
    truth = bench.truth.values.loc[candidates]
    ceiling = tau_b(bench.final.loc[candidates], truth)
    return agreement_columns(scores, truth.to_numpy(), ceiling) | {"cost": cost}


def main() -> None:
    rows = compare(__doc__.splitlines()[0], measure, VARIANTS, reference=FULL, candidates=(1000, 300), out=OUT)
    table: pd.DataFrame = compared(rows, VARIANTS, reference=FULL)
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
