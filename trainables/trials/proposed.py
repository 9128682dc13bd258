"""The Ray Tune trial of an architecture that is proposed during the run."""

from __future__ import annotations

from typing import Any

from taurank.trainables.data import ImageData
from taurank.trainables.trials.architecture import ArchitectureTrial


class ProposedTrial(ArchitectureTrial):
    """One architecture that a search has proposed: what the trial does comes with it, as ``spec`` of its config."""

    def setup(self, config: dict[str, Any], data: ImageData, stage: str = "") -> None:  # type: ignore[override]
        """Keeps the images, and starts the first trial."""
        super().setup(config, {config["trial"]: config["spec"]}, data, stage)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes up another trial in the same worker."""
        self._specs = {new_config["trial"]: new_config["spec"]}
        return super().reset_config(new_config)
