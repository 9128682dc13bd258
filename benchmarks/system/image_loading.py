"""Reading images from a folder: taurank's OpenCV reader against Pillow through torchvision's ImageFolder, in one run.

Writes 60,000 images of MNIST (28 x 28, PNG), 60,000 of CIFAR-10 (32 x 32, JPEG; the available ones, repeated) and
3,000 larger ones (CIFAR-10 enlarged to 500 x 375, JPEG) into temporary folders, and reads them in turns: into the cache
(decoded, resized, written), again from the cache, and through ImageFolder with a DataLoader of as many workers as there
are cores, resized in the same way (short side, then the middle). Then two Ray workers take as many images of 32 x 32 at
once: as copies, as a memory map, and from the object store; memory is the sum of what each holds of its own and its
part of what they share (PSS), less what it held before. Writes `image_loading.csv`.

    python -m benchmarks.system.image_loading
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import ray
import torch
from torch.utils.data import DataLoader

from taurank.spaces.zoo.torchvision_import import import_torchvision
from taurank.trainables.data import load_dataset
from taurank.trainables.data.decoded_cache import decode_files
from taurank.trainables.data.mapped import MappedImages

OUT = Path(__file__).parent / "results" / "image_loading.csv"
SIZES = {"mnist": 28, "cifar10": 32, "photographs": 64}
COUNTS = {"mnist": 60_000, "cifar10": 60_000, "photographs": 3_000}


def write_images(kind: str, ending: str, count: int, folder: Path) -> list[str]:
    """Names of the files, in their class folders."""
    published = load_dataset("mnist" if kind == "mnist" else "cifar10")
    names = []
    for place in range(count):
        source = place % len(published.train.images)
        image = published.train.images[source][..., ::-1]
        if kind == "photographs":
            image = cv2.resize(np.ascontiguousarray(image), (500, 375), interpolation=cv2.INTER_CUBIC)
        name = f"{published.train.labels[source]}/{place:06}.{ending}"
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), np.ascontiguousarray(image))
        names.append(name)
    return sorted(names)


def read_by_pillow(folder: Path, size: int) -> int:
    """Reads through ImageFolder and a DataLoader; returns the number of images."""
    torchvision = import_torchvision()
    transforms = torchvision.transforms
    change = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.PILToTensor()])
    images = torchvision.datasets.ImageFolder(str(folder), change)
    loader = DataLoader(images, batch_size=256, num_workers=os.cpu_count() or 1)
    decoded = torch.cat([pixels for pixels, _ in loader])
    return len(decoded)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def read_both(kind: str, ending: str, count: int, turns: int) -> Iterator[dict[str, object]]:
    size = SIZES[kind]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        folder.mkdir()
        names = write_images(kind, ending, count, folder)
        for turn in range(turns):
            cache = Path(place) / f"cache{turn}"

            def decode(cache: Path = cache) -> None:
                found = decode_files(folder, names, size=size, cache=cache)
                assert found.images.shape[0] == count

            for reader, work in (
                ("opencv", decode),
                ("cache", decode),
                ("pillow", lambda: read_by_pillow(folder, size)),
            ):
                seconds = timed(work)
                yield {
                    "what": "reading", "images": kind, "files": ending, "count": count, "reader": reader, "turn": turn,
                    "seconds": seconds, "images_per_second": count / seconds,
                }  # fmt: skip


def held_bytes() -> int:
    """Proportional set size of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@ray.remote(num_cpus=1)
class Worker:
    def __init__(self) -> None:
        self.before = held_bytes()

    def take(self, images: Any, way: str) -> None:
        """Goes through all images; `images` is their file but in the object store."""
        self.images = images
        if way == "copies":
            self.images = np.load(images)
        elif way == "map":
            self.images = MappedImages(images)
        for start in range(0, len(self.images), 256):
            self.images[start : start + 256].sum()

    def holds(self) -> int:
        return held_bytes() - self.before


def share_memory(count: int, size: int) -> Iterator[dict[str, object]]:
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "images.npy"
        np.save(file, pixels)
        for way in ("copies", "map", "object store"):
            workers = [Worker.remote() for _ in range(2)]  # type: ignore[attr-defined]
            given = ray.put(pixels if way == "object store" else file)
            ray.get([worker.take.remote(given, way) for worker in workers])
            held = sum(ray.get([worker.holds.remote() for worker in workers]))
            for worker in workers:
                ray.kill(worker)
            yield {
                "what": "memory",
                "count": count,
                "reader": way,
                "mebibytes_of_images": pixels.nbytes / 2**20,
                "mebibytes_of_two_workers": held / 2**20,
            }
    ray.shutdown()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="images instead of 60,000 small and 3,000 large ones")
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args(arguments)
    import_torchvision()  # no part of reading
    lines: list[dict[str, object]] = []
    for kind, ending in (("mnist", "png"), ("cifar10", "jpg"), ("photographs", "jpg")):
        for line in read_both(kind, ending, options.count or COUNTS[kind], options.turns):
            lines.append(line)
            print(line, flush=True)
    for line in share_memory(options.count or 60_000, 32):
        lines.append(line)
        print(line, flush=True)
    table = pd.DataFrame(lines)
    table.round(3).to_csv(OUT, index=False)
    print(table.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
