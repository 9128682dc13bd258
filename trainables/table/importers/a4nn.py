"""A4NN: NSGA-Net networks on X-ray diffraction images, trained in full or stopped early by PENGUIN.

An architecture's text is its genome, one group of bits per phase: `1011-0000101-...`. A file holds several data sets
(beam intensities 1e14, 1e15, 1e16): a table is made of one. Networks that were trained in full are the source
`training`; those that PENGUIN stopped, other networks, are `training:early_stopped`. A genome that occurs several times
has been trained with several seeds, numbered in the order of the file.

Source: Channing et al., Composable Workflow for Accelerating Neural Architecture Search Using In Situ Analytics for
Protein Classification (ICPP 2023).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from taurank.trainables.table.format import TableError, TableInfo
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.recording import Recording
from taurank.trainables.table.importers.values import shares
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded import RecordedTable
from taurank.trainables.table.rows import Rows

_NETWORK = ["early_stopped", "arch"]


def genome_text(genome: str) -> str:
    """The bits of a genome, its phases separated by `-`."""
    return "-".join("".join(str(bit) for bit in phase) for phase in json.loads(genome))


def _recognises(recording: Recording) -> bool:
    return {"genome", "val_accs", "epoch", "early_stopped", "arch"} <= recording.names


def _read(recordings: Sequence[Recording], data: str) -> RecordedTable:
    frame = pd.concat([recording.frame() for recording in recordings], ignore_index=True)
    frame, beam = _of_beam(frame, data)
    texts = {str(genome): genome_text(str(genome)) for genome in frame["genome"].unique()}
    # In full first: their order is the order of the table.
    frame = frame.assign(architecture=frame["genome"].map(texts)).sort_values([*_NETWORK, "epoch"], kind="stable")
    codes = pd.Index(frame["architecture"].unique())
    networks = frame.drop_duplicates(_NETWORK)
    seeds = networks.groupby(["early_stopped", "architecture"], sort=False).cumcount().to_numpy()
    frame["seed"] = pd.MultiIndex.from_frame(frame[_NETWORK]).map(dict(zip(_keys(networks), seeds, strict=True)))

    rows, length = Rows([str(code) for code in codes]), int(frame["epoch"].max()) + 1
    for stopped, part in frame.groupby("early_stopped"):
        numbers = {"validation_accuracy": shares(part["val_accs"])}
        if "train_accs" in part.columns:
            numbers["train_accuracy"] = shares(part["train_accs"])
        rows.add(
            "training:early_stopped" if stopped else "training",
            numbers,
            of=codes.get_indexer(pd.Index(part["architecture"])),
            epoch=part["epoch"].to_numpy() + 1,
            schedule_epochs=length,
            seed=part["seed"].to_numpy(),
            seconds=part["epoch_times"].to_numpy(dtype=float) if "epoch_times" in part.columns else np.nan,
        )
    first = networks.drop_duplicates("architecture")
    of = codes.get_indexer(pd.Index(first["architecture"]))
    if "flops" in first.columns:
        rows.add("size", {"flops": np.round(first["flops"].to_numpy(dtype=float) * 1e6)}, of=of, seconds=0.0)
    bits = np.array([[int(bit) for bit in code.replace("-", "")] for code in codes])
    rows.add("encoding", {f"bit_{bit}": bits[:, bit] for bit in range(bits.shape[1])}, seconds=0.0)
    return RecordedTable(
        TableInfo(
            space="nsga_net",
            data=f"xray-{beam}",
            metrics=describe_all(rows.metrics),
            notes=(
                f"beam intensity {beam}; epochs are counted from 1",
                "training: networks trained in full, their seconds are unknown",
                "training:early_stopped: networks that PENGUIN stopped; where it stopped, nothing more is known",
                "the same genome trained again is numbered as a seed; its predictions are left out",
            ),
        ),
        rows.frame(),
    )


def _of_beam(frame: pd.DataFrame, data: str) -> tuple[pd.DataFrame, str]:
    beams = [str(beam) for beam in frame["beam"].unique()] if "beam" in frame.columns else []
    if len(beams) <= 1:
        return frame, beams[0] if beams else "unknown"
    chosen = [beam for beam in beams if data in (beam, f"xray-{beam}")]
    if not chosen:
        known = ", ".join(f"xray-{beam}" for beam in beams)
        raise TableError(f"the file holds several data sets ({known}); name one with --data")
    return frame[frame["beam"] == chosen[0]], chosen[0]


def _keys(networks: pd.DataFrame) -> list[tuple[bool, int]]:
    return list(networks[_NETWORK].itertuples(index=False, name=None))


A4NN = Importer(
    name="a4nn",
    reads="A4NN parquet: genome, val_accs, epoch, early_stopped; one beam intensity at a time (--data xray-1e14)",
    origin="A4NN (Channing et al., ICPP 2023)",
    licence="Apache-2.0",
    recognises=_recognises,
    read=_read,
)
