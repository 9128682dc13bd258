"""Records the lists: full training by two seeds, short trainings, sizes and proxies of every candidate.

The candidates, images, recipes and seeds are those of the experiment file of a list, so `taurank run` on the same file
trains the same. One process with one thread; everything finished is a line of `LIST.jsonl`, appended at once, so a
process that is killed loses the training in progress and nothing else, and the next one continues. Candidates come in
random order, each with all its trainings, so a part of a list is a list. Lists joined by `+` are recorded in turn;
`LIST=24` stops after that many candidates.

Costs are CPU seconds of the process, which do not depend on what else runs on the machine.

    python -m benchmarks.real_lists.record --out recorded own_code cells=24 mobile+cells
    python -m benchmarks.real_lists.record --out recorded --export own_code cells mobile
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taurank.orchestrator.candidates import choose_candidates
from taurank.orchestrator.experiment import Experiment, load_experiment
from taurank.orchestrator.runs import read_images, split_images
from taurank.spaces import Architecture, SearchSpace, measure_size
from taurank.trainables.data import ImageData
from taurank.trainables.proxies import ProxyBatch, ProxyConfig, batch_size, draw_batch, list_proxies, score_architecture
from taurank.trainables.table import RecordedTable, TableInfo, describe_all, write_table
from taurank.trainables.table.rows import Rows
from taurank.trainables.training import Training, describe_failure

HERE = Path(__file__).parent
SHORT_SEED, REPEATED_SEED = 0, 3
"""Of the short trainings, and of the shortest ones trained once more; both differ from the seeds of the baseline."""


@dataclass(frozen=True)
class RealList:
    """A list of candidates and what is trained of each.

    Attributes:
        name: of the experiment file.
        experiment: its content.
        most: candidates that are recorded; None for all.
    """

    name: str
    experiment: Experiment
    most: int | None = None

    @cached_property
    def data(self) -> ImageData:
        """The images, in parts."""
        spec = self.experiment.data
        return split_images(spec, read_images(spec, root=None, download=False))

    @cached_property
    def space(self) -> SearchSpace:
        """What builds the networks."""
        return self.experiment.space.make()

    @cached_property
    def batch(self) -> ProxyBatch:
        """The images of the proxies."""
        return draw_batch(self.data, images=batch_size(int(np.prod(self.data.input_shape))), seed=0)

    @cached_property
    def codes(self) -> list[str]:
        """The candidates in random order."""
        codes = choose_candidates(self.experiment, self.data, say=lambda _: None).codes
        return [codes[place] for place in np.random.default_rng(0).permutation(len(codes))][: self.most]

    @property
    def trainings(self) -> list[tuple[int, int]]:
        """Epochs and seed of each training of a candidate."""
        full = self.experiment.recipe.epochs
        assert self.experiment.baseline is not None
        return [*((full, seed) for seed in self.experiment.baseline.seeds), *shorts_of(full)]


def shorts_of(full_epochs: int) -> list[tuple[int, int]]:
    """Epochs and seeds of the short trainings: about 5 %, and 10 % with and without an epoch for the proxies."""
    tenth, twentieth = full_epochs // 10, full_epochs // 20
    lengths = dict.fromkeys((tenth, tenth - 1, twentieth))
    return [*((length, SHORT_SEED) for length in lengths), (twentieth, REPEATED_SEED)]


def read_list(text: str) -> RealList:
    """The list of an experiment file beside this module, or the first candidates of it: `cells`, `cells=24`."""
    name, _, most = text.partition("=")
    return RealList(name, load_experiment(HERE / f"{name}.yaml"), int(most) if most else None)


class Journal:
    """What is finished, a line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        whole = path.read_bytes() if path.exists() else b""
        kept = whole[: whole.rfind(b"\n") + 1]
        if kept != whole:  # the line that a killed process was writing
            path.write_bytes(kept)
        self.entries: list[dict[str, Any]] = [json.loads(line) for line in kept.splitlines()]

    def append(self, entry: dict[str, Any]) -> None:
        """Adds an entry, on the disk when this returns."""
        self.entries.append(entry)
        with self._path.open("ab", buffering=0) as file:
            file.write(json.dumps(entry).encode() + b"\n")
            os.fsync(file.fileno())

    def has(self, **what: Any) -> bool:
        """Whether there is an entry with these values."""
        return any(all(entry.get(key) == value for key, value in what.items()) for entry in self.entries)


def record(each: RealList, journal: Journal) -> Iterator[str]:
    """Records what the journal lacks; yields after each candidate."""
    for code in each.codes:
        architecture = Architecture(each.space.name, code)
        if not journal.has(code=code, kind="size"):
            size = measure_size(
                each.space, architecture, input_shape=each.data.input_shape, classes=len(each.data.classes)
            )
            sizes = {"parameters": size.parameters, "flops": size.flops, "depth": size.depth}
            journal.append({"code": code, "kind": "size", "values": sizes})
        if not journal.has(code=code, kind="proxies"):
            journal.append({"code": code, "kind": "proxies"} | _scored(each, architecture))
        for epochs, seed in each.trainings:
            if not journal.has(code=code, kind="training", epochs=epochs, seed=seed):
                done = {"code": code, "kind": "training", "epochs": epochs, "seed": seed}
                journal.append(done | _trained(each, architecture, epochs, seed))
        yield code


