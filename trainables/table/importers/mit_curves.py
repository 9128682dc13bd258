"""Learning curves with configurations: a CSV with a row per network and an npz with its `curve`, in the same order.

MetaQNN networks come with the text of their layers, `[C(64,1,1), P(2,2), ..., SM(10)]`; it is the architecture's text,
and its layers are counted for the encoding. Others are named by their configuration, `num_params=282804,lr=0.001`.

Source: Baker, Gupta, Raskar and Naik, Accelerating Neural Architecture Search using Performance Prediction (2017).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from taurank.trainables.table.format import TableError, TableInfo
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.recording import Recording, list_and_curves
from taurank.trainables.table.importers.values import shares
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded import RecordedTable
from taurank.trainables.table.rows import Rows

_LAYER = re.compile(r"([A-Z]+)\(([\d,\s]*)\)")
_DATA = "training_dataset"
_SIZES = {"num_params": "parameters", "depth": "depth"}


def _is_list(recording: Recording) -> bool:
    return not recording.is_arrays and "num_params" in recording.names and "scheme_json" not in recording.names


def _is_curves(recording: Recording) -> bool:
    return recording.is_arrays and recording.names == {"curve", "epoch"}


def _read(recordings: Sequence[Recording], data: str) -> RecordedTable:
    listing, curves = list_and_curves(recordings, _is_list, _is_curves, "mit_curves")
    listed, arrays = listing.frame(), curves.arrays("curve", "epoch")
    curve, epochs = arrays["curve"], arrays["epoch"].astype(int)
    if len(listed) != len(curve):
        raise TableError(
            f"mit_curves: {listing.path} has {len(listed)} rows, {curves.path} {len(curve)}; give a matching pair"
        )
    # Some count the first epoch as 0; its accuracy is far above chance, so it is that after the epoch.
    from_zero = int(epochs.min()) == 0
    epochs = epochs + from_zero
    numbers = listed.select_dtypes("number").astype(float)
    rows = Rows(_texts(listed, numbers))
    last = int(epochs.max())
    rows.add("training", {"validation_accuracy": shares(curve)}, epoch=epochs, schedule_epochs=last)
    sizes = {metric: numbers[name] for name, metric in _SIZES.items() if name in numbers.columns}
    rows.add("size", sizes, seconds=0.0)
    encoding = {str(name): numbers[name].to_numpy() for name in numbers.columns if name != "num_params"}
    if "net" in listed.columns:
        encoding |= _layers(listed["net"])
    if encoding:
        rows.add("encoding", encoding, seconds=0.0)
    notes = ["what an epoch cost is unknown; one training each, no seed"]
    if "lr" in encoding:
        notes.append("networks differ in their learning rate (encoding lr): it is part of what is compared")
    if from_zero:
        notes.append("the file counts epochs from 0, here they count from 1")
    named = str(listed[_DATA].iloc[0]) if _DATA in listed.columns else curves.data
    return RecordedTable(
        TableInfo(
            space="metaqnn" if "net" in listed.columns else "deep_resnets",
            data=data or named,
            metrics=describe_all(rows.metrics),
            notes=tuple(notes),
        ),
        rows.frame(),
    )


def _texts(listed: pd.DataFrame, numbers: pd.DataFrame) -> list[str]:
    """A text for each row: its network where that is unique, else its configuration, numbered where that repeats."""
    settings = [
        ",".join(f"{name}={value:.10g}" for name, value in row.items()) for row in numbers.to_dict(orient="records")
    ]
    if "net" in listed.columns:
        nets = [str(net).replace(" ", "").strip("[]") for net in listed["net"]]
        repeated = {net for net, count in Counter(nets).items() if count > 1}
        texts = [f"{net};{row}" if net in repeated else net for net, row in zip(nets, settings, strict=True)]
    else:
        texts = settings
    seen: Counter[str] = Counter()
    unique = []
    for text in texts:
        seen[text] += 1
        unique.append(text if seen[text] == 1 else f"{text}#{seen[text]}")
    return unique


def _layers(nets: pd.Series) -> dict[str, np.ndarray]:
    """Counts of each kind of layer; kernel sizes, strides and widths of the convolutions, widths of dense layers."""
    parsed = [
        [(kind, [int(n) for n in re.findall(r"\d+", text)]) for kind, text in _LAYER.findall(net)] for net in nets
    ]
    kinds = sorted({kind for net in parsed for kind, _ in net})
    columns = {f"count_{kind}": [sum(each == kind for each, _ in net) for net in parsed] for kind in kinds}
    widths = [[size[0] for kind, size in net if kind == "C"] or [0] for net in parsed]
    kernels = [[size[1] for kind, size in net if kind == "C" and len(size) > 1] or [0] for net in parsed]
    dense = [[size[0] for kind, size in net if kind == "FC"] or [0] for net in parsed]
    pools = [[size[1] for kind, size in net if kind == "P" and len(size) > 1] or [1] for net in parsed]
    columns |= {
        "width_sum": [sum(width) for width in widths],
        "width_max": [max(width) for width in widths],
        "width_first": [width[0] for width in widths],
        "width_last": [width[-1] for width in widths],
        "kernel_mean": [float(np.mean(kernel)) for kernel in kernels],
        "kernel_max": [max(kernel) for kernel in kernels],
        "dense_sum": [sum(width) for width in dense],
        "pool_stride": [int(np.prod(stride)) for stride in pools],
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}


MIT_CURVES = Importer(
    name="mit_curves",
    reads="CSV of configurations with num_params, and npz with curve (n, epochs) and epoch, given together",
    origin="Baker et al., Accelerating Neural Architecture Search using Performance Prediction (2017)",
    licence="MIT",
    recognises=lambda recording: _is_list(recording) or _is_curves(recording),
    read=_read,
)
