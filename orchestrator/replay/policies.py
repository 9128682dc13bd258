"""Policies on recorded curves at equal cost: the trainings that each allows, and the resulting order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import rankdata

from taurank.orchestrator.replay.bench import chosen_among, described_pool, drawn_count, full_schedule, space_of
from taurank.orchestrator.replay.curves import (
    RecordedCurves,
    architecture_features,
    metric_kind,
    read_curves,
    varied,
)
from taurank.orchestrator.replay.draw import each_draw
from taurank.orchestrator.replay.plan import parse_budget
from taurank.orchestrator.replay.truth import ENOUGH, MEAN, ReplayError, Truth, make_truth
from taurank.orchestrator.tau import tau_b, tau_of_true_top, top_regret
from taurank.orchestrator.text import YamlError, read_yaml
from taurank.schedulers.curves import CurveMatrix, Floats, Ladder
from taurank.schedulers.policies import (
    Limits,
    Simulation,
    by_best_so_far,
    by_epochs_and_value,
    by_last_value,
    list_policies,
    make_policy,
    simulate,
)
from taurank.trainables.table import TRAINING_SOURCE, RecordedTable

OWN_BUDGET = ("full", "median", "penguin", "beating")
"""Policies that decide themselves when they are done; they are run without a budget."""
LADDER, OWN, EQUAL_CUT = "ladder", "own rule", "equal cut"
BASELINES: dict[str, Callable[[CurveMatrix], Floats]] = {"last value": by_last_value, "best so far": by_best_so_far}
"""Baseline orders of trainings that all stand at the same epoch."""

PolicyRow = dict[str, float | str]
"""What came of one policy in one draw, under one way to rank; docs/how-to/replay.md has the columns."""
MEASURES = ("epochs", "tau", "expected_tau", "tau_top20", "top1_regret", "sent", "clock_epochs")
"""Numeric columns, without those that identify the draw."""


@dataclass(frozen=True)
class PolicySpec:
    """A policy and its options.

    Attributes:
        name: registered name.
        options: of its constructor.
    """

    name: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        options = ", ".join(f"{option}: {value}" for option, value in self.options.items())
        return f"{self.name} {{{options}}}" if options else self.name


@dataclass(frozen=True, eq=False)
class Comparison:
    """What every draw does.

    Attributes:
        table: the recorded trainings.
        curves: of all possible candidates, one training each, sorted by architecture.
        metric: what the curves show.
        truth: what the orders are scored against.
        among: how the candidates were chosen, in words.
        policies: in the order in which they are shown.
        candidates: how many are drawn.
        speed_up: how many times cheaper than one full training of all candidates.
        seed: of the draws.
        workers: trainings at once.
        period: of the learning rate, in epochs.
    """

    table: RecordedTable
    curves: RecordedCurves
    metric: str
    truth: Truth
    among: str
    policies: tuple[PolicySpec, ...]
    candidates: int
    speed_up: float
    seed: int
    workers: int
    period: int

    @property
    def limits(self) -> Limits:
        """What policies have to keep to."""
        points = tuple(self.curves.matrix.epochs.tolist())
        whole = self.candidates * points[-1]
        return Limits(
            points[-1],
            # So that a tenth of 10 x 10 epochs is 10 epochs and not 9.999.
            round(whole / self.speed_up, 6),
            self.workers,
            metric=self.curves.matrix.metric,
            period=self.period,
            points=points,
        )

    @property
    def meets_evidence(self) -> bool:
        """Whether the truth is the end of the very curves that are shown."""
        return self.truth.of_evidence_trainings and self.truth.metric == self.metric


def read_policies(text: str) -> tuple[PolicySpec, ...]:
    """Policies from ``asha,uniform``, ``all``, or with options ``order-settling: {goal: top}, asha``.

    Raises:
        ReplayError: no such text, policy or option, in one line.
    """
    listed = text if text.lstrip().startswith(("[", "-")) else f"[{text}]"
    try:
        content = read_yaml(listed)
    except YamlError as error:
        raise ReplayError(f"--policy: {text!r} is not a list: {error}") from None
    found: dict[str, PolicySpec] = {}
    for entry in content or ():
        for spec in _specs_of(entry):
            found.setdefault(str(spec), spec)
    if not found:
        raise ReplayError(f"--policy: {text!r} names no policy; there are all, {', '.join(list_policies())}")
    return tuple(found.values())


def compare_policies(
    table: RecordedTable,
    policies: Sequence[PolicySpec],
    *,
    candidates: int | None = None,
    budget: str,
    seed: int = 0,
    metric: str = "validation_accuracy",
    period: int = 1,
    truth: str = "",
    buy_seed: int | None = None,
    among: str = "distinct",
    workers: int = 1,
) -> Comparison:
    """Looks through a table: curves, truth, candidates.

    Args:
        table: recorded trainings.
        policies: what is compared.
        candidates: how many are drawn; None for ``CANDIDATES``, or all that can be candidates if these are fewer.
        budget: how many times cheaper, as ``10x``.
        seed: of the draws.
        metric: what the curves show.
        period: of a cyclic learning rate in epochs: curves are compared at equal phase only.
        truth: see ``replay.truth``; by default the metric of the other seeds that most candidates have,
            else the test metric of the same trainings, else the metric itself at the end of the same trainings.
        buy_seed: seed of the curves; by default the one that most have.
        among: see ``bench.Among``.
        workers: trainings at once.

    Raises:
        ReplayError: the table has no such curves or truth, or too few candidates.
    """
    metric_kind(table, metric)
    full = full_schedule(table, metric)
    if not truth.strip():
        buy_seed = _most_trained(table, metric, full) if buy_seed is None else buy_seed
        truth = _default_truth(table, metric, full, buy_seed)
    found = make_truth(table, truth, full_epochs=full, buy_seed=buy_seed, metric=metric, may_meet=True)
    curves = read_curves(table, metric=metric, schedule_epochs=full)
    known = set(found.values.dropna().index)
    trained = {code: row for row, code in enumerate(curves.architectures) if curves.seeds[row] == found.evidence_seed}
    space = space_of(table)
    pool = chosen_among([str(code) for code in trained if code in known], space, among)
    candidates = drawn_count(candidates, pool)
    if not 2 <= candidates <= len(pool):
        raise ReplayError(
            f"--candidates: {candidates:,} asked, but the table has {len(pool):,} among {described_pool(space, among)} "
            f"with {metric} at the end of a training of seed {found.evidence_seed} and the truth; "
            f"give 2 to {len(pool):,}, or name another truth with --truth"
        )
    curves = curves.take(np.array([trained[code] for code in pool], dtype=np.int64))
    features = varied(architecture_features(table, space, pool))
    curves = replace(curves, matrix=replace(curves.matrix, features=features))
    described = described_pool(space, among)
    comparison = Comparison(
        table,
        curves,
        metric,
        found,
        described,
        tuple(policies),
        candidates,
        parse_budget(budget),
        seed,
        workers,
        period,
    )
    if len(comparison.limits.cut_points) < 2:
        way_out = "take a shorter --period" if len(curves.matrix.epochs) > 1 else "policies need its beginnings"
        raise ReplayError(
            f"--policy: of {metric} the table has only the end of the schedule to compare at, epoch {full}; {way_out}"
        )
    return comparison


def policy_draws(comparison: Comparison, draws: int, *, jobs: int = 1) -> Iterator[list[PolicyRow]]:
    """The rows of draws 0, 1, ... in this order, each as soon as it and those before are there.

    Raises:
        ReplayError: a process was killed.
    """
    yield from each_draw(partial(compare_draw, comparison), draws, jobs=jobs)


def compare_draw(comparison: Comparison, draw: int) -> list[PolicyRow]:
    """One row for each policy and way to rank, then the baselines; all see the same candidates."""
    generator = np.random.default_rng([comparison.seed, draw])
    size = len(comparison.curves.architectures)
    drawn = comparison.curves.take(np.sort(generator.choice(size, size=comparison.candidates, replace=False)))
    truth = comparison.truth.values.loc[drawn.architectures.tolist()].to_numpy(dtype=float)
    limits = comparison.limits
    rows: list[PolicyRow] = []
    for spec in comparison.policies:
        allowed = replace(limits, budget_epochs=math.inf) if spec.name in OWN_BUDGET else limits
        own = by_last_value if spec.name == "uniform" else by_epochs_and_value
        rules = {LADDER: None} if spec.name == "order-settling" else {LADDER: None, OWN: own}
        rows += [{"policy": str(spec), **row} for row in _judged(spec, allowed, drawn, truth, rules)]
    for name, rule in BASELINES.items():
        found = _judged(PolicySpec("uniform", {}), limits, drawn, truth, {EQUAL_CUT: rule})
        rows += [{"policy": name, **row} for row in found]
    beside: PolicyRow = {"draw": draw, "n": comparison.candidates, "budget": comparison.speed_up}
    return [beside | row for row in rows]


def _judged(
    spec: PolicySpec,
    limits: Limits,
    drawn: RecordedCurves,
    truth: Floats,
    rules: Mapping[str, Callable[[CurveMatrix], Floats] | None],
) -> Iterator[PolicyRow]:
    """A row for each rule to rank by, None being the ladder; one without numbers where the limits cannot be kept to."""
    try:
        result = simulate(
            make_policy(spec.name, **spec.options), limits, drawn.matrix, trials=drawn.architectures.tolist()
        )
    except ValueError as error:
        yield {"ranked_by": "", **dict.fromkeys(MEASURES, math.nan), "problem": str(error)}
        return
    matrix = result.matrix
    for ranked_by, rule in rules.items():
        if rule is None:
            forecast = Ladder().forecast(matrix)
            measures = _measures(result, forecast.scores, truth, forecast.expected_tau())
        else:
            measures = _measures(result, rule(matrix), truth, math.nan)
        yield {"ranked_by": ranked_by, **measures, "problem": ""}


def _measures(result: Simulation, scores: Floats, truth: Floats, expected: float) -> PolicyRow:
    # A trial that has not begun, or failed at once, is last and not left out.
    places = rankdata(np.nan_to_num(scores, nan=-np.inf, neginf=-np.inf))
    values = (
        result.epochs / (len(truth) * result.limits.schedule_epochs),
        tau_b(places, truth),
        expected,
        tau_of_true_top(places, truth).value,
        top_regret(places, truth).value,
        float(len(result.steps)),
        result.seconds,
    )
    return dict(zip(MEASURES, values, strict=True))


def _specs_of(entry: object) -> Iterator[PolicySpec]:
    if entry == "all":
        yield from (PolicySpec(name, {}) for name in list_policies())
        return
    pairs = list(entry.items()) if isinstance(entry, Mapping) else [(entry, {})]
    for name, given in pairs:
        options = {} if given is None else given
        if not isinstance(name, str) or not isinstance(options, Mapping):
            raise ReplayError(
                f"--policy: {entry!r} is neither a name nor a name with options, as 'order-settling: {{goal: top}}'"
            )
        try:
            make_policy(name, **{str(option): value for option, value in options.items()})
        except TypeError:
            raise ReplayError(f"--policy: {name} cannot take {dict(options)}: a value is of the wrong type") from None
        except ValueError as error:
            raise ReplayError(f"--policy: {error}") from None
        yield PolicySpec(name, dict(options))


def _most_trained(table: RecordedTable, metric: str, full: int) -> int:
    """The seed that most have been trained with to the end, the first of several; an unknown one if there is no other.

    Tables of one unknown seed are the usual ones.
    """
    counts = {
        seed: int(table.final(metric, schedule_epochs=full, seed=seed).notna().sum()) for seed in table.seeds(full)
    }
    return max(counts, key=lambda seed: (seed != MEAN and counts[seed] > 0, counts[seed], -seed))


def _default_truth(table: RecordedTable, metric: str, full: int, evidence_seed: int) -> str:
    """The text of the truth that is as independent of the evidence as the table allows."""
    shown = table.final(metric, schedule_epochs=full, seed=evidence_seed).notna()

    def has_enough(name: str, seed: int) -> bool:
        final = table.final(name, schedule_epochs=full, seed=seed).notna()
        return bool(final[shown].mean() >= ENOUGH)

    others = [seed for seed in table.seeds(full) if seed not in (evidence_seed, MEAN) and has_enough(metric, seed)]
    if others:
        return f"{TRAINING_SOURCE}/{metric} seeds {', '.join(map(str, others))}"
    test = metric.replace("validation_", "test_", 1)
    if test != metric and test in table.info.metrics and has_enough(test, evidence_seed):
        return f"{TRAINING_SOURCE}/{test} seeds {evidence_seed}"
    return f"{TRAINING_SOURCE}/{metric} seeds {evidence_seed}"