def _scored(each: RealList, architecture: Architecture) -> dict[str, Any]:
    names = tuple(list_proxies())
    wall, cpu = time.perf_counter(), time.process_time()
    scores = score_architecture(each.space, architecture, each.batch, ProxyConfig(names))
    slower = (time.process_time() - cpu) / (time.perf_counter() - wall)
    return {
        "values": {score.proxy: score.value for score in scores.values() if not score.reason},
        "seconds": {score.proxy: score.seconds * slower for score in scores.values()},
        "void": {score.proxy: score.reason for score in scores.values() if score.reason},
    }


def _trained(each: RealList, architecture: Architecture, epochs: int, seed: int) -> dict[str, Any]:
    shape, classes = each.data.input_shape, len(each.data.classes)
    recipe = each.experiment.short_recipe_of(architecture.code, epochs)
    began, rows = time.process_time(), []
    try:
        training = Training(
            lambda: each.space.build(architecture, input_shape=shape, classes=classes), recipe, each.data, seed=seed
        )
        while not training.finished:
            row = training.step_epoch()
            ended = time.process_time()
            rows.append(row | {"seconds": ended - began})
            began = ended
    except Exception as error:
        return {"rows": rows, "failed": describe_failure(error, doing="trained")}
    return {"rows": rows}


def complete_candidates(each: RealList, journal: Journal) -> list[str]:
    """The candidates with all their trainings, sorted."""
    found: dict[str, set[tuple[int, int]]] = {}
    for entry in journal.entries:
        if entry["kind"] == "training":
            found.setdefault(entry["code"], set()).add((entry["epochs"], entry["seed"]))
    return sorted(code for code, trainings in found.items() if trainings.issuperset(each.trainings))


def export(each: RealList, journal: Journal) -> tuple[RecordedTable, int]:
    """The table of the candidates with all their trainings, and how many there are."""
    codes = complete_candidates(each, journal)
    place, rows, notes = {code: number for number, code in enumerate(codes)}, Rows(codes), []
    for entry in journal.entries:
        if entry["code"] not in place:
            continue
        of = [place[entry["code"]]]
        if entry["kind"] == "size":
            rows.add("size", {name: [value] for name, value in entry["values"].items()}, of=of, seconds=0.0)
        elif entry["kind"] == "proxies":
            for name, value in entry["values"].items():
                rows.add(f"proxy:{name}", {"score": [value]}, of=of, seconds=entry["seconds"][name])
        else:
            if "failed" in entry:
                notes.append(f"{entry['code']}: {entry['epochs']} epochs, seed {entry['seed']}: {entry['failed']}")
            for row in entry["rows"]:
                numbers = {name: [value] for name, value in row.items() if name not in ("epoch", "seconds")}
                about = {"epoch": row["epoch"], "schedule_epochs": entry["epochs"], "seed": entry["seed"]}
                rows.add("training", numbers, of=of, seconds=row["seconds"], **about)
    experiment, first, second = each.experiment, *[seed for _, seed in each.trainings[:2]]
    info = TableInfo(
        space=experiment.space.name,
        data=experiment.data.name,
        metrics=describe_all(rows.metrics),
        space_options=experiment.space.options,
        origin=f"benchmarks/real_lists/{each.name}.yaml of taurank",
        licence="Apache-2.0",
        notes=(
            "seconds are CPU seconds of one thread",
            f"full trainings: seeds {first} and {second}; short ones on schedules of their own: seed {SHORT_SEED}, the "
            f"shortest also seed {REPEATED_SEED}",
            *notes,
        ),
    )
    return RecordedTable(info, rows.frame()), len(codes)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", nargs="+", metavar="LIST[=COUNT][+LIST...]")
    parser.add_argument("--out", type=Path, required=True, help="folder of the journals")
    parser.add_argument("--export", action="store_true", help="write LIST.parquet beside this module, train nothing")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for group in options.lists:
        chosen = [read_list(text) for text in group.split("+")]
        lists = [(each, Journal(options.out / f"{each.name}.jsonl")) for each in chosen]
        if options.export:
            for each, journal in lists:
                if not complete_candidates(each, journal):
                    print(f"{each.name}: none of {len(each.codes)} candidates, so no table")
                    continue
                table, count = export(each, journal)
                write_table(table, HERE / f"{each.name}.parquet")
                print(f"{each.name}: {count} of {len(each.codes)} candidates")
            continue
        in_turn = zip_longest(*(record(each, journal) for each, journal in lists))
        for code in filter(None, chain.from_iterable(in_turn)):
            print(time.strftime("%H:%M:%S"), code, flush=True)


if __name__ == "__main__":
    main()
