"""Scores of networks by several proxies, with what did not apply and why, the spread over initialisations, the time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from taurank.trainables.proxies.batch import ProxyBatch
from taurank.trainables.proxies.probe import Part, Probe, VoidScoreError
from taurank.trainables.proxies.proxy import get_proxy
from taurank.trainables.training import describe_failure


@dataclass(frozen=True)
class ProxyScore:
    """Score of one network by one proxy.

    Attributes:
        proxy: Its name.
        value: The score, the mean over initialisations; NaN if it is void.
        sd: Standard deviation over initialisations; NaN for a single one.
        reason: Why the score is void; empty if it is not.
        coverage: Share of what the proxy is about that it could read, in [0, 1]; 0 if it is void.
        seconds: What it took; time that several proxies share is split evenly among them.
    """

    proxy: str
    value: float
    sd: float
    reason: str
    coverage: float
    seconds: float


def score_network(
    network: nn.Module,
    batch: ProxyBatch,
    proxies: Sequence[str],
    *,
    seed: int = 0,
    thin: Callable[[], nn.Module] | None = None,
) -> dict[str, ProxyScore]:
    """Scores one untrained network, on the device of the batch; the network itself is left as it is.

    A score depends on network, batch and seed alone: not on the other proxies, nor on what was scored before.

    Args:
        network: Images (n, channels, height, width) to logits (n, classes).
        batch: What it is scored on.
        proxies: Names, from `list_proxies`.
        seed: Of random inputs and of proxies that draw weights of their own.
        thin: Makes the network of one channel and one cell that `linear_regions` evaluates.

    Raises:
        ProxyError: A proxy of that name does not exist.

    Example:
        >>> from spaces import get_space
        >>> space = get_space("nasbench201", width=4, cells_per_stage=1)
        >>> cell = space.parse("3-s3-ns3")
        >>> batch = ProxyBatch(torch.randn(8, 3, 16, 16), torch.arange(8), classes=10)
        >>> scores = score_network(space.build(cell, input_shape=(3, 16, 16), classes=10), batch, ["params"])
        >>> scores["params"].value
        12770.0
    """
    chosen = [get_proxy(name) for name in dict.fromkeys(proxies)]
    parts: set[Part] = set().union(*(proxy.parts for proxy in chosen))
    began = time.perf_counter()
    try:
        probe = Probe(network, batch, seed=seed, parts=parts, thin=thin)
    except Exception as error:
        reason = describe_failure(error, doing="copied")
        return {proxy.name: _void(proxy.name, reason, 0.0) for proxy in chosen}
    shared_reason, sharing = "", [proxy for proxy in chosen if proxy.parts]
    if sharing:
        try:
            probe.shared  # noqa: B018  (runs it, so that its time is measured apart)
        except Exception as error:
            shared_reason = _reason(error)
    _wait(batch)
    share = (time.perf_counter() - began) / max(1, len(sharing))
    scores = {}
    for proxy in chosen:
        began = time.perf_counter()
        reason, found = shared_reason if proxy.parts else "", None
        if not reason:
            try:
                with probe.seeded():
                    found = proxy.score(probe)
            except Exception as error:
                reason = _reason(error)
        if found is not None and not math.isfinite(found.value):
            reason = f"the score is not finite ({found.value})"
        _wait(batch)
        seconds = time.perf_counter() - began + (share if proxy.parts else 0.0)
        if reason or found is None:
            scores[proxy.name] = _void(proxy.name, reason, seconds)
        else:
            scores[proxy.name] = ProxyScore(proxy.name, found.value, math.nan, "", found.coverage, seconds)
    return scores


def score_initialisations(
    build: Callable[[], nn.Module],
    batch: ProxyBatch,
    proxies: Sequence[str],
    *,
    seeds: Sequence[int] = (0,),
    thin: Callable[[], nn.Module] | None = None,
) -> dict[str, ProxyScore]:
    """Scores a network at several initialisations: mean, and spread between them.

    Args:
        build: Makes the network with weights from torch's global random numbers, which are seeded for it.
        batch: As for `score_network`.
        proxies: As for `score_network`.
        seeds: One for each initialisation. A single one leaves the spread unknown.
        thin: As for `score_network`.
    """
    devices = [batch.images.device] if batch.images.device.type == "cuda" else []
    by_seed = []
    for seed in seeds:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            network = build()
        by_seed.append(score_network(network, batch, proxies, seed=seed, thin=thin))
    return {name: _merged([scores[name] for scores in by_seed]) for name in by_seed[0]}


def _merged(scores: Sequence[ProxyScore]) -> ProxyScore:
    """Mean over the initialisations that have a score; void only if none has."""
    seconds = sum(score.seconds for score in scores)
    valid = [score for score in scores if not score.reason]
    if not valid:
        return _void(scores[0].proxy, scores[0].reason, seconds)
    values = np.array([score.value for score in valid])
    spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    coverage = float(np.mean([score.coverage for score in scores]))
    return ProxyScore(scores[0].proxy, float(values.mean()), spread, "", coverage, seconds)


def _void(name: str, reason: str, seconds: float) -> ProxyScore:
    return ProxyScore(name, math.nan, math.nan, reason, 0.0, seconds)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, VoidScoreError) else describe_failure(error, doing="scored")


def _wait(batch: ProxyBatch) -> None:
    if batch.images.device.type == "cuda":
        torch.cuda.synchronize(batch.images.device)
