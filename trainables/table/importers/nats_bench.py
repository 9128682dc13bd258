"""NATS-Bench files, through the package `nats_bench`: every epoch of every training, one data set at a time.

These files are pickles: opening one runs whatever its maker put into it. So they are opened only when the user names
this importer (`--format nats_bench`), never to find out what they are. Open only what you got from the benchmark.

A folder is the fast layout (`meta.pickle.pbz2` and one file per architecture), a file the whole benchmark at once.
Names with `sss` are the size space (text `8:16:...`), others the topology space, with the texts of `nasbench201`.

Source: Dong, Liu, Musial and Gabrys, NATS-Bench (TPAMI 2021); https://github.com/D-X-Y/NATS-Bench (MIT).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taurank.trainables.table.format import Metric, TableError, TableInfo
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.recording import Recording, one_line, only
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded import RecordedTable
from taurank.trainables.table.rows import Rows

DATA = {
    "cifar10": {"cifar10-valid": "training", "cifar10": "training:all_images"},
    "cifar100": {"cifar100": "training"},
    "imagenet16-120": {"ImageNet16-120": "training"},
}
"""What each data set is called in the benchmark, and the source that its trainings become."""

_SETS = {"x-valid": "validation", "x-test": "test"}


def _read(recordings: Sequence[Recording], data: str) -> RecordedTable:
    path, data = only(recordings, "nats_bench").path, data or "cifar10"
    if data.lower() not in DATA:
        raise TableError(f"nats_bench: no data set {data!r}; name one of {', '.join(DATA)} with --data")
    size_space = "sss" in path.name
    api = _open(path, size_space=size_space)
    present = list(_present(api, path))
    if not present:
        raise TableError(f"{path} has no architectures; is it the folder of one file per architecture?")
    rows = Rows([str(api.meta_archs[index]) for index in present])
    sizes: dict[str, list[float]] = {"parameters": [], "flops": [], "latency": []}
    for position, index in enumerate(present):
        try:
            api._prepare_info(index)
        except Exception as error:  # a pickle of anything else fails in any way
            raise TableError(
                f"{path}: architecture {index} cannot be read: {one_line(error)}; fetch it again"
            ) from None
        # Taken out of the benchmark's own memory: all curves of all architectures do not fit twice.
        _add_architecture(rows, position, api.arch2infos_dict.pop(index), DATA[data.lower()], sizes)
    rows.add("size", {name: np.round(np.array(sizes[name]) * 1e6) for name in ("parameters", "flops")}, seconds=0.0)
    rows.add("hardware:benchmark", {"latency": np.array(sizes["latency"]) * 1e3}, seed=-1)
    return RecordedTable(
        TableInfo(
            space="nats_size" if size_space else "nasbench201",
            data=data.lower(),
            metrics=describe_all(rows.metrics) | {"flops": Metric("none", "multiply-adds")},
            notes=(
                "seconds of an epoch: training, and evaluation on the validation images where it was timed",
                "training:all_images: trained on all training images of CIFAR-10, training on half of them"
                if data.lower() == "cifar10"
                else "validation and test results are of the same trainings",
            ),
        ),
        rows.frame(),
    )


def _open(path: Path, *, size_space: bool) -> Any:
    try:
        import nats_bench
    except ImportError:
        raise TableError(
            "nats_bench: the package is not installed; install it with: pip install 'taurank[nats]'"
        ) from None
    try:
        return nats_bench.create(str(path), "sss" if size_space else "tss", fast_mode=path.is_dir(), verbose=False)
    except Exception as error:  # a pickle of anything else fails in any way
        raise TableError(f"{path} cannot be read as NATS-Bench: {one_line(error)}") from None


def _present(api: Any, path: Path) -> Iterator[int]:
    """Indices of the architectures that there are results of."""
    if not path.is_dir():
        yield from sorted(api.evaluated_indexes)
        return
    for index in range(len(api)):
        if any((path / f"{name}.pickle.pbz2").is_file() for name in (f"{index:06d}", str(index))):
            yield index


def _add_architecture(
    rows: Rows, position: int, results: dict[str, Any], sources: dict[str, str], sizes: dict[str, list[float]]
) -> None:
    """Adds the trainings of one architecture: by schedule, by data set of the benchmark, by seed."""
    costs: dict[str, Any] = {}
    for result in results.values():
        for name, source in sources.items():
            if name not in result.get_dataset_names():
                continue
            costs = result.get_compute_costs(name)
            for seed, training in result.query(name).items():
                _add_training(rows, position, source, int(seed), training)
    for metric, name in (("parameters", "params"), ("flops", "flops"), ("latency", "latency")):
        sizes[metric].append(np.nan if costs.get(name) is None else float(costs[name]))


def _add_training(rows: Rows, position: int, source: str, seed: int, training: Any) -> None:
    epochs = int(training.epochs)
    seconds = _by_epoch(training.train_times, "", epochs)
    evaluation = _by_epoch(training.eval_times, "x-valid@", epochs)
    numbers = {
        "train_accuracy": _by_epoch(training.train_acc1es, "", epochs) / 100,
        "train_loss": _by_epoch(training.train_losses, "", epochs),
    }
    # On CIFAR-10 `ori-test` is the test set; elsewhere it is the union of the two below, and left out.
    sets = _SETS | ({"ori-test": "test"} if training.name in ("cifar10", "cifar10-valid") else {})
    for name in training.eval_names:
        if name in sets:
            numbers[f"{sets[name]}_accuracy"] = _by_epoch(training.eval_acc1es, f"{name}@", epochs) / 100
            numbers[f"{sets[name]}_loss"] = _by_epoch(training.eval_losses, f"{name}@", epochs)
    rows.add(
        source,
        {metric: values[None, :] for metric, values in numbers.items()},
        of=[position],
        epoch=np.arange(1, epochs + 1),
        schedule_epochs=epochs,
        seed=seed,
        seconds=seconds + np.nan_to_num(evaluation),
    )


def _by_epoch(numbers: dict[Any, float] | None, prefix: str, epochs: int) -> NDArray[np.float64]:
    """Numbers of epochs 0, 1, ... under the keys of the benchmark, (epochs,); NaN = none."""
    keys = ((f"{prefix}{epoch}" if prefix else epoch) for epoch in range(epochs))
    return np.array([np.nan if (value := (numbers or {}).get(key)) is None else float(value) for key in keys])


NATS_BENCH = Importer(
    name="nats_bench",
    reads="NATS-Bench file or folder (*.pickle.pbz2): pickles, opened only with --format nats_bench",
    origin="NATS-Bench (Dong et al., TPAMI 2021)",
    licence="MIT",
    recognises=lambda recording: False,
    read=_read,
)
