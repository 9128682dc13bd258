"""Formats figures for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from taurank.orchestrator.evidence import RankedMetric
from taurank.orchestrator.experiment import Budget, TrainingSpec
from taurank.orchestrator.planning import LONGEST_SHARE, Forecast, counts
from taurank.orchestrator.ranker import FEWEST_ANCHORS, Ranking
from taurank.orchestrator.scoring import Score, are_accuracies
from taurank.orchestrator.tau import Agreement
from taurank.orchestrator.text import counted

NEARLY_ALL = 0.05
"""Share of a budget that may be left over without a word."""


def percent(value: float) -> str:
    """An accuracy in percent, a dash if missing; other values (a reference from a table) unchanged."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.1%}" if 0 <= value <= 1 else f"{value:.4g}"


def number(value: float, *, digits: int) -> str:
    """A number of any size, a dash if missing."""
    return f"{value:.{digits}g}" if math.isfinite(value) else "-"


def value_text(metric: RankedMetric) -> Callable[[float], str]:
    """How final values are written: accuracies in percent, those of the user's own metric as numbers."""
    return partial(number, digits=5) if metric.is_own else percent


def decimal(value: float) -> str:
    """A coefficient to three digits, a dash if missing."""
    return f"{value:.3f}" if math.isfinite(value) else "-"


def interval(found: Agreement) -> str:
    """The interval of tau, a dash without a tau."""
    return f"{found.low:.2f} to {found.high:.2f}" if math.isfinite(found.low) else "-"


def doubt(ranking: Ranking) -> str:
    """The calibration of a ranking in brackets; empty if it is calibrated."""
    return "" if ranking.certainty == "calibrated" else f" ({ranking.certainty})"


def budget_in_words(budget: Budget, full_epochs: float, epochs: float) -> str:
    """A budget, and the epochs that it pays for.

    Args:
        budget: as it was asked for.
        full_epochs: of full training of all candidates.
        epochs: that the budget pays for; of the average candidate if it is in time.
    """
    if budget.is_full:
        return budget.in_words
    if epochs >= full_epochs:
        return f"{budget.in_words}, enough for full training of all"
    average = " of the average candidate" if budget.is_time else ""
    return f"{budget.in_words}, {epochs:,.1f} epochs{average}"


def left_over(
    trainings: Sequence[TrainingSpec],
    candidates: int,
    full_epochs: int,
    *,
    spent: float,
    budget: float,
    in_time: bool = False,
) -> str:
    """Why a plan takes less than its budget, in words; empty where it is nearly all.

    Args:
        trainings: of the plan.
        candidates: how many are ranked.
        full_epochs: length of full training.
        spent: epochs of the whole plan, at most.
        budget: the same of the budget; of the average candidate if it is in time.
        in_time: whether it is in time.
    """
    left = budget - spent
    if left < max(1.0, NEARLY_ALL * budget):
        return ""
    fulls = counts(trainings, candidates, full_epochs)[1]
    reasons = [f"a full training takes {full_epochs}"]
    short = next((spec for spec in trainings if spec.task is None and not spec.is_full(full_epochs)), None)
    if short is not None and short.last_epoch + 1 > LONGEST_SHARE * full_epochs:
        reasons.append(f"short trainings are not made longer than {LONGEST_SHARE:.0%} of that")
    elif short is not None:
        count = candidates if short.candidates == "all" else short.candidates
        reasons.append(f"an epoch more for each short training {short.epoch_cost * count:g}")
    if left >= full_epochs:
        reasons = ["the stages are those of the experiment"]
    text = f"{left:,.1f} of {budget:,.1f} epochs are left over: {', '.join(reasons)}"
    return text + ("; the run trains fast candidates to the end with them" if in_time and fulls else "")


def evidenced(sources: str, problem: str) -> str:
    """The sources that say something of a candidate, and what failed."""
    return "; ".join(text for text in (sources, problem) if text)


