"""NAAP-440: small CNNs on CIFAR-10 as a CSV of their layers and an npz of their curves, given together.

An architecture's text is its layers, each by the initials of its settings: `k3w12s2r0-k1w16s1r0` has a 3 x 3 kernel,
width 12, stride 2 and no skip connection in the first layer.

Source: Hakim, NAAP-440 Dataset and Baseline for Neural Architecture Accuracy Prediction (2022).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from taurank.trainables.table.format import Metric, TableError, TableInfo
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.recording import Recording, list_and_curves
from taurank.trainables.table.importers.values import losses, shares
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded import RecordedTable
from taurank.trainables.table.rows import Rows

_SIZES = {"NumParams": "parameters", "NumMACs": "flops"}
_NO_FEATURE = ("ModelId", "IsTest", "MaxAccuracy", "scheme_json", *_SIZES)


def _is_list(recording: Recording) -> bool:
    return not recording.is_arrays and {"ModelId", "scheme_json"} <= recording.names


def _is_curves(recording: Recording) -> bool:
    return recording.is_arrays and {"model_id", "test_acc"} <= recording.names


def _read(recordings: Sequence[Recording], data: str) -> RecordedTable:
    listing, curves = list_and_curves(recordings, _is_list, _is_curves, "naap440")
    listed = listing.frame().set_index("ModelId")
    layers = [json.loads(text) for text in listed["scheme_json"]]
    optional = curves.names & {"train_loss_mean", "elapsed_s"}
    arrays = curves.arrays("model_id", "test_acc", *optional)
    of = listed.index.get_indexer(pd.Index(arrays["model_id"]))
    if (of < 0).any():
        raise TableError(f"naap440: {curves.path} has models that {listing.path} does not; give a matching pair")

    rows = Rows(["-".join(_layer_text(layer) for layer in scheme) for scheme in layers])
    # The curves may stand in another order than the list; the list is the order of the table.
    arrays, of = {name: array[np.argsort(of)] for name, array in arrays.items()}, np.sort(of)
    count = arrays["test_acc"].shape[1]
    numbers = {"validation_accuracy": shares(arrays["test_acc"])}
    if "train_loss_mean" in arrays:
        numbers["train_loss"] = losses(arrays["train_loss_mean"])
    elapsed = arrays.get("elapsed_s", np.full((len(of), count), np.nan))
    seconds = np.diff(elapsed, axis=1, prepend=0.0)
    rows.add("training", numbers, of=of, epoch=np.arange(1, count + 1), schedule_epochs=count, seconds=seconds)
    if "MaxAccuracy" in listed.columns:
        best = {"test_accuracy": shares(listed["MaxAccuracy"])}
        rows.add("training", best, epoch=count, schedule_epochs=count, seconds=0.0)
    sizes = {metric: listed[name] for name, metric in _SIZES.items() if name in listed.columns}
    rows.add("size", sizes | {"depth": [len(scheme) + 1 for scheme in layers]}, seconds=0.0)
    features = {str(name): listed[name].tolist() for name in listed.columns if name not in _NO_FEATURE}
    rows.add("encoding", features | _encoded(layers), seconds=0.0)
    return RecordedTable(
        TableInfo(
            space="naap440",
            data=data or "cifar10",
            metrics=describe_all(rows.metrics) | {"flops": Metric("none", "multiply-adds")},
            notes=(
                "validation_accuracy: accuracy on the test images after each epoch, the only held-out images there are",
                "test_accuracy: the benchmark's own truth, MaxAccuracy: the best of those epochs, put at the last",
                "so truth and evidence share their images: a late epoch is flattered by it",
                "the learning rate is cyclic with a period of 3 epochs: compare epochs of equal phase",
                "flops: multiply-adds (NumMACs); depth: the convolutions and the classifier",
                "encoding: a layer that an architecture does not have is all 0",
            ),
        ),
        rows.frame(),
    )


def _layer_text(layer: dict[str, float]) -> str:
    return "".join(f"{name[0]}{int(value)}" for name, value in layer.items())


def _encoded(layers: Sequence[Sequence[dict[str, float]]]) -> dict[str, list[float]]:
    """Settings of every layer by name; 0 where an architecture has no such layer."""
    names = list(dict.fromkeys(name for scheme in layers for layer in scheme for name in layer))
    return {
        f"layer_{depth + 1}_{name}": [
            float(scheme[depth].get(name, 0)) if depth < len(scheme) else 0.0 for scheme in layers
        ]
        for depth in range(max(map(len, layers)))
        for name in names
    }


NAAP440 = Importer(
    name="naap440",
    reads="NAAP-440: CSV with ModelId and scheme_json, and npz with model_id and test_acc, given together",
    origin="NAAP-440 (Hakim, 2022)",
    licence="MIT",
    recognises=lambda recording: _is_list(recording) or _is_curves(recording),
    read=_read,
)
