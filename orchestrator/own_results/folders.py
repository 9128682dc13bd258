"""Results in a folder of Ray Tune, Lightning's CSVLogger, MLflow or TensorBoard."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taurank.orchestrator.own_results.records import NAMES, SEEDS, Columns, Record, ResultsError, Table, find_column
from taurank.orchestrator.own_results.tables import no_metric, read_frame
from taurank.orchestrator.text import YamlError, read_yaml

VERSION = re.compile(r"version_\d+|run_?\d+|seed_?\d+")
"""Folders that count repetitions."""
EVENTS = "events.out.tfevents*"


def table_of_folder(folder: Path, metric: str, columns: Columns) -> Table:
    """The reports of all trainings below a folder.

    Candidates are named by the hyper-parameters in which trainings differ, apart from the seed, or by their folders.
    Trainings of one name are repetitions.

    Raises:
        ResultsError: there are no results, or none has the metric.
    """
    readable = ((kind, list(read(folder))) for kind, read in READERS.items())
    kind, records = next((found for found in readable if found[1]), ("", []))
    if not records:
        raise ResultsError(
            f"{folder} has no results: no result.json or progress.csv of Ray Tune, metrics.csv of Lightning, "
            "metrics of MLflow, or event file of TensorBoard"
        )
    with_metric = [record for record in records if metric in record.rows]
    if not with_metric:
        others = sorted({str(name) for record in records for name in record.rows if name not in ("step", "timestamp")})
        raise ResultsError(no_metric(metric, others, f"{folder} ({kind})"))
    names = candidate_names(records, columns.candidate, where=str(folder))
    frames, seeds = [], Counter[str]()
    for name, record in zip(names, records, strict=True):
        if metric not in record.rows:
            continue
        frames.append(_reports(record, metric, columns, where=f"{folder / record.place}").assign(
            candidate=name, training=f"{name}\0{record.place}", seed=float(seeds[name])))  # fmt: skip
        seeds[name] += 1
    rows = pd.concat(frames, ignore_index=True)
    rows.index = pd.RangeIndex(1, len(rows) + 1)
    notes = [f"{folder}: {len(frames)} trainings of {len(seeds)} candidates ({kind})"]
    lacking = len(records) - len(with_metric)
    if lacking:
        notes.append(f"{folder}: {lacking} trainings have no {metric} and are left out")
    return Table(str(folder), rows, notes)


def _reports(record: Record, metric: str, columns: Columns, *, where: str) -> pd.DataFrame:
    """Epochs and values of a training; of several reports of an epoch the last counts."""
    found = record.rows
    names = [str(name) for name in found.columns]
    epoch = find_column(names, "epoch", columns.epoch, where=where)
    if epoch is None and "step" in names:
        epoch = "step"
    if epoch is None:
        raise ResultsError(f"{where} has no epochs; name their column with --columns epoch=NAME")
    seconds = find_column(names, "seconds", columns.seconds, where=where)
    schedule = find_column(names, "schedule_epochs", columns.schedule_epochs, where=where)
    rows = pd.DataFrame(
        {
            "epoch": pd.to_numeric(found[epoch], errors="coerce"),
            "value": _values(found[metric]),
            "seconds": np.nan if seconds is None else pd.to_numeric(found[seconds], errors="coerce"),
            "schedule_epochs": np.nan if schedule is None else pd.to_numeric(found[schedule], errors="coerce"),
        }
    )
    rows = rows[rows["value"].notna() & rows["epoch"].notna()]
    return rows.drop_duplicates("epoch", keep="last").sort_values("epoch", kind="stable")


def _values(column: pd.Series) -> pd.Series:
    """Numbers; NaN where nothing was written, infinity where what was written is not finite."""
    written = column.notna() & (column.astype(str).str.strip() != "")
    values = pd.to_numeric(column, errors="coerce").astype(float)
    return values.where(~written | np.isfinite(values), np.inf)


def candidate_names(records: Sequence[Record], asked: str | None, *, where: str) -> list[str]:
    """What each training is a training of.

    Raises:
        ResultsError: a hyper-parameter that was asked for and that a training lacks.
    """
    configs = [dict(record.config) for record in records]
    if asked is not None:
        lacking = next((record for record in records if asked not in record.config), None)
        if lacking is not None:
            known = sorted({key for config in configs for key in config})
            raise ResultsError(
                f"{where}: {lacking.place} has no hyper-parameter {asked!r} for the candidate; "
                f"there are {', '.join(known) or 'none'}"
            )
        return [str(config[asked]) for config in configs]
    for name in NAMES:
        key = next((key for config in configs for key in config if key.lower().rpartition("/")[2] == name), None)
        if key is not None and all(key in config for config in configs) and len({str(c[key]) for c in configs}) > 1:
            return [str(config[key]) for config in configs]
    keys = sorted({key for config in configs for key in config if key.lower().rpartition("/")[2] not in SEEDS})
    differing = [key for key in keys if len({str(config.get(key)) for config in configs}) > 1]
    if differing:
        return [", ".join(f"{key}={config.get(key)}" for key in differing) for config in configs]
    named = [record.name for record in records]
    return named if all(named) else _names_of_places([record.place for record in records])


def _names_of_places(places: Sequence[str]) -> list[str]:
    """Names from folders; where several are set apart by their parents, ``version_0`` and the like are repetitions."""
    parents = [place.rpartition("/")[0] if VERSION.fullmatch(place.rpartition("/")[2]) else place for place in places]
    return parents if len(set(parents)) > 1 and all(parents) else list(places)


def _tune(folder: Path) -> Iterator[Record]:
    """Trial folders of Ray Tune, with ``result.json`` or ``progress.csv``, and ``params.json``."""
    for place in sorted({file.parent for name in ("result.json", "progress.csv") for file in folder.rglob(name)}):
        rows = _json_lines(place / "result.json") if (place / "result.json").is_file() else pd.DataFrame()
        if rows.empty and (place / "progress.csv").is_file():
            rows = _csv(place / "progress.csv")
        if not rows.empty:
            yield Record(_relative(place, folder), _json_config(place / "params.json", rows), rows)


def _json_lines(file: Path) -> pd.DataFrame:
    """A report in each line; the last one may have been cut off when the process was killed."""
    reports = []
    lines = [line for line in _text(file).splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        try:
            report = json.loads(line, parse_constant=str)  # NaN was measured, null was not
        except ValueError:
            if number == len(lines):
                break
            raise ResultsError(f"{file}, line {number}: no JSON") from None
        if isinstance(report, dict):
            reports.append(_flat({key: value for key, value in report.items() if key != "config"}))
    return pd.DataFrame(reports)


def _json_config(file: Path, rows: pd.DataFrame) -> dict[str, Any]:
    if file.is_file():
        try:
            content = json.loads(_text(file))
        except ValueError:
            return {}
        return _flat(content) if isinstance(content, dict) else {}
    # progress.csv has the configuration in its columns.
    found = {str(name): rows[name].iloc[-1] for name in rows if str(name).startswith("config/")}
    return {name.removeprefix("config/"): value for name, value in found.items()}


def _csv_logger(folder: Path) -> Iterator[Record]:
    """Folders of Lightning's CSVLogger: ``metrics.csv`` with ``hparams.yaml``; epochs count from 0."""
    for file in sorted(folder.rglob("metrics.csv")):
        rows = _csv(file)
        if not rows.empty:
            yield Record(_relative(file.parent, folder), _yaml_config(file.parent / "hparams.yaml"), rows)


