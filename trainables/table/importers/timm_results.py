"""Published ImageNet accuracies of timm's models: no trainings of ours to replay, but an order and its sizes.

An architecture's text is `model@image size`: the same weights are evaluated at several sizes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from taurank.trainables.table.format import Metric, TableInfo
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.recording import Recording, only
from taurank.trainables.table.importers.values import shares
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded import RecordedTable
from taurank.trainables.table.rows import Rows

NEEDED = ("model", "top1", "img_size", "param_count")


def _recognises(recording: Recording) -> bool:
    return not _lacks(recording)


def _lacks(recording: Recording) -> list[str]:
    return [name for name in NEEDED if name not in recording.names]


def _read(recordings: Sequence[Recording], data: str) -> RecordedTable:
    recording = only(recordings, "timm")
    listed = recording.frame(["model"])
    rows = Rows([f"{model}@{size}" for model, size in zip(listed["model"], listed["img_size"], strict=True)])
    numbers = {"validation_accuracy": shares(listed["top1"])}
    if "top5" in listed.columns:
        numbers["validation_top5_accuracy"] = shares(listed["top5"])
    rows.add("training:published", numbers, seed=-1)
    millions = pd.to_numeric(listed["param_count"].astype(str).str.replace(",", ""), errors="coerce")
    rows.add("size", {"parameters": np.round(millions.to_numpy(dtype=float) * 1e6)}, seconds=0.0)
    encoding = {name: listed[name] for name in ("img_size", "crop_pct") if name in listed.columns}
    rows.add("encoding", encoding, seconds=0.0)
    return RecordedTable(
        TableInfo(
            space="timm_published",
            data=data or recording.data,
            metrics=describe_all(rows.metrics) | {"img_size": Metric("none", "pixels")},
            notes=(
                "training:published: one accuracy per model, epochs and cost unknown (both epochs are 0)",
                "recipes and pretraining differ between models: the order is of weights, not of architectures",
            ),
        ),
        rows.frame(),
    )


TIMM = Importer(
    name="timm",
    reads="timm's results CSV: model, top1, img_size, param_count",
    origin="pytorch-image-models (timm), results of pretrained weights",
    licence="Apache-2.0",
    recognises=_recognises,
    lacks=_lacks,
    read=_read,
)
