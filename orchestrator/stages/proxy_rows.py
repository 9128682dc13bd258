"""Scores of untrained networks in the evidence log: rows, reasons of void scores, missing scores."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from taurank.orchestrator.evidence import COVERAGE, PROXIES, PROXY, SCORE, SCORE_SD, VOID, Evidence, EvidenceLog
from taurank.trainables.proxies import ProxyConfig, ScoreRow, score_cost


@dataclass(frozen=True)
class ProxyBooking:
    """Seed of the batch and the first initialisation, and epoch-equivalents of a score by proxy."""

    seed: int
    epochs: dict[str, float]


def make_booking(config: ProxyConfig, *, images: int, train_images: int, seed: int) -> ProxyBooking:
    """The cost of each score; see ``score_cost``."""
    counts = {"images": images, "initialisations": len(config.seeds), "train_images": train_images}
    return ProxyBooking(seed, {name: score_cost(name, **counts) for name in config.names})


def score_key(proxy: str, code: str) -> str:
    """Trial key of a score in the log; independent of the worker, so that no score is logged twice."""
    return f"{PROXIES}/{proxy}/{code}"


def score_rows(row: ScoreRow, booking: ProxyBooking, *, share: float) -> list[Evidence]:
    """Rows ``score`` with its cost, ``score_sd`` for several initialisations, ``coverage`` below 1.

    Args:
        row: as reported by the trial.
        booking: cost of the score.
        share: devices that the trial holds; multiplies its seconds.
    """
    code, proxy, value, sd, coverage, seconds, reason = row

    def evidence(metric: str, number: float, seconds: float = 0.0, epochs: float = 0.0) -> Evidence:
        return Evidence(
            PROXIES, score_key(proxy, code), code, f"{PROXY}{proxy}", 0, 0, booking.seed, metric, number, seconds,
            epochs,
        )  # fmt: skip

    rows = [evidence(SCORE, value, seconds * share, booking.epochs[proxy])]
    if math.isfinite(sd):
        rows.append(evidence(SCORE_SD, sd))
    if not reason and coverage < 1:
        rows.append(evidence(COVERAGE, coverage))
    return rows


def left_to_score(
    config: ProxyConfig, codes: Sequence[str], there: Collection[str]
) -> tuple[ProxyConfig, tuple[str, ...]]:
    """The proxies and candidates of a chunk with a missing score; a void score is not missing.

    Args:
        config: of the chunk.
        codes: of its candidates.
        there: trial keys of the logged scores.
    """
    lacking = {code: [name for name in config.names if score_key(name, code) not in there] for code in codes}
    names = tuple(name for name in config.names if any(name in own for own in lacking.values()))
    return ProxyConfig(names, config.seeds), tuple(code for code in codes if lacking[code])


def void_scores(log: EvidenceLog) -> pd.DataFrame:
    """All void scores: ``proxy``, ``architecture``, ``reason``."""
    rows, events = log.evidence(), log.events()
    reasons = events[events["event"] == VOID].drop_duplicates("trial", keep="last").set_index("trial")["reason"]
    void = rows[rows["source"].str.startswith(PROXY) & (rows["metric"] == SCORE) & rows["value"].isna()]
    return pd.DataFrame(
        {
            "proxy": void["source"].str.removeprefix(PROXY).to_numpy(),
            "architecture": void["architecture"].to_numpy(),
            "reason": void["trial"].map(reasons).fillna("the score could not be computed").to_numpy(),
        }
    )


def void_lines(void: pd.DataFrame, candidates: int) -> list[str]:
    """One line per proxy and reason, with the number of candidates."""
    counted = Counter(zip(void["proxy"], void["reason"], strict=True))
    return [
        f"{PROXY}{proxy}: void for {count:,} of {candidates:,} candidates: {reason}"
        for (proxy, reason), count in counted.items()
    ]
