"""NAS-Bench-201 as parquet files: trainings, zero-cost proxies, their times, latencies; one data set at a time.

Columns carry a prefix for the data set (`c10_`, `c100_`, `in16_`, or none). Which column is what is in `_TRAINING`,
`_HARDWARE` and `PROXIES`; files of one benchmark are given together and joined by `arch_index` or `arch_str`.

Source: Dong and Yang, NAS-Bench-201 (ICLR 2020); Krishnakumar et al., NAS-Bench-Suite-Zero (NeurIPS 2022);
Li et al., HW-NAS-Bench (ICLR 2021); Lee et al., HELP (NeurIPS 2021).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.trainables.table.format import Metric, TableError, TableInfo
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.recording import Recording
from taurank.trainables.table.importers.values import scores, shares
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded import RecordedTable
from taurank.trainables.table.rows import Rows

PROXIES = (
    "epe_nas", "fisher", "grad_norm", "grasp", "jacov", "l2_norm", "naswot", "nwot", "plain", "snip", "synflow",
    "tenas", "zen", "zico",
)  # fmt: skip
_SIZES = ("params", "flops")
_DATA = {
    "c10": "cifar10",
    "c100": "cifar100",
    "in16": "imagenet16-120",
    "im16": "imagenet16-120",
    "imagenet16": "imagenet16-120",
}

_CELL = re.compile(r"arch_index|arch_str|op\d")
_PREFIX = r"(?:(?P<data>[A-Za-z]+\d+)_)?"
_TRAINING = re.compile(
    _PREFIX + r"(?P<split>val|test|train)_hp(?P<epochs>\d+)(?:_s(?P<seed>\d+)|_(?P<kind>mean|1seed))?"
)
_TRAIN_TIME = re.compile(_PREFIX + r"train_time_(?P<epochs>\d+)ep_s")
_SUPERNET = re.compile(r"supernet_(?P<name>\w+?)(?:_(?P<data>[A-Za-z]+\d+))?")
_HARDWARE = re.compile(_PREFIX + r"(?P<device>\w+)_(?P<kind>latency|energy|arithmetic_intensity|ms)")
_LATENCY_S = re.compile(_PREFIX + r"latency_s")
_PARAMS_M = re.compile(_PREFIX + r"params_M")
_PROXY = re.compile(r"(?:(?P<data>[A-Za-z0-9]+)_)?(?P<name>" + "|".join((*PROXIES, *_SIZES)) + ")")

_SPLITS = {"val": "validation_accuracy", "test": "test_accuracy", "train": "train_accuracy"}
_ALL_IMAGES = "training:all_images"


def _recognises(recording: Recording) -> bool:
    return not recording.is_arrays and not _lacks(recording)


def _lacks(recording: Recording) -> list[str]:
    names = recording.names
    lacking = [] if names & {"arch_str", "arch_index"} else ["arch_str"]
    if not any(pattern.fullmatch(name) for name in names for pattern in (_TRAINING, _HARDWARE, _PROXY)):
        lacking.append("a result (such as c10_val_hp200_s0, c10_synflow or c10_edgegpu_latency)")
    return lacking


def _read(recordings: Sequence[Recording], data: str) -> RecordedTable:
    joined, times = _join(recordings)
    prefix = _choose([str(name) for name in joined.columns], data)
    table = joined[[name for name in joined.columns if _belongs(str(name), prefix)]]
    table = table.rename(columns={name: str(name).removeprefix(f"{prefix}_") for name in table.columns})
    rows, notes = Rows(joined["arch_str"].astype(str).tolist()), []
    _add_trainings(rows, table)
    for name in table.columns:
        if (found := _SUPERNET.fullmatch(str(name))) and (found["data"] or prefix) == prefix:
            rows.add(f"supernet:{found['name']}", {"validation_accuracy": shares(table[name])}, seed=-1)
    _add_sizes(rows, table)
    label = _DATA.get(prefix) or data or prefix
    notes += _add_proxies(rows, table, _of_data(times, label), joined)
    _add_hardware(rows, table)
    metrics = describe_all(rows.metrics) | {name: metric for name, metric in _SPECIAL.items() if name in rows.metrics}
    return RecordedTable(
        TableInfo(
            space="nasbench201",
            data=label,
            metrics=metrics,
            notes=(*_notes(table, prefix), *notes),
        ),
        rows.frame(),
    )


_SPECIAL = {
    "flops": Metric("none", "multiply-adds"),
    "arithmetic_intensity": Metric("none", "operations/byte"),
}


def _join(recordings: Sequence[Recording]) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The cells of the largest file with the columns of all, and the file of proxy times: several rows of a cell."""
    frames, times = [], None
    for recording in recordings:
        frame = recording.frame()
        if any(str(name).endswith("_time_s") for name in frame.columns):
            times = frame
        else:
            frames.append(frame)
    named = [frame for frame in frames if "arch_str" in frame.columns]
    if not named:
        raise TableError("no file says which cells it has (column arch_str); give the file of the trainings too")
    joined = max(named, key=len)
    for frame in (frame for frame in frames if frame is not joined):
        keys = [key for key in ("arch_str", "arch_index") if key in frame.columns and key in joined.columns]
        if not keys:
            raise TableError("two files have neither arch_str nor arch_index in common; give those of one benchmark")
        fresh = [name for name in frame.columns if name not in joined.columns]
        joined = joined.merge(frame[[keys[0], *fresh]], on=keys[0], how="left", sort=False)
    return joined, times


