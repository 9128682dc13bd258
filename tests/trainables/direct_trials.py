"""Trials without a cluster: Ray Tune's class is made directly and stepped until it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taurank.trainables.training.recipe import Recipe
from taurank.trainables.trials.spec import TrialSpec


def spec_of(folder: Path, **changes: Any) -> TrialSpec:
    """A training of 2,1 of MNIST blocks over three epochs, with its checkpoint in a folder."""
    settings: dict[str, Any] = {
        "trial": "training-3/2,1/seed 5",
        "label": "2,1",
        "space": "mnist_blocks",
        "space_options": {},
        "recipe": Recipe(epochs=3),
        "seed": 5,
        "checkpoint": str(folder / "trial.pt"),
        "architectures": ("2,1",),
    }
    return TrialSpec(**(settings | changes))


def make_trial(kind: type, spec: TrialSpec, data: Any, *, stage: str, **given: Any) -> Any:
    """Makes a trial of a kind as Tune does."""

    class Direct(kind):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config, specs={spec.trial: spec}, data=data, stage=stage, **given)

    return Direct({"trial": spec.trial})


def results(trial: Any, most: int = 100) -> list[dict[str, Any]]:
    """Results of a trial until it is done."""
    rows: list[dict[str, Any]] = []
    while len(rows) < most and not (rows and rows[-1]["done"]):
        rows.append(trial.train())
    return rows
