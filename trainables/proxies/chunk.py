"""Architectures of a space, scored one after another by the same proxies on the same batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn

from taurank.spaces import Architecture, SearchSpace
from taurank.trainables.proxies.batch import ProxyBatch
from taurank.trainables.proxies.config import ProxyConfig
from taurank.trainables.proxies.proxy import get_proxy
from taurank.trainables.proxies.scoring import ProxyScore, score_initialisations
from taurank.trainables.training import describe_failure

ScoreRow: TypeAlias = tuple[str, str, float, float, float, float, str]
"""Architecture, proxy, value, standard deviation over initialisations, coverage, seconds, reason of a void score."""


def score_architecture(
    space: SearchSpace, architecture: Architecture, batch: ProxyBatch, config: ProxyConfig
) -> dict[str, ProxyScore]:
    """Scores an untrained architecture. One that cannot be built is void for every proxy, with the reason."""
    input_shape = (batch.images.shape[1], batch.images.shape[2], batch.images.shape[3])
    try:
        return score_initialisations(
            lambda: space.build(architecture, input_shape=input_shape, classes=batch.classes),
            batch,
            config.names,
            seeds=config.seeds,
            thin=_thin(space, architecture, batch.classes, config),
        )
    except Exception as error:  # scoring itself raises nothing: what raised is the building
        reason = describe_failure(error, doing="built")
        return {name: ProxyScore(name, float("nan"), float("nan"), reason, 0.0, 0.0) for name in config.names}


def _thin(
    space: SearchSpace, architecture: Architecture, classes: int, config: ProxyConfig
) -> Callable[[], nn.Module] | None:
    """Makes the thin network of the architecture; None where the space has none, or no proxy needs it."""
    if not any("thin network" in get_proxy(name).needs for name in config.names):
        return None
    with torch.random.fork_rng(devices=[]):
        if space.thin(architecture, classes=classes) is None:
            return None

    def make() -> nn.Module:
        network = space.thin(architecture, classes=classes)
        assert network is not None
        return network

    return make


def score_rows(code: str, scores: Mapping[str, ProxyScore], *, seconds: float) -> list[ScoreRow]:
    """Scores of one architecture as rows whose seconds add up to what all of it took.

    What is not part of a score, such as building the network, is spread evenly over them.
    """
    spare = max(0.0, seconds - sum(score.seconds for score in scores.values())) / max(1, len(scores))
    return [
        (code, score.proxy, score.value, score.sd, score.coverage, score.seconds + spare, score.reason)
        for score in scores.values()
    ]


class ProxyScoring:
    """Scores architectures one after another; can be saved and resumed between two of them.

    Args:
        space: What builds the networks.
        codes: Of the architectures.
        batch: On the device on which to score.
        config: Proxies and initialisations.

    Raises:
        SpaceError: A code is not of the space.
        ProxyError: There is no proxy of one of the names.
    """

    epoch, trained = 0, True  # nothing is trained

    def __init__(self, space: SearchSpace, codes: Sequence[str], batch: ProxyBatch, config: ProxyConfig) -> None:
        self._space, self._batch, self._config = space, batch, config
        self._architectures = [space.parse(code) for code in codes]
        for name in config.names:
            get_proxy(name)
        self._next = 0

    @property
    def finished(self) -> bool:
        """Whether all have been scored."""
        return self._next >= len(self._architectures)

    @property
    def spent(self) -> float:
        """Epochs charged where scoring fails as a whole."""
        return 0.0

    def score_next(self) -> tuple[str, dict[str, ProxyScore]]:
        """Scores the next architecture: its code, and a score for each proxy."""
        architecture = self._architectures[self._next]
        scores = score_architecture(self._space, architecture, self._batch, self._config)
        self._next += 1
        return architecture.code, scores

    def state_dict(self) -> dict[str, Any]:
        """Number of scored architectures."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of `state_dict`."""
        self._next = int(state["next"])