def _choose(names: Sequence[str], data: str) -> str:
    """The prefix of the columns to read; an error where several data sets are there and none is named."""
    prefixes: dict[str, None] = {}
    for name in names:
        for pattern in (_TRAINING, _PROXY, _HARDWARE):
            found = pattern.fullmatch(name)
            if found and not name.startswith("help_"):
                prefixes[found["data"] or ""] = None
                break
    asked = [prefix for prefix in prefixes if data in (prefix, _DATA.get(prefix))]
    known = ", ".join(_DATA.get(prefix, prefix) or "one without a name" for prefix in prefixes)
    if data and not asked and any(prefix in _DATA for prefix in prefixes):
        raise TableError(f"--data: the files do not hold {data!r}, but {known}")
    if len(prefixes) > 1 and not asked:
        raise TableError(f"the files hold several data sets ({known}); name one with --data")
    return next(iter(asked or prefixes), "")


def _belongs(name: str, prefix: str) -> bool:
    """Whether a column is of the data set, or of none in particular."""
    for pattern in (_TRAINING, _TRAIN_TIME, _LATENCY_S, _PARAMS_M, _PROXY, _HARDWARE):
        if (found := pattern.fullmatch(name)) and (found["data"] or "") != prefix:
            return name.startswith("help_")
    return True


def _add_trainings(rows: Rows, table: pd.DataFrame) -> None:
    found = {name: match for name in map(str, table.columns) if (match := _TRAINING.fullmatch(name))}
    by_seed = {(match["split"], match["epochs"]) for match in found.values() if match["seed"]}
    timed = next((match for name in map(str, table.columns) if (match := _TRAIN_TIME.fullmatch(name))), None)
    for name, match in found.items():
        if match["kind"] == "mean" and (match["split"], match["epochs"]) in by_seed:
            continue
        epochs = int(match["epochs"])
        own = match["split"] == "val"
        # A mean over seeds is no training of its own; a single column without a seed is one whose seed is unknown.
        seed = int(match["seed"] or (0 if own or match["kind"] == "1seed" else -1)) if match["kind"] != "mean" else -1
        seconds = np.full(len(table), np.nan)
        if own and timed:
            seconds = table[timed[0]].to_numpy(dtype=float) * epochs / int(timed["epochs"])
        rows.add(
            "training" if own else _ALL_IMAGES,
            {_SPLITS[match["split"]]: shares(table[name])},
            epoch=epochs,
            schedule_epochs=epochs,
            seed=seed,
            seconds=seconds,
        )


def _add_sizes(rows: Rows, table: pd.DataFrame) -> None:
    count = "params_M" if "params_M" in table.columns else "params"
    for metric, name in (("parameters", count), ("flops", "flops")):
        if name in table.columns:
            rows.add("size", {metric: np.round(table[name].to_numpy(dtype=float) * 1e6)}, seconds=0.0)