def finals_note(ranking: Ranking) -> str:
    """What the predicted final accuracies rest on; empty where there are none."""
    trained = counted(ranking.full_trainings, "full training")
    if not ranking.full_trainings:
        return ""
    if ranking.predicts_others:
        return f"final accuracies: measured where trained to the end, else predicted from {trained}"
    return f"final accuracies: {trained}, too few to predict those of other candidates ({FEWEST_ANCHORS} are needed)"


def own_finals_note(ranking: Ranking, metric: str, measured: int) -> str:
    """The same for results of trainings that taurank has not run; empty where no final value is known."""
    if not ranking.full_trainings:
        return ""
    known = f"final {metric}: measured for {counted(measured, 'candidate')} trained to the end"
    if ranking.predicts_others:
        return f"{known}, else predicted"
    return f"{known}, too few to predict those of other candidates ({FEWEST_ANCHORS} are needed)"


def failed_note(ranking: Ranking) -> str:
    """How many candidates failed, and what follows for them; empty where none did."""
    if not ranking.failed:
        return ""
    return (
        f"{counted(len(ranking.failed), 'candidate')} failed in every training: no final value is predicted for them, "
        "and the expected tau leaves them out"
    )


def predicted(forecast: Forecast) -> str:
    """A predicted tau with its 90 % interval and what it rests on, or that nothing is known."""
    if not forecast.is_informative:
        return f"not known for lists like this ({forecast.basis})"
    return f"{forecast.tau:.2f} ({forecast.low:.2f} to {forecast.high:.2f}; {forecast.basis})"


def times(value: float) -> str:
    """How many times cheaper, a dash if nothing was spent."""
    return f"{value:.1f}x" if math.isfinite(value) else "-"


def against(score: Score) -> str:
    """The reference of a score, as text."""
    truth = score.truth
    count = len(truth.seeds)
    seeds = {0: "", 1: ", 1 seed"}.get(count, f", {count} seeds")
    seeds += ", lower is better" if truth.lower_is_better else ""
    if truth.sample is None:
        return f"{truth.metric} of {score.ranking.n} architectures{seeds}"
    lost = len(truth.sample.strata) - score.ranking.n
    without = f" ({lost} of them without a result)" if lost else ""
    return (
        f"{truth.metric}{seeds}, estimated from a stratified random sample of {len(truth.sample.strata)} of "
        f"{truth.sample.candidates}{without}"
    )


def left_out(score: Score) -> list[str]:
    """Lines on the candidates that the score leaves out, since full training has no result of them."""
    if score.truth.sample is not None:
        return []
    lines = []
    missing = int((~np.isfinite(score.truth.values)).sum())
    if score.failed:
        lines.append(f"left out of the score: {counted(score.failed, 'candidate')} whose full training failed")
    if missing > score.failed:
        lines.append(f"left out of the score: {counted(missing - score.failed, 'candidate')} without a result")
    return lines


def measures(score: Score) -> dict[str, str]:
    """The available measures besides tau, by name."""
    found = {}
    if score.top is not None:
        top, regret = score.top, score.top.regret.value
        if top.k < score.ranking.n:  # of all candidates, it is 100 % for any order
            found[f"top-{top.k} overlap"] = f"{top.overlap.value:.0%}"
        points = f"{100 * regret:.2f} percentage points" if are_accuracies(score.truth.values) else f"{regret:.4g}"
        found["regret of the predicted best"] = points
        found["weighted tau (the best count most)"] = decimal(top.weighted.value)
        if top.within is not None:
            found[f"tau within the true top 20 % ({top.within.n})"] = decimal(top.within.value)
    if score.beyond_size is not None:
        found["partial tau, given parameters"] = decimal(score.beyond_size.value)
    return found


def knowledge_lines(ranking: Ranking) -> list[str]:
    """One line for each source of knowledge: what it knew, its weight in the order, and why."""
    lines = []
    for use in ranking.knowledge:
        known = f"{use.known} of {len(ranking.table)} candidates known"
        known += f", {use.predicted} predicted" if use.predicted else ""
        lines.append(f"knowledge {use.name} ({use.relation}, {known}): weight {use.weight:.2f}; {use.reason}")
    return lines
