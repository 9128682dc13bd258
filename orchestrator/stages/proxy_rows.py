"""Scores of untrained networks in the evidence log: rows, reasons of those that are void, what is not there yet."""

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
    """How scores are booked.

    Attributes:
        seed: of the batch and of the first initialisation.
        epochs: epoch-equivalents of one score, by proxy.
    """

    seed: int
    epochs: dict[str, float]


def make_booking(config: ProxyConfig, *, images: int, train_images: int, seed: int) -> ProxyBooking:
    """The cost of each score; see ``score_cost``."""
    counts = {"images": images, "initialisations": len(config.seeds), "train_images": train_images}
    return ProxyBooking(seed, {name: score_cost(name, **counts) for name in config.names})


def score_key(proxy: str, code: str) -> str:
    """Trial of a score in the log: the same whichever worker came to it, so that no score is there twice."""
    return f"{PROXIES}/{proxy}/{code}"


def score_rows(row: ScoreRow, booking: ProxyBooking, *, share: float) -> list[Evidence]:
    """``score`` with its cost; ``score_sd`` where there are several initialisations; ``coverage`` where it is partial.

    Args:
        row: as the trial reports it.
        booking: how it is booked.
        share: of a device that the trial holds; seconds are multiplied with it.
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
    """Of a chunk the proxies that somebody has no score of, and those who lack a score; a void one is a score too.

    Args:
        config: of the chunk.
        codes: of its candidates.
        there: keys of the scores that the log has.
    """
    lacking = {code: [name for name in config.names if score_key(name, code) not in there] for code in codes}
    names = tuple(name for name in config.names if any(name in own for own in lacking.values()))
    return ProxyConfig(names, config.seeds), tuple(code for code in codes if lacking[code])


def void_scores(log: EvidenceLog) -> pd.DataFrame:
    """All scores that are void: ``proxy``, ``architecture``, ``reason``."""
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
    """One line for each proxy and reason: of how many candidates the score is void, and why."""
    counted = Counter(zip(void["proxy"], void["reason"], strict=True))
    return [
        f"{PROXY}{proxy}: void for {count:,} of {candidates:,} candidates: {reason}"
        for (proxy, reason), count in counted.items()
    ]
