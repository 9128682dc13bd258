"""Earlier knowledge in the prior order: results of the same architectures on another data set or task.

A source is a column of normal scores. How far it is trusted, its correlation r with the truth, is learned from what the
candidates' own evidence says: worthless and inverted knowledge ends with r = 0 and takes no part. All sources together
are one group of the prior's sum, since they err alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.ranker.credit import Judge
from taurank.orchestrator.ranker.inputs import CHEAP_SHARE, MIN_SHORT_RUNS, Inputs, filled, share, standardised
from taurank.orchestrator.ranker.knowledge_sources import KnowledgeSource, KnowledgeUse
from taurank.orchestrator.ranker.short_runs import SOLVE, complete_short_runs
from taurank.orchestrator.ranker.views import Scores, View, normal_scores

KNOWLEDGE = "knowledge"
"""Name of the group."""
EXPECTED = {"same-kind": 0.85, "other": 0.70, "short": 0.70}
"""Correlation with the truth that a source is taken to have a priori, by relation."""
PRIOR_CANDIDATES = 3.0
"""Candidates that the a priori correlation is worth."""
CAUTION = 0.5
"""Standard errors by which a learned correlation is lowered."""
MOST_RELIABLE, LARGEST_CORRELATION = 0.95, 0.985
FEWEST_COMPARED = 4
"""Fewer candidates than this say nothing about a correlation."""
FEWEST_KNOWN = 30
"""Known architectures from which the others are predicted."""
MOST_OWN_SHORT_RUNS = 20
"""Candidates with short trainings of their own from which those on other data say no more: they share their bias."""
UNSMOOTHED = 0.9
"""Reliability from which smoothing over the encoding costs more than it gains."""
WITHOUT_TRAININGS = 0.7
"""Largest share of the variance that an order without any training of the candidates is taken to explain."""
VETO_LABELS, AGAINST = 15, 1.0
"""Full trainings from which they decide whether knowledge takes part, and by how many standard errors."""
CALIBRATED_LABELS = 8
"""With knowledge, fewer full trainings than this do not calibrate the uncertainty: they hardly see the knowledge."""


@dataclass(frozen=True, eq=False)
class KnownColumn:
    """One source for the candidates.

    Attributes:
        source: where it is from.
        scores: normal scores, (candidates,); NaN where nothing is known or predicted.
        known: candidates with a value of their own.
        predictability: correlation of left-out predictions with the known values; 1 where nothing is predicted.
    """

    source: KnowledgeSource
    scores: Scores
    known: int
    predictability: float


@dataclass(frozen=True, eq=False)
class Reference:
    """What knowledge is compared with; never a sum that contains it.

    Attributes:
        scores: (candidates,).
        short_runs: candidates with a short training; 0 where the scores come from the sum of the other sources.
        agreement: correlation of the scores with the truth.
        most: most candidates that a comparison is worth.
    """

    scores: Scores
    short_runs: int
    agreement: float
    most: int


@dataclass(frozen=True, eq=False)
class JointKnowledge:
    """All sources as one group.

    Attributes:
        scores: normal scores, (candidates,); NaN where no source says anything.
        completed: the same with what the other evidence says where no source does.
        reliability: correlation with the truth that it is trusted with; 0 takes no part.
        uses: of the sources, with their shares in the group as weights.
    """

    scores: Scores
    completed: Scores
    reliability: float
    uses: tuple[KnowledgeUse, ...]

    @property
    def weight(self) -> float:
        """Weight in the sum of normal scores."""
        return weight_of(self.reliability)

    def dropped(self, why: str) -> tuple[KnowledgeUse, ...]:
        """The uses where the group is dropped after all; a source that took no part anyway keeps its reason."""
        reason = f"dropped: {why}"
        return tuple(
            replace(use, reliability=0.0, weight=0.0, reason=reason) if use.reliability else use for use in self.uses
        )


def weight_of(reliability: float) -> float:
    """Weight of a source whose correlation with the truth is r: ``r / (1 - r^2)``, as a multiple of that of r^2 = .5.

    >>> weight_of(0.5**0.5)
    1.0
    """
    best: float = reliability / (1 - reliability**2)
    return best * (1 - CHEAP_SHARE) / float(np.sqrt(CHEAP_SHARE))


def known_columns(
    sources: Sequence[KnowledgeSource],
    encoding: pd.DataFrame,
    known_encoding: pd.DataFrame | None,
    generator: np.random.Generator,
) -> list[KnownColumn]:
    """The sources for the candidates, predicted from the encoding where only some of them are known.

    Args:
        sources: of knowledge.
        encoding: of the candidates, (candidates, features), index = code, in their order.
        known_encoding: of known architectures, likewise. Where it has all candidates too, its columns count; else those
            that both have. Known architectures without an encoding teach nothing.
        generator: the only randomness.
    """
    return [_known_column(source, encoding, known_encoding, generator) for source in sources]


def _known_column(
    source: KnowledgeSource,
    encoding: pd.DataFrame,
    known_encoding: pd.DataFrame | None,
    generator: np.random.Generator,
) -> KnownColumn:
    values = pd.Series(_finite(source.values), dtype=float)
    candidates = encoding.index.astype(str)
    own = values.reindex(candidates)
    scores = normal_scores(np.asarray(own, dtype=np.float64))
    known = int(own.notna().sum())
    if known == len(candidates) or not len(values):
        return KnownColumn(source, scores, known, 1.0)
    described = _described(encoding, known_encoding)
    others = np.array(sorted(set(values.index) & set(described.index) - set(candidates)))
    most = max(SOLVE - known, 0)
    if len(others) > most:
        others = np.sort(generator.choice(others, most, replace=False))
    columns = standardised(described.loc[[*candidates, *others]].to_numpy(dtype=float))
    if known + len(others) < FEWEST_KNOWN or not columns.shape[1]:
        return KnownColumn(source, scores, known, 1.0)
    completed, predictability = _completed(columns, np.concatenate([own, values.loc[others]]), generator)
    return KnownColumn(source, normal_scores(completed[: len(candidates)]), known, predictability)


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {str(code): float(value) for code, value in values.items() if np.isfinite(value)}


def _described(encoding: pd.DataFrame, known_encoding: pd.DataFrame | None) -> pd.DataFrame:
    """Encoding of the candidates and of other known architectures, with the same columns."""
    encoding = encoding.set_axis(encoding.index.astype(str))
    if known_encoding is None:
        return encoding
    known_encoding = known_encoding.set_axis(known_encoding.index.astype(str))
    if encoding.index.isin(known_encoding.index).all():
        return known_encoding
    shared = [name for name in encoding.columns if name in known_encoding.columns]
    return pd.concat([encoding[shared], known_encoding.loc[~known_encoding.index.isin(encoding.index), shared]])


def _completed(columns: Scores, values: Scores, generator: np.random.Generator) -> tuple[Scores, float]:
    """Normal scores of the values, predicted where there is none, and the correlation of left-out predictions.

    By the model of short trainings: it, too, completes values that are known for some from what describes all.
    """
    inputs = Inputs(columns, np.zeros((len(columns), 0)), (), (), ())
    view = View(KNOWLEDGE, "training", values, values, 0.0, np.zeros(len(columns)), KNOWLEDGE)
    short = complete_short_runs(inputs, [view], generator)[0]
    return short.measured, float(short.imputability)


def reference_of(judge: Judge | None, others: Scores | None) -> Reference | None:
    """Completed short trainings where enough candidates had one, else the sum of all other sources; None without any.

    Short trainings are the safer judge, where they are one at all: cheap sources agree with each other for reasons of
    their own.
    """
    if judge is not None and len(judge.rows) >= MIN_SHORT_RUNS:
        return Reference(judge.scores, len(judge.rows), agreement=0.85, most=30)
    return None if others is None else Reference(others, 0, agreement=0.75, most=10)


def learned_reliability(known: Scores, reference: Reference | None, expected: float) -> tuple[float, int]:
    """Correlation with the truth that a column is trusted with, and the number of candidates that it was learned from.

    With the n candidates that both know, ``m = min(n - 3, cap)`` and the correlation c of knowledge and reference,
    which has the correlation rho with the truth::

        z = (3 atanh(expected) + m atanh(c / rho)) / (3 + m) - 1 / (2 sqrt(3 + m)),   r = clip(tanh z, 0, .95)

    so that a correlation is lowered by half a standard error. A negative one becomes 0, it is never turned round.
    """
    compared, z = 0, 0.0
    if reference is not None:
        both = np.isfinite(known) & np.isfinite(reference.scores)
        first, second = known[both], reference.scores[both]
        if both.sum() >= FEWEST_COMPARED and first.std() > 0 and second.std() > 0:
            compared = int(both.sum())
            ratio = float(np.corrcoef(first, second)[0, 1]) / reference.agreement
            z = float(np.arctanh(np.clip(ratio, -LARGEST_CORRELATION, LARGEST_CORRELATION)))
    weight = float(min(compared - 3, reference.most)) if reference is not None and compared else 0.0
    total = PRIOR_CANDIDATES + weight
    z = (PRIOR_CANDIDATES * float(np.arctanh(expected)) + weight * z) / total - CAUTION / float(np.sqrt(total))
    return float(np.clip(np.tanh(z), 0.0, MOST_RELIABLE)), compared


def join_knowledge(
    columns: Sequence[KnownColumn], reference: Reference | None, others: Scores | None, *, short_runs: int
) -> JointKnowledge:
    """One group from all sources: their mean by ``weight_of``, whose own reliability is learned like theirs.

    Args:
        columns: of the sources, at least one.
        reference: what they are compared with.
        others: sum of the other sources, (candidates,), for candidates of which no source knows anything.
        short_runs: candidates with a short training.
    """
    found = [_judged(column, reference, short_runs) for column in columns]
    weights = np.array([weight_of(use.reliability) for use, _ in found])
    uses = tuple(use for use, _ in found)
    count = len(columns[0].scores)
    rest = np.zeros(count) if others is None else filled(normal_scores(others))
    if not weights.any():
        return JointKnowledge(np.full(count, np.nan), rest, 0.0, uses)
    table = np.array([column.scores for column in columns])  # (sources, candidates)
    known = np.isfinite(table) & (weights > 0)[:, None]
    total = (known * weights[:, None]).sum(axis=0)
    mean = (np.where(known, table, 0.0) * weights[:, None]).sum(axis=0) / np.where(total > 0, total, np.nan)
    scores = normal_scores(mean)
    shares = weights / weights.sum()
    expected = float(shares @ [EXPECTED[column.source.relation] for column in columns])
    reliability, _ = learned_reliability(scores, reference, expected)
    reliability = min(reliability, float(shares @ [limit for _, limit in found]))
    uses = tuple(replace(use, weight=float(own)) for use, own in zip(uses, shares, strict=True))
    joint = JointKnowledge(scores, np.where(np.isfinite(scores), scores, rest), reliability, uses)
    if reliability == 0:
        return replace(joint, uses=joint.dropped("together the sources do not agree with the other evidence"))
    return joint


def _judged(column: KnownColumn, reference: Reference | None, short_runs: int) -> tuple[KnowledgeUse, float]:
    """What is made of one source, and the largest reliability that it may have."""
    source = column.source
    predicted = int(np.isfinite(column.scores).sum()) - column.known
    use = KnowledgeUse(source.name, source.relation, column.known, predicted, 0.0, 0.0, "")
    if not filled(column.scores).any():
        return replace(use, reason="dropped: it knows of no difference between the candidates"), 0.0
    if source.relation == "short" and short_runs >= MOST_OWN_SHORT_RUNS:
        return replace(use, reason=f"dropped: {short_runs} candidates have short trainings of their own"), 0.0
    limits = {"": MOST_RELIABLE}
    if predicted:
        limits[f"at most that, since {predicted} of its values are predicted"] = MOST_RELIABLE * column.predictability
    if source.relation == "short":
        limits["at most that, since it is of short trainings"] = float(np.sqrt(share(source.fidelity)))
    why, limit = min(limits.items(), key=lambda pair: pair[1])
    learned, compared = learned_reliability(column.scores, reference, EXPECTED[source.relation])
    reliability = min(learned, max(limit, 0.0))
    trusted = f"r = {reliability:.2f}" + (f", {why}" if reliability < learned else "")
    return replace(use, reliability=reliability, reason=_reason(trusted, reliability, compared, reference)), limit


def _reason(trusted: str, reliability: float, compared: int, reference: Reference | None) -> str:
    if reference is None or not compared:
        return f"unchecked: nothing to compare it with ({MIN_SHORT_RUNS} short trainings would check it); {trusted}"
    if reference.short_runs:
        judge = f"the short trainings of {reference.short_runs} candidates"
        return f"agrees with {judge}: {trusted}" if reliability else f"dropped: does not agree with {judge}"
    few = f"fewer than {MIN_SHORT_RUNS} short trainings that can judge it"
    if not reliability:
        return f"dropped: {few}, and it does not agree with the other sources"
    return f"unchecked: {few}; agrees with the other sources: {trusted}"


def pooled_reliability(credits: Sequence[float], trained: float, reliability: float) -> float:
    """Share of the variance that sources with independent errors explain together: ``S / (1 + S)``.

    ``S`` is the sum of ``s / (1 - s)``, with s the share of each: ``CHEAP_SHARE`` times its credit for a source
    without training, ``trained`` for short trainings, ``r^2`` for knowledge. Without trainings the other sources count
    as the best of them alone, since no evidence shows which errors they have in common, and the result is at most
    ``WITHOUT_TRAININGS``.

    Args:
        credits: of the sources without training, in [0, 1].
        trained: share of the short trainings; 0 without any.
        reliability: r of the knowledge.
    """

    def odds(explained: float) -> float:
        return explained / (1 - explained)

    cheap = [odds(CHEAP_SHARE * credit) for credit in credits]
    if trained > 0:
        total = sum(cheap) + odds(trained) + odds(reliability**2)
        return total / (1 + total)
    total = max(cheap, default=0.0) + odds(reliability**2)
    return min(total / (1 + total), WITHOUT_TRAININGS)


def is_vetoed(with_knowledge: Scores, without: Scores, labels: Scores) -> bool:
    """Whether full trainings agree less with the prior order for its knowledge; all (labelled candidates,).

    Less by ``AGAINST`` jackknife standard errors of the difference of the two correlations: designed labels agree with
    any good order by .95 and more, where the sign of a difference alone would drop good knowledge in one of four draws
    (NAS-Bench-201, 19 labels). Equal orders gain nothing from knowledge, so it is dropped there too.
    """
    if len(labels) < VETO_LABELS:
        return False
    target = normal_scores(labels)

    def gain(kept: NDArray[np.bool_]) -> float:
        own = target[kept]
        return _correlation(with_knowledge[kept], own) - _correlation(without[kept], own)

    left_out = np.array([gain(kept) for kept in ~np.eye(len(labels), dtype=np.bool_)])
    error = float(np.sqrt((len(labels) - 1) * left_out.var()))
    return gain(np.ones(len(labels), dtype=np.bool_)) <= -AGAINST * error


def _correlation(scores: Scores, target: Scores) -> float:
    if scores.std() == 0 or target.std() == 0:
        return 0.0
    return float(np.corrcoef(scores, target)[0, 1])