def _yaml_config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = read_yaml(_text(file))
    except YamlError:  # objects of Python, which are not read
        return {}
    return _flat(content) if isinstance(content, dict) else {}


def _mlflow(folder: Path) -> Iterator[Record]:
    """Runs of a folder ``mlruns``: files ``metrics/NAME`` with lines of time, value and step."""
    for place in sorted({path.parent for path in folder.rglob("metrics") if path.is_dir()}):
        if ".trash" in place.parts or "lifecycle_stage: deleted" in _text(place / "meta.yaml", missing=""):
            continue
        series = {
            file.relative_to(place / "metrics").as_posix(): _mlflow_series(file)
            for file in sorted((place / "metrics").rglob("*"))
            if file.is_file()
        }
        if not series:
            continue
        config: dict[str, Any] = {
            file.relative_to(place / "params").as_posix(): _text(file).strip()
            for file in sorted((place / "params").rglob("*"))
            if file.is_file()
        }
        name = _text(place / "tags" / "mlflow.runName", missing="").strip()
        yield Record(_relative(place, folder), config, _by_step(series), name)


def _mlflow_series(file: Path) -> dict[float, float]:
    series = {}
    for number, line in enumerate(_text(file).splitlines(), start=1):
        words = line.split()
        try:
            series[float(words[2]) if len(words) > 2 else float(number - 1)] = float(words[1])
        except (IndexError, ValueError):
            raise ResultsError(f"{file}, line {number}: expected a time, a value and a step") from None
    return series


