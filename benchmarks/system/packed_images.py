"""Packed images against torchvision's ImageFolder and DataLoader: speed, time to the first batch, memory, kill -9.

On the folder of `synthetic_ilsvrc`, whose missing images are made first. Every way turns as many images, drawn at
random, into batches of random crops (8 to 100 % of the area) of 224 pixels, mirrored or not, as normalised floats. The
ways take turns, so that other work on the machine meets all of them. Seconds of a core count all threads and workers.

    speed: packed as they are and with a short side of 256 by one and two threads, the former also without decoding at
        reduced scale; ImageFolder and DataLoader in the process itself, and with one and two workers
    first: seconds from nothing to the first batch; imports are done
    memory: workers that read one packed file at once: what the pages of the file take, which the system keeps once, and
        what each worker holds of its own (PSS), less what it held before
    killed: a part of the images is packed with two kills on the way, and once without

Parts that are in `packed_images.csv` for so many images are left as they are, so that a call can be interrupted.

    python -m benchmarks.system.packed_images --folder /tmp/ilsvrc --images 20000
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Subset

from benchmarks.system.synthetic_ilsvrc import write_layout
from taurank.spaces import import_torchvision
from taurank.trainables.data import (
    Augmentation,
    Packing,
    iterate_batches,
    load_dataset,
    make_splits,
    pack_images,
    packed,
)

OUT = Path(__file__).parent / "results" / "packed_images.csv"
SIDE, BATCH = 224, 128
MEAN, STD = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
AUGMENTATION = Augmentation(flip=True, resized_crop=0.08)
AS_IS, SMALLER = "packed as they are", "packed, short side 256"
WORKERS = (2, 4)
KILLED_CLASSES = 15

Row = dict[str, Any]


def core_seconds() -> float:
    """Of this process and of its workers that have ended."""
    used = (resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def packed_batches(file: Path, chosen: np.ndarray | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of these training images, or of all."""
    data = make_splits(load_dataset(f"packed:{file}", size=SIDE), seed=0, validation=100, test=None)
    images = data.train if chosen is None else data.train.part(chosen)
    generator = np.random.default_rng(0)
    return iterate_batches(images, batch_size=BATCH, generator=generator, augmentation=AUGMENTATION, mean=MEAN, std=STD)


