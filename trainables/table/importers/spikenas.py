"""SpikeNAS-Bench: learning curves of spiking cells, in arrays by architecture.

An architecture's text is its operations by node, as the six edges of a NAS-Bench-201 cell are grouped: `edge_ops`
[3, 1, 2, 0, 0, 4] is `3-12-004`. Operations from 10 on are written in parentheses. The text is unique because every
edge is in it; a cell that stands several times in a file was trained with several seeds, numbered in its order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.trainables.table.format import Metric, TableInfo
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.recording import Recording, only
from taurank.trainables.table.importers.values import losses, shares
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded import RecordedTable
from taurank.trainables.table.rows import Rows

_CURVES = {
    "val_acc": "validation_accuracy",
    "train_acc": "train_accuracy",
    "val_loss": "validation_loss",
    "train_loss": "train_loss",
}

_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""(source, target) of the edges in their order; node 0 is the input of a cell, node 3 its output."""
_NONE, _FIRST_LAYER = 0, 2
"""Operations: no edge, and the first of those with weights; 1 is a shortcut. So say accuracies and parameters."""


def cell_text(operations: Sequence[int]) -> str:
    """The text of a cell: the operations of its edges in their order, grouped by node: one edge, then two, ..."""
    digits = [str(operation) if operation < 10 else f"({operation})" for operation in operations]
    groups, start, width = [], 0, 1
    while start < len(digits):
        groups.append("".join(digits[start : start + width]))
        start, width = start + width, width + 1
    return "-".join(groups)


def _cell_depths(operations: NDArray[np.int64]) -> NDArray[np.float64]:
    """Layers on the longest path of each cell, (cells,); NaN for a cell without a path."""
    nodes = np.full((4, len(operations)), -np.inf)
    nodes[0] = 0.0
    for (source, target), operation in zip(_EDGES, operations.T, strict=True):
        arriving = np.where(operation == _NONE, -np.inf, nodes[source] + (operation >= _FIRST_LAYER))
        nodes[target] = np.maximum(nodes[target], arriving)
    return np.where(np.isfinite(nodes[3]), nodes[3], np.nan)


def _recognises(recording: Recording) -> bool:
    return recording.is_arrays and {"edge_ops", "val_acc"} <= recording.names


def _read(recordings: Sequence[Recording], data: str) -> RecordedTable:
    recording = only(recordings, "spikenas")
    optional = recording.names & {*_CURVES, "params", "test_acc", "elapsed_s", "n_epochs"}
    arrays = recording.arrays("edge_ops", *optional)
    operations = arrays["edge_ops"].astype(int)
    texts = pd.Series([cell_text(cell) for cell in operations.tolist()])
    cells = texts.drop_duplicates()
    of = pd.Index(cells).get_indexer(pd.Index(texts))
    seed = texts.groupby(texts).cumcount().to_numpy()
    recorded = np.isfinite(arrays["val_acc"]).sum(axis=1)
    length = arrays["n_epochs"].astype(int) if "n_epochs" in arrays else recorded
    epochs = np.arange(1, arrays["val_acc"].shape[1] + 1)

    rows = Rows(cells.tolist())
    curves = {
        metric: np.where(
            epochs <= length[:, None], shares(arrays[name]) if "acc" in name else losses(arrays[name]), np.nan
        )
        for name, metric in _CURVES.items()
        if name in arrays
    }
    seconds = arrays["elapsed_s"] / length if "elapsed_s" in arrays else np.full(len(texts), np.nan)
    rows.add(
        "training",
        curves,
        of=of,
        epoch=epochs,
        schedule_epochs=length[:, None],
        seed=seed[:, None],
        seconds=seconds[:, None],
    )
    if "test_acc" in arrays:
        test = {"test_accuracy": shares(arrays["test_acc"])}
        rows.add("training", test, of=of, epoch=length, schedule_epochs=length, seed=seed, seconds=0.0)
    first = cells.index.to_numpy()
    sizes = {"parameters": arrays["params"][first]} if "params" in arrays else {}
    if operations.shape[1] == len(_EDGES):
        sizes["depth"] = _cell_depths(operations[first])
    if sizes:
        rows.add("size", sizes, seconds=0.0)
    edges = {f"edge_{edge}": operations[first, edge] for edge in range(operations.shape[1])}
    rows.add("encoding", edges, seconds=0.0)

    metrics = describe_all(rows.metrics) | {edge: Metric(category=True) for edge in edges}
    notes = [
        "architecture: operations of the edges, grouped as in a NAS-Bench-201 cell (3-12-004)",
        *(["depth: layers on the longest path of a cell"] if "depth" in sizes else []),
        "seconds of a training are spread evenly over its epochs",
        "one seed; trainings are noisy" if seed.max() == 0 else "seeds are numbered in the order of the file",
    ]
    lengths, counts = np.unique(length, return_counts=True)
    if len(lengths) > 1:
        found = ", ".join(f"{count:,} of {epochs}" for epochs, count in zip(lengths, counts, strict=True))
        notes.append(f"trainings are of different length: {found} epochs; do not compare across them")
    return RecordedTable(
        TableInfo(
            space="spikenas",
            data=data or recording.data,
            metrics=metrics,
            notes=tuple(notes),
        ),
        rows.frame(),
    )


SPIKENAS = Importer(
    name="spikenas",
    reads="npz of learning curves with edge_ops (n, edges) and val_acc (n, epochs), as SpikeNAS-Bench has them",
    origin="SpikeNAS-Bench",
    licence="none given: measure with it, do not pass it on",
    recognises=_recognises,
    read=_read,
)
