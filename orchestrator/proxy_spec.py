"""What an experiment says of the scores of untrained candidates."""

from __future__ import annotations

from pydantic import Field, field_validator

from orchestrator.spec import Seed, Spec
from trainables.proxies import batch_size, get_proxy
from trainables.proxies.chunk import ProxyConfig, score_cost


class ProxySpec(Spec):
    """Scores of the untrained candidates.

    ``images`` of the training part, drawn with ``seed``, are the batch that all are scored on. A score is the mean over
    ``initialisations``, with the weights of seeds ``seed``, ``seed + 1`` and so on. Without ``images`` there are
    as many as ``batch_size`` says.
    """

    names: list[str]
    images: int | None = Field(default=None, ge=2)
    initialisations: int = Field(default=1, ge=1)
    seed: Seed = 0

    @field_validator("names")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        if not names:
            raise ValueError("names no proxy; write `proxies: null` for none, or leave proxies out for the default")
        for place, name in enumerate(names):
            get_proxy(name)
            if name in names[:place]:
                raise ValueError(f"{name} is listed twice; a proxy can be there once")
        return names

    @property
    def batch_images(self) -> int:
        """Images in the batch, those of a large image where none are named."""
        return self.images or batch_size(None)

    @property
    def config(self) -> ProxyConfig:
        """What a trial is told."""
        return ProxyConfig(tuple(self.names), tuple(range(self.seed, self.seed + self.initialisations)))

    def epochs(self, train_images: int) -> float:
        """Epoch-equivalents for one candidate; see ``score_cost``."""
        counts = {"images": self.batch_images, "initialisations": self.initialisations, "train_images": train_images}
        return sum(score_cost(name, **counts) for name in self.names)
