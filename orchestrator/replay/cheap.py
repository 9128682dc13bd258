"""Evidence before any training: sizes, proxies, and scores of supernets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from taurank.orchestrator.evidence import CONTENDERS, PROXIES, Evidence, EvidenceLog
from taurank.orchestrator.replay.bench import SIZES, Bench, names_of
from taurank.orchestrator.replay.truth import ReplayError
from taurank.trainables.table import TRAINING_SOURCE, RecordedTable

PROXY_EPOCHS = 0.015
"""What a zero-cost proxy costs, in epochs of training: 13 of them are .2 epochs, .001 of a training of 200 (measured on
NAS-Bench-201)."""


@dataclass(frozen=True)
class Cheap:
    """What is measured of every candidate before any training.

    Attributes:
        proxies: names of proxies.
        supernets: what each costs as a whole, by name, in epochs of training one candidate; tables do not record it.
        proxy_epochs: what a score by a proxy costs, in epochs.
    """

    proxies: tuple[str, ...]
    supernets: dict[str, float]
    proxy_epochs: float = PROXY_EPOCHS

    def epochs(self, candidates: int) -> float:
        """Cost in epoch-equivalents."""
        return candidates * self.proxy_epochs * len(self.proxies) + sum(self.supernets.values())


def choose_cheap(table: RecordedTable, *, proxies: str, supernets: str) -> Cheap:
    """What ``--proxies all|none|a,b`` and ``--supernets a=EPOCHS,b=EPOCHS`` ask for.

    Raises:
        ReplayError: the table has no such scores, or a supernet comes without a cost.
    """
    known = names_of(table, "proxy")
    if proxies in ("all", "none"):
        chosen = tuple(known) if proxies == "all" else ()
    else:
        chosen = tuple(dict.fromkeys(name.strip() for name in proxies.split(",")))
        for name in chosen:
            _check("--proxies", name, known, "all, none")
    priced: dict[str, float] = {}
    for text in filter(None, supernets.split(",")):
        name, _, cost = (part.strip() for part in text.partition("="))
        scored = [known for known in names_of(table, "supernet") if not known.endswith(CONTENDERS)]
        _check("--supernets", name, scored, "")
        try:
            priced[name] = float(cost)
        except ValueError:
            priced[name] = math.nan
        if not 0 <= priced[name] < math.inf:
            raise ReplayError(
                f"--supernets: {text!r} does not give the cost of the supernet; write {name}=EPOCHS, its training and "
                "scoring in epochs of training one candidate"
            )
    return Cheap(chosen, priced)


def book_cheap(bench: Bench, cheap: Cheap, log: EvidenceLog, candidates: Sequence[str]) -> None:
    """Writes the rows of sizes, proxies and supernets.

    A candidate with a score of one proxy but not of another failed the other: a row without a value that costs the
    same. A candidate without any score was never measured and costs nothing. The cost of a supernet is spread over all.
    """
    log.append(_sizes(bench, candidates))
    log.append(_proxies(bench, cheap, candidates))
    for name, epochs in cheap.supernets.items():
        source = f"supernet:{name}"
        scores = bench.table.wide(source).reindex(list(candidates))
        each = {"validation_accuracy": epochs / len(candidates), "validation_accuracy_sd": 0.0}
        log.append(
            Evidence(source, source, str(code), source, 0, 0, 0, metric, value, 0.0, cost)
            for metric, cost in each.items()
            if metric in scores
            for code, value in scores[metric].items()
        )


def _sizes(bench: Bench, candidates: Sequence[str]) -> list[Evidence]:
    sizes = bench.sizes.reindex(list(candidates))
    return [
        Evidence("size", f"size/{code}", str(code), "size", 0, 0, 0, metric, value)
        for metric in SIZES
        if metric in sizes
        for code, value in sizes[metric].dropna().items()
    ]


def _proxies(bench: Bench, cheap: Cheap, candidates: Sequence[str]) -> list[Evidence]:
    computed = bench.proxies.index.intersection(pd.Index(candidates), sort=False)
    scores, seconds = bench.proxies.loc[computed], bench.proxy_seconds.loc[computed].fillna(0.0)
    return [
        Evidence(PROXIES, f"{PROXIES}/{name}", code, f"proxy:{name}", 0, 0, 0, "score", value, cost, cheap.proxy_epochs)
        for name in cheap.proxies
        for code, value, cost in zip(computed, scores[name], seconds[name], strict=True)
    ]


def _check(option: str, name: str, known: Sequence[str], others: str) -> None:
    if name not in known:
        there = ", ".join(filter(None, [others, *known])) or f"none beside the source {TRAINING_SOURCE}"
        raise ReplayError(f"{option}: {name!r} is not in the table; there are {there}")
