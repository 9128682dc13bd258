"""Tables of evidence on made-up candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from taurank.orchestrator.ranker import RankerOptions, rank_evidence

FULL = 40


class Table:
    """Evidence rows, written as an experiment would."""

    def __init__(self, count: int) -> None:
        self.codes = [f"c{index:03d}" for index in range(count)]
        self.rows: list[dict[str, object]] = []

    def add(self, stage: str, source: str, code: str, epoch: int, schedule: int, metric: str, value: float, epochs=0.0):
        self.rows.append(
            {
                "stage": stage,
                "trial": f"{stage}/{code}",
                "architecture": code,
                "source": source,
                "epoch": epoch,
                "schedule_epochs": schedule,
                "seed": 0,
                "metric": metric,
                "value": value,
                "seconds": 2.0 * epochs,
                "epochs": epochs,
            }
        )

    def size(self, values: Sequence[float]) -> Table:
        for code, value in zip(self.codes, values, strict=True):
            for metric in ("parameters", "flops"):
                self.add("size", "size", code, 0, 0, metric, value)
        return self

    def training(self, epochs: int, values: dict[int, float] | Sequence[float], stage: str = "") -> Table:
        by_index = values if isinstance(values, dict) else dict(enumerate(values))
        for index, value in by_index.items():
            name = stage or f"training-{epochs}"
            self.add(name, "training", self.codes[index], epochs, epochs, "validation_accuracy", value, float(epochs))
        return self

    def supernet(self, values: Sequence[float], epochs: int = 10) -> Table:
        for epoch in range(1, epochs + 1):
            self.add("supernet:uniform", "supernet:uniform", "", epoch, epochs, "train_loss", 1.0, 1.0)
        for code, value in zip(self.codes, values, strict=True):
            self.add("supernet:uniform", "supernet:uniform", code, epochs, epochs, "validation_accuracy", value, 0.25)
        return self

    @property
    def frame(self) -> pd.DataFrame:
        names = ["stage", "trial", "architecture", "source", "epoch", "schedule_epochs", "seed", "metric"]
        names += ["value", "seconds", "epochs"]
        return pd.DataFrame(self.rows, columns=names).astype({"value": float, "seconds": float, "epochs": float})

    def rank(self, *, seed: int = 0, codes: Sequence[str] | None = None, options: RankerOptions | None = None):
        return rank_evidence(self.frame, bare(codes or self.codes), full_epochs=FULL, seed=seed, options=options)


def bare(codes: Sequence[str]) -> pd.DataFrame:
    """An encoding without columns."""
    return pd.DataFrame(index=list(codes))


def order(ranking) -> list[int]:
    return [int(code[1:]) for code in ranking.table["architecture"]]


def noisy(quality: np.ndarray, sd: float, seed: int) -> np.ndarray:
    return quality + np.random.default_rng(seed).normal(0, sd, len(quality))


def accuracy(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-1.5 - 0.5 * np.asarray(z)))