def _tensorboard(folder: Path) -> Iterator[Record]:
    """Folders with event files; scalars by step, or by the scalar ``epoch`` where that is logged too.

    Raises:
        ResultsError: TensorBoard's reader is not installed.
    """
    places = sorted({file.parent for file in folder.rglob(EVENTS)})
    if not places:
        return
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ModuleNotFoundError:
        raise ResultsError(
            f"{folder} has event files: reading them takes TensorBoard: pip install 'taurank[tensorboard]'"
        ) from None
    for place in places:
        reader = EventAccumulator(str(place), size_guidance={"scalars": 0, "tensors": 0})
        reader.Reload()
        tags = reader.Tags()
        series = {tag: {float(event.step): float(event.value) for event in reader.Scalars(tag)}
                  for tag in tags["scalars"]}  # fmt: skip
        for tag in tags["tensors"]:
            values = {float(event.step): _scalar(event.tensor_proto) for event in reader.Tensors(tag)}
            numbers = {step: value for step, value in values.items() if value is not None}
            series |= {tag: numbers} if numbers else {}
        if series:
            yield Record(_relative(place, folder), {}, _by_step(series))


def _scalar(tensor: Any) -> float | None:
    from tensorboard.util.tensor_util import make_ndarray

    try:
        value = make_ndarray(tensor)
    except TypeError:
        return None
    return float(value) if value.ndim == 0 and np.issubdtype(value.dtype, np.number) else None


def _by_step(series: Mapping[str, Mapping[float, float]]) -> pd.DataFrame:
    """A row for each step; infinity stands for what was measured and is not finite."""
    columns = {}
    for name, points in series.items():
        column = pd.Series(points, dtype=float)
        columns[name] = column.where(np.isfinite(column), np.inf)
    rows = pd.DataFrame(columns).sort_index()
    if "epoch" in rows:
        rows["epoch"] = rows["epoch"].ffill()
    return rows.assign(step=rows.index).reset_index(drop=True)


READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    "Ray Tune": _tune,
    "Lightning CSVLogger": _csv_logger,
    "MLflow": _mlflow,
    "TensorBoard": _tensorboard,
}
"""Readers of folders; the first that finds results is used."""


def _csv(file: Path) -> pd.DataFrame:
    return pd.DataFrame() if not file.stat().st_size else read_frame(file)


def _text(file: Path, *, missing: str | None = None) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if missing is None:
            raise ResultsError(f"{file} is not there") from None
        return missing
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}"
        ) from None


def _relative(place: Path, folder: Path) -> str:
    found = place.relative_to(folder).as_posix()
    return folder.resolve().name if found == "." else found


def _flat(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings as one, with keys like ``optimizer/lr``."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{key}/")
        else:
            flat[f"{before}{key}"] = value
    return flat