def folder_batches(folder: Path, workers: int, chosen: np.ndarray | None = None) -> DataLoader[Any]:
    torchvision = import_torchvision()
    transforms = torchvision.transforms
    mean, std = ([value / 255 for value in values] for values in (MEAN, STD))
    changes = [transforms.RandomResizedCrop(SIDE), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    change = transforms.Compose([*changes, transforms.Normalize(mean, std)])
    images = torchvision.datasets.ImageFolder(str(folder / "train"), change)
    part = images if chosen is None else Subset(images, chosen.tolist())
    return DataLoader(part, batch_size=BATCH, shuffle=True, num_workers=workers)


def without_reduction(work: Callable[[], None]) -> None:
    """Runs with JPEGs decoded whole wherever their crops are small."""
    reduced = packed.decode_whole
    packed.decode_whole = lambda *given, most_reduced=1, **named: reduced(*given, **named)
    try:
        work()
    finally:
        packed.decode_whole = reduced


def measure_speed(files: dict[str, Path], folder: Path, images: int, timed: int, turns: int) -> Iterator[Row]:
    chosen = np.random.default_rng(1).choice(images - 100, min(timed, images - 100), replace=False)

    def go_through(batches: Any, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        count = sum(len(labels) for _, labels in batches)
        assert count == len(chosen)

    ways: dict[tuple[str, int], Callable[[], None]] = {}
    for name, file in files.items():
        for threads in (1, 2):
            ways[name, threads] = lambda file=file, threads=threads: go_through(packed_batches(file, chosen), threads)
    ways[f"{AS_IS}, reducing off", 1] = lambda: without_reduction(ways[AS_IS, 1])
    for workers in (0, 1, 2):
        name = "torchvision in the process" if workers == 0 else "torchvision"
        ways[name, max(workers, 1)] = lambda workers=workers: go_through(folder_batches(folder, workers, chosen))
    for batches in (packed_batches(files[AS_IS]), folder_batches(folder, 0)):
        next(iter(batches))  # what a process loads once
    for turn in range(turns):
        names = list(ways)
        for place in np.random.default_rng(turn).permutation(len(names)):
            (name, at_once), work = names[place], ways[names[place]]
            wall, cores = time.perf_counter(), core_seconds()
            work()
            wall, cores = time.perf_counter() - wall, core_seconds() - cores
            yield {
                "way": name, "at_once": at_once, "turn": turn, "count": len(chosen), "seconds": wall,
                "core_seconds": cores, "images_per_second": len(chosen) / wall,
                "images_per_core_second": len(chosen) / cores,
            }  # fmt: skip
    torch.set_num_threads(1)


def measure_first(files: dict[str, Path], folder: Path, turns: int) -> Iterator[Row]:
    torch.set_num_threads(1)
    for turn in range(turns):
        for name, begin in (
            *((name, lambda file=file: packed_batches(file)) for name, file in files.items()),
            ("torchvision", lambda: folder_batches(folder, 1)),
        ):
            began = time.perf_counter()
            next(iter(begin()))
            yield {"way": name, "turn": turn, "count": BATCH, "seconds": time.perf_counter() - began}


def held_bytes() -> int:
    """Proportional set size of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def hold(file: Path, batches: int, connection: Connection) -> None:
    """A worker: goes through some batches, and says what it holds while all the others do, too."""
    torch.set_num_threads(1)
    import_torchvision()
    before = held_bytes()
    made = packed_batches(file)
    for _ in range(batches):
        next(made)
    connection.send(None)
    connection.recv()
    connection.send(held_bytes() - before)
    connection.recv()


def cached_bytes(file: Path) -> int:
    """Pages of the file that the system holds, once for all processes."""
    return int(subprocess.run(["fincore", "-bnro", "RES", str(file)], check=True, capture_output=True).stdout)


def measure_memory(file: Path, batches: int) -> Iterator[Row]:
    with file.open("rb") as opened:
        while opened.read(2**24):
            pass
    spawned = multiprocessing.get_context("spawn")
    for workers in WORKERS:
        pairs = [spawned.Pipe() for _ in range(workers)]
        processes = [spawned.Process(target=hold, args=(file, batches, there)) for _, there in pairs]
        for process in processes:
            process.start()
        ends = [here for here, _ in pairs]
        for end in ends:
            end.recv()
        for end in ends:
            end.send(None)
        held = [end.recv() for end in ends]
        cached = cached_bytes(file)
        for end in ends:
            end.send(None)
        for process in processes:
            process.join()
        size = file.stat().st_size
        yield {
            "way": AS_IS, "at_once": workers, "count": batches * BATCH, "mebibytes_of_file": size / 2**20,
            "mebibytes_of_pages": cached / 2**20, "mebibytes_of_a_worker": float(np.mean(held)) / 2**20,
            "copies": cached / size,
        }  # fmt: skip


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def measure_killed(folder: Path, work: Path) -> Iterator[Row]:
    """Packs some classes, with two kills and without; the files have to be the same."""
    part = work / "part"
    part.mkdir(exist_ok=True)
    for name in sorted(path.name for path in (folder / "train").iterdir())[:KILLED_CLASSES]:
        if not (part / name).exists():
            (part / name).symlink_to(folder / "train" / name)
    whole, killed = work / "whole.packed", work / "killed.packed"
    for file in (whole, killed):
        file.unlink(missing_ok=True)

    def command(file: Path) -> list[str]:
        return [sys.executable, "-m", "taurank", "--quiet", "data", "pack", f"folder:{part}", "--out", str(file)]

    subprocess.run(command(whole), check=True)
    partial = killed.with_name(f"{killed.name}.partial")
    kept = 0
    for share in (0.3, 0.6):
        packing = subprocess.Popen(command(killed))
        while packing.poll() is None and (
            not partial.exists() or partial.stat().st_size < share * whole.stat().st_size
        ):
            time.sleep(0.01)
        packing.send_signal(signal.SIGKILL)
        assert packing.wait() == -signal.SIGKILL, "it had ended before it was killed"
        assert partial.stat().st_size > kept
        kept = partial.stat().st_size
    subprocess.run(command(killed), check=True)
    count = len(list(part.rglob("*/*.JPEG")))
    yield {"way": SMALLER, "count": count, "kills": 2, "same_bytes": digest(whole) == digest(killed)}


def prepare(folder: Path, work: Path, images: int) -> tuple[dict[str, Path], list[Row]]:
    """The files of packed images, and how fast they were packed; those that are there are left."""
    made = write_layout(folder, train=images, validation=200)
    print(f"{made} synthetic images were missing", flush=True)
    files, rows = {}, []
    for name, packing in ((AS_IS, Packing(None)), (SMALLER, Packing())):
        file = files[name] = work / f"{images}-{packing.short_side or 'as-is'}.packed"
        begun = not file.exists() and not file.with_name(f"{file.name}.partial").exists()
        wall, cores = time.perf_counter(), core_seconds()
        count = len(pack_images(f"imagenet:{folder}", file, packing).rows)
        wall, cores = time.perf_counter() - wall, core_seconds() - cores
        row = {"way": name, "count": count, "kilobytes_of_an_image": file.stat().st_size / count / 1000}
        if begun:
            row |= {"seconds": wall, "core_seconds": cores, "images_per_core_second": count / cores}
        rows.append(row)
    return files, rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="of the synthetic images; default: a temporary one")
    parser.add_argument("--images", type=int, default=20_000, help="training images")
    parser.add_argument("--timed", type=int, default=1_024, help="images of a turn of the speed")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    import_torchvision()
    lines = pd.read_csv(OUT).to_dict("records") if OUT.exists() else []
    lines = [line for line in lines if line["images"] == options.images]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "ilsvrc"
        work = folder.with_name(f"{folder.name}-packed")
        work.mkdir(parents=True, exist_ok=True)
        files, packing = prepare(folder, work, options.images)
        parts: dict[str, Callable[[], Iterator[Row]]] = {
            "packing": lambda: iter(packing),
            "speed": lambda: measure_speed(files, folder, options.images, options.timed, options.turns),
            "first": lambda: measure_first(files, folder, options.turns),
            "memory": lambda: measure_memory(files[AS_IS], batches=4),
            "killed": lambda: measure_killed(folder, work),
        }
        for part, measure in parts.items():
            if any(line["part"] == part for line in lines):
                continue
            found = []
            for row in measure():
                print(part, row, flush=True)
                found.append({"part": part, "images": options.images, **row})
            lines += found
            pd.DataFrame(lines).round(4).to_csv(OUT, index=False)
    table = pd.DataFrame(lines)
    speed = table[table["part"] == "speed"].groupby(["way", "at_once"])
    print(
        speed[["seconds", "core_seconds", "images_per_second", "images_per_core_second"]].median().round(1).to_string()
    )
    print(table[table["part"] != "speed"].dropna(axis=1, how="all").to_string(index=False))


if __name__ == "__main__":
    main()
