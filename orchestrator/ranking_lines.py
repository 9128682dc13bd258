"""What the ranker made of its sources, in the lines of the log of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.ranker import Ranking
from orchestrator.ranker.prior import SUPERNETS
from orchestrator.trust import SupernetTrust


def ranking_lines(ranking: Ranking, trust: Sequence[SupernetTrust]) -> list[tuple[str, str]]:
    """Decisions with their reasons: what each source weighs, and how far each supernet is trusted."""
    weights = sorted(ranking.weights.items(), key=lambda pair: -pair[1])
    said = ", ".join(f"{name} {weight:.2f}" for name, weight in weights) or "nothing to go by"
    lines = [("weighed", f"{len(ranking.table)} candidates by {said}; intervals are {ranking.certainty}")]
    for one in trust:
        weight = ranking.weights.get(one.stage, ranking.weights.get(SUPERNETS, 0.0))
        decision = "trusted" if weight > 0 else "dropped"
        lines.append((decision, f"{one.stage}: weight {weight:.2f}; {_grounds(one)}"))
    return lines


def _grounds(one: SupernetTrust) -> str:
    known = [f"{one.scored} scored"]
    if math.isfinite(one.reliability):
        known.append(f"reliability {one.reliability:.2f}")
    if one.alone is None:
        known.append("too few were trained alone to tell how far its order holds")
    else:
        alone = one.alone
        parameters = "" if alone.parameters is None else f", that of parameters {alone.parameters.tau:.2f}"
        known.append(f"tau to {alone.supernet.n} trained alone by {alone.stage} {alone.supernet.tau:.2f}{parameters}")
    return ", ".join(known)