def _add_proxies(rows: Rows, table: pd.DataFrame, times: pd.DataFrame | None, joined: pd.DataFrame) -> list[str]:
    """Scores with the seconds they took: a cell's own where they were measured, else the mean over cells."""
    notes: list[str] = []
    where = pd.Index(joined["arch_index"]) if "arch_index" in joined.columns else pd.Index([])
    for proxy in PROXIES:
        values, seconds = table.get(proxy), np.full(len(table), np.nan)
        if times is not None and f"{proxy}_time_s" in times.columns:
            measured = times.groupby("arch_index")[[proxy, f"{proxy}_time_s"]].first().reindex(where)
            took = measured[f"{proxy}_time_s"]
            seconds = took.fillna(took.mean()).to_numpy(dtype=float)
            values = measured[proxy] if values is None else values
        if values is None:
            continue
        kept = scores(values)
        void = int(np.isfinite(np.asarray(values, dtype=float)).sum() - np.isfinite(kept).sum())
        if void:
            notes.append(f"proxy:{proxy}: {void} score{'s' * (void > 1)} of a failed computation left out")
        rows.add(f"proxy:{proxy}", {"score": kept}, seconds=seconds)
    return notes


def _of_data(times: pd.DataFrame | None, data: str) -> pd.DataFrame | None:
    if times is None or "dataset" not in times.columns:
        return times
    return times[times["dataset"].astype(str).str.lower() == data.lower()]


def _add_hardware(rows: Rows, table: pd.DataFrame) -> None:
    if "latency_s" in table.columns:
        rows.add("hardware:benchmark", {"latency": _measured(table["latency_s"]) * 1e3}, seed=-1)
    devices: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name in map(str, table.columns):
        if name != "latency_s" and (found := _HARDWARE.fullmatch(name)) and not _TRAIN_TIME.fullmatch(name):
            device = f"{found['data']}_{found['device']}" if found["data"] else found["device"]
            kind = "latency" if found["kind"] == "ms" else found["kind"]
            devices.setdefault(device, {})[kind] = _measured(table[name])
    for device, numbers in devices.items():
        rows.add(f"hardware:{device}", numbers, seed=-1)


def _measured(values: pd.Series) -> NDArray[np.float64]:
    """Latencies and energies; what is not positive is the mark of a device that could not run the network."""
    given = values.to_numpy(dtype=np.float64)
    return np.where(given > 0, given, np.nan)


def _notes(table: pd.DataFrame, prefix: str) -> list[str]:
    notes = []
    names = set(map(str, table.columns))
    if any(match and not match["seed"] and not match["kind"] for match in map(_TRAINING.fullmatch, names)):
        notes.append("validation results without a seed of their own stand under seed 0, the others under -1")
    if any(name.startswith("test_hp") for name in names):
        same = (
            "train on all training images, validation runs on half of them"
            if prefix in ("c10", "cifar10")
            else ("are of the same trainings as validation results on this data set")
        )
        notes.append(f"{_ALL_IMAGES}: test results; on this data set they {same}")
    if timed := next((match for match in map(_TRAIN_TIME.fullmatch, names) if match), None):
        notes.append(
            f"seconds were recorded once, for {timed['epochs']} epochs; "
            "each seed is booked with them, a shorter schedule with its share"
        )
    if any(name.startswith("supernet_") for name in names):
        notes.append("supernet: accuracy with inherited weights; what training the supernet cost is unknown")
    if "latency_s" in names:
        notes.append("hardware:benchmark: the latency that came with the trainings; its device is not named")
    if any(name.startswith("help_") for name in names):
        notes.append("hardware:help_...: of HELP; some repeat the numbers of HW-NAS-Bench under another name")
    if left_out := sorted(name for name in names if not _is_known(name)):
        notes.append(f"columns left out: {', '.join(left_out)}")
    return notes


def _is_known(name: str) -> bool:
    patterns = (_CELL, _TRAINING, _TRAIN_TIME, _LATENCY_S, _PARAMS_M, _PROXY, _HARDWARE, _SUPERNET)
    return any(pattern.fullmatch(name) for pattern in patterns)


NASBENCH201 = Importer(
    name="nasbench201",
    reads="NAS-Bench-201 parquet: trainings, proxies, proxy times, hardware; give the files of one benchmark together",
    origin="NAS-Bench-201 (Dong and Yang, ICLR 2020); proxies: NAS-Bench-Suite-Zero; latencies: HW-NAS-Bench, HELP",
    licence="MIT, collections of its numbers MIT or Apache-2.0; few-shot supernet: none given, do not pass it on",
    recognises=_recognises,
    lacks=_lacks,
    read=_read,
)
