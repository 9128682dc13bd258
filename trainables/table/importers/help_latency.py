"""HELP: latencies of FBNet and once-for-all networks on many devices; nothing was trained.

An FBNet's text is the operations of its layers, `7,8,1,...`; a once-for-all network's is
`ks=7,5,...;e=6,...;d=2,...;r=204` (kernel sizes, expansion ratios, depths, resolution).

Source: Lee, Lee, Chong and Hwang, HELP: Hardware-Adaptive Efficient Latency Prediction for NAS (NeurIPS 2021).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from taurank.trainables.table.format import Metric, TableError, TableInfo
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.recording import Recording, only
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded import RecordedTable
from taurank.trainables.table.rows import Rows

_LATENCY = "_ms"


def _recognises(recording: Recording) -> bool:
    measured = any(name.endswith(_LATENCY) for name in recording.names)
    return measured and len(recording.names & {"op_idx", "arch"}) == 1 and "arch_str" not in recording.names


def _read(recordings: Sequence[Recording], data: str) -> RecordedTable:
    recording = only(recordings, "help_latency")
    frame = recording.frame()
    categories = "op_idx" in frame.columns
    if categories:
        texts = [str(text).replace(" ", "") for text in frame["op_idx"]]
        encoded = [[int(number) for number in text.split(",")] for text in texts]
        names = [f"layer_{layer}" for layer in range(1, len(encoded[0]) + 1)]
    else:
        networks = [json.loads(str(text)) for text in frame["arch"]]
        texts = [";".join(f"{name}={_listed(value)}" for name, value in network.items()) for network in networks]
        encoded = [[number for value in network.values() for number in np.atleast_1d(value)] for network in networks]
        names = [
            f"{name}_{index + 1}" if isinstance(value, list) else name
            for name, value in networks[0].items()
            for index in range(np.size(value))
        ]
    if len({len(row) for row in encoded}) > 1:
        raise TableError(f"{recording.path}: the networks are described by different numbers of entries")
    rows = Rows(texts)
    for name in frame.columns:
        if str(name).endswith(_LATENCY):
            latency = frame[name].to_numpy(dtype=np.float64)
            device = str(name).removesuffix(_LATENCY)
            rows.add(f"hardware:{device}", {"latency": np.where(latency > 0, latency, np.nan)}, seed=-1)
    columns = np.asarray(encoded, dtype=np.float64)
    rows.add("encoding", {name: columns[:, index] for index, name in enumerate(names)}, seconds=0.0)
    return RecordedTable(
        TableInfo(
            space="help_fbnet" if categories else "help_once_for_all",
            data=data,
            metrics=describe_all(rows.metrics) | {name: Metric(category=categories) for name in names},
            notes=(
                "latencies only: nothing was trained, so there is no order of accuracy in this table",
                "a device's name ends in its batch size where the file gives one (titan_rtx_32)",
            ),
        ),
        rows.frame(),
    )


def _listed(value: int | list[int]) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


HELP_LATENCY = Importer(
    name="help_latency",
    reads="HELP parquet: op_idx or arch, and latencies in columns DEVICE_ms; no trainings",
    origin="HELP (Lee et al., NeurIPS 2021)",
    licence="MIT",
    recognises=_recognises,
    read=_read,
)
