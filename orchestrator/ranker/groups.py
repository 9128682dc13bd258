"""Groups of sources without training of the candidates: sources that err alike are one normal score."""

from __future__ import annotations

import numpy as np

from taurank.orchestrator.ranker.credit import ONE_DESIGN, Expected, Judge, beside_the_best, credible, size_score
from taurank.orchestrator.ranker.inputs import Inputs, filled
from taurank.orchestrator.ranker.views import Kind, Scores, normal_scores

CURVATURE = ("jacov", "jacob_cov", "nwot", "epe_nas", "zico", "zen", "synflow")
"""Proxies that complement size, best first; the first takes part, since they are correlated with each other."""
JACOBIAN, ACTIVATIONS, SECOND_WEIGHT = ("proxy:jacov", "proxy:jacob_cov"), "proxy:nwot", 0.5
"""Beside the correlation of Jacobians that of activations takes part too, with this weight."""
SHORT_LIST = 100
"""Most candidates with which it does: in longer lists full trainings decide, and it gained nothing there (3 draws)."""
SUPERNETS, PRETEXT_TASKS = "supernets", "pretext tasks"
"""Names of these groups where there are several of a kind; a single one goes by its own."""
KNOWN = ("size", *JACOBIAN, ACTIVATIONS)
"""Groups that work in most spaces."""


def cheap_groups(
    inputs: Inputs, judge: Judge | None, expected: Expected = ONE_DESIGN
) -> tuple[dict[str, Scores], dict[str, float]]:
    """Normal scores of the groups, (candidates,) each, and their weights.

    A weight is the share of a source that is no noise, times its credit; see ``credit.credible`` and, for size and the
    curvature proxies, of which something is ``expected``, ``credit.beside_the_best``.
    """
    groups, weights = _separate(inputs, judge)
    for name in groups:
        groups[name], credit = credible(groups[name], judge, expected=expected if name in KNOWN else None)
        weights[name] *= credit
    agreements = {name: judge.agreement(groups[name]) for name in groups if name in KNOWN} if judge else {}
    for name, kept in beside_the_best(agreements, judge).items():
        weights[name] *= kept
    _join(groups, weights, inputs, "supernet", SUPERNETS)
    _join(groups, weights, inputs, "pretext", PRETEXT_TASKS)
    return groups, weights


def cheap_score(inputs: Inputs) -> Scores:
    """Normal scores of the sum of all groups, with nothing to judge them; all 0 without any."""
    groups, weights = cheap_groups(inputs, None)
    total = np.sum([weights[name] * groups[name] for name in groups], axis=0) if groups else np.zeros(inputs.count)
    return filled(normal_scores(total))


def _separate(inputs: Inputs, judge: Judge | None) -> tuple[dict[str, Scores], dict[str, float]]:
    """The groups before any are joined, and their weights before any credit."""
    columns = {name: inputs.scores[:, place] for place, name in enumerate(inputs.names)}
    kinds = dict(zip(inputs.names, inputs.kinds, strict=True))
    groups = {}
    sizes = {name: column for name, column in columns.items() if kinds[name] == "size"}
    if sizes:
        groups["size"] = size_score(sizes, judge)
    proxies = [name for name in columns if kinds[name] == "proxy"]
    preferred = [f"proxy:{name}" for name in CURVATURE if f"proxy:{name}" in proxies]
    if not sizes:
        preferred += proxies  # any is better than none
    chosen = preferred[:1]
    if chosen and chosen[0] in JACOBIAN and ACTIVATIONS in proxies and inputs.count <= SHORT_LIST:
        chosen.append(ACTIVATIONS)
    groups |= {name: normal_scores(columns[name]) for name in chosen}
    groups |= {name: normal_scores(columns[name]) for name in columns if kinds[name] in ("pretext", "supernet")}
    reliable = dict(zip(inputs.names, inputs.reliabilities, strict=True))
    weights = {name: reliable.get(name, 1.0) for name in groups}
    weights |= {name: SECOND_WEIGHT * weights[name] for name in chosen[1:]}
    return groups, weights


def _join(groups: dict[str, Scores], weights: dict[str, float], inputs: Inputs, kind: Kind, name_of_group: str) -> None:
    """Puts one group in the place of several of a kind: their mean by weight, which has the mean weight."""
    kinds = dict(zip(inputs.names, inputs.kinds, strict=True))
    joined = [name for name in groups if kinds.get(name) == kind and weights[name] > 0]
    if len(joined) < 2:
        return
    scores, shares = [groups.pop(name) for name in joined], [weights.pop(name) for name in joined]
    groups[name_of_group] = normal_scores(np.average(scores, axis=0, weights=shares))
    weights[name_of_group] = float(np.average(shares, weights=shares))
