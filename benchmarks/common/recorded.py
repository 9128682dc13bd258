"""The recorded trainings that benchmarks replay, imported from $TAURANK_DATA; the repository contains none of them."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

from taurank.trainables.table import RecordedTable
from taurank.trainables.table.importers import import_table

NASBENCH201, SPIKENAS, NAAP440 = "nasbench201", "spikenas", "naap440"
METAQNN, DEEP_RESNETS, A4NN = "metaqnn", "deep_resnets", "a4nn"
NASBENCH201_C100, TRANSNAS = "nasbench201_cifar100", "transnas"

_FILES = {
    NASBENCH201: ("nb201/nb201_cifar10.parquet", "nb201/nb201_cifar10_proxies.parquet"),
    SPIKENAS: ("spikenas/spikenas_cifar10_curves_half.npz",),
    NAAP440: ("naap440/naap440_archs.csv.gz", "naap440/naap440_curves.npz"),
    METAQNN: ("mit_curves/metaqnn_cifar10_configs.csv.gz", "mit_curves/metaqnn_cifar10_curves.npz"),
    DEEP_RESNETS: ("mit_curves/deep_resnets_cifar10_configs.csv.gz", "mit_curves/deep_resnets_cifar10_curves.npz"),
    A4NN: ("a4nn/a4nn_epochs.parquet",),
    NASBENCH201_C100: ("nb201/nb201_cifar100.parquet",),
    TRANSNAS: ("transnas/transnas_micro_3tasks.parquet",),
}


def data_folder(folder: Path | None = None) -> Path:
    """Folder of the recorded trainings and images: ``folder``, or $TAURANK_DATA."""
    return folder or Path(os.environ.get("TAURANK_DATA", ""))


@cache
def read_recorded(name: str, folder: Path | None = None, data: str = "") -> RecordedTable:
    """One of the tables above, from ``folder`` or $TAURANK_DATA; ``data`` selects one of several data sets."""
    paths = [data_folder(folder) / file for file in _FILES[name]]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        sys.exit(f"recorded trainings are missing: {', '.join(missing)}; set TAURANK_DATA or give --data-dir")
    return import_table(paths, data=data)
