"""Untrained networks scored by workers of a Ray cluster, a candidate a call."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import ray
from ray.exceptions import RayError

from taurank.orchestrator.cluster import Cluster, ClusterError, Slot
from taurank.spaces import SearchSpace, get_space
from taurank.trainables.proxies import ProxyBatch, ProxyConfig, ScoreRow, score_architecture, score_rows
from taurank.trainables.training import gpu_is_lost

AHEAD = 2
"""Calls that a worker is given at once, so that it never waits for the next one."""


@dataclass
class _Scorer:
    """Scores architectures of one space on one batch; lives in a worker, with ``threads`` cores."""

    space: str
    options: dict[str, object]
    batch: ProxyBatch
    threads: int
    _space: SearchSpace = field(init=False)

    def __post_init__(self) -> None:
        import torch

        torch.set_num_threads(self.threads)
        has_gpu = bool(ray.get_gpu_ids()) and torch.cuda.is_available()
        self.batch = self.batch.to("cuda" if has_gpu else "cpu")
        self._space = get_space(self.space, **self.options)

    def score(self, code: str, config: ProxyConfig) -> list[ScoreRow]:
        began = time.perf_counter()
        scores = score_architecture(self._space, self._space.parse(code), self.batch, config)
        if any(score.reason for score in scores.values()) and gpu_is_lost():
            raise RuntimeError("the GPU answers no more")
        return score_rows(code, scores, seconds=time.perf_counter() - began)


def worker_slot(cluster: Cluster, workers: int | None) -> tuple[Slot, int]:
    """What each worker takes, and how many there are: by default one for each GPU, or else for each core.

    Raises:
        ClusterError: more workers than cores.
    """
    cores = int(cluster.cpus)
    count = workers or max(1, int(cluster.gpus) or cores)
    if count > cores:
        raise ClusterError(f"--workers: {count} were asked for; there are {cores} cores, and each worker needs one")
    gpus = min(1.0, int(1e4 * cluster.gpus / count) / 1e4)  # rounded down, or the shares would exceed the whole
    return Slot(cpus=float(cores // count), gpus=gpus), count


def score_candidates(
    space: SearchSpace, batch: ProxyBatch, wanted: Sequence[tuple[str, ProxyConfig]], *, slot: Slot, workers: int
) -> Iterator[list[ScoreRow]]:
    """Scores codes, each by its own proxies; gives the rows of one as soon as they are there, in any order.

    Raises:
        ClusterError: a worker was lost.
    """
    reference = ray.put(batch)
    actor = ray.remote(_Scorer).options(num_cpus=slot.cpus, num_gpus=slot.gpus)
    scorers = [
        actor.remote(space.name, dict(space.options), reference, int(slot.cpus))
        for _ in range(min(workers, len(wanted)))
    ]
    left = iter(wanted)
    calls: dict[ray.ObjectRef, ray.actor.ActorHandle] = {}

    def send(scorer: ray.actor.ActorHandle) -> None:
        following = next(left, None)
        if following is not None:
            calls[scorer.score.remote(*following)] = scorer

    for scorer in scorers * AHEAD:
        send(scorer)
    while calls:
        (done, *_), _ = ray.wait(list(calls))
        scorer = calls.pop(done)
        try:
            rows: list[ScoreRow] = ray.get(done)
        except RayError as error:
            what = str(error).strip().splitlines()[-1].strip()[:300]
            raise ClusterError(f"a worker was lost: {what}; run the same command again to compute the rest") from None
        send(scorer)
        yield rows
