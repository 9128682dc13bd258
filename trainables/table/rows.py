"""Collects numbers by arrays and turns them into the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from taurank.trainables.table.format import COLUMNS, TableError

_Block = tuple[NDArray[np.int32], ...]


class Rows:
    """Rows of given architectures, added a source at a time.

    Args:
        architectures: codes, each once; they are referred to by their position.

    Raises:
        TableError: a code occurs twice.
    """

    def __init__(self, architectures: Sequence[str]) -> None:
        codes = pd.Index(list(architectures))
        if codes.has_duplicates:
            raise TableError(f"architecture {codes[codes.duplicated()][0]!r} occurs twice; each is described once")
        self._architectures = codes
        self._sources: dict[str, int] = {}
        self._metrics: dict[str, int] = {}
        self._blocks: list[_Block] = []
        self._numbers: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    @property
    def metrics(self) -> list[str]:
        """Metrics added so far, in order of first appearance."""
        return list(self._metrics)

    def add(
        self,
        source: str,
        numbers: Mapping[str, ArrayLike],
        *,
        of: ArrayLike | None = None,
        epoch: ArrayLike = 0,
        schedule_epochs: ArrayLike = 0,
        seed: ArrayLike = 0,
        seconds: ArrayLike = np.nan,
    ) -> None:
        """Adds the finite numbers of some metrics; they share one booking of the seconds.

        Args:
            source: of all of them.
            numbers: by metric, (n,) or (n, epochs); what is not finite is missing and gets no row.
            of: positions of the n architectures, (n,); by default all of them, in order.
            epoch: and the others: broadcast to the shape of the numbers.
            schedule_epochs: see `epoch`.
            seed: see `epoch`.
            seconds: of each epoch; assigned to the first metric that has a number there.
        """
        of = np.arange(len(self._architectures)) if of is None else np.asarray(of)
        booked: NDArray[np.bool_] | None = None
        for metric, given in numbers.items():
            values = np.asarray(given, dtype=np.float64)
            booked = np.zeros(values.shape, dtype=bool) if booked is None else booked
            present = np.isfinite(values)
            whole = (of if values.ndim == 1 else of[:, None], epoch, schedule_epochs, seed)
            architecture, at, schedule, seeds = (
                np.broadcast_to(np.asarray(array), values.shape)[present].astype(np.int32) for array in whole
            )
            kind = np.full(len(at), self._sources.setdefault(source, len(self._sources)), dtype=np.int32)
            name = np.full(len(at), self._metrics.setdefault(metric, len(self._metrics)), dtype=np.int32)
            cost = np.where(booked, 0.0, np.broadcast_to(np.asarray(seconds, dtype=np.float64), values.shape))
            self._blocks.append((architecture, kind, at, schedule, seeds, name))
            self._numbers.append((values[present], cost[present]))
            booked |= present

    def frame(self) -> pd.DataFrame:
        """The rows in the columns of the format.

        Raises:
            TableError: nothing was added.
        """
        if not self._blocks:
            raise TableError("there are no numbers; is it the right file?")
        architecture, source, epoch, schedule, seed, metric = (
            np.concatenate(arrays) for arrays in zip(*self._blocks, strict=True)
        )
        value, seconds = (np.concatenate(arrays) for arrays in zip(*self._numbers, strict=True))
        columns = (
            pd.Categorical.from_codes(architecture, categories=self._architectures),
            pd.Categorical.from_codes(source, categories=pd.Index(list(self._sources))),
            epoch,
            schedule,
            seed,
            pd.Categorical.from_codes(metric, categories=pd.Index(list(self._metrics))),
            value,
            seconds,
        )
        return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
