"""Which image files belong to which class: class folders, ImageNet's layout, or a CSV."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taurank.trainables.data.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Names of image files end so, in either case: those of torchvision's ImageFolder."""
SHOWN = 5
"""Names in a line about many files."""
_PARTS = {"train", "val", "valid", "validation", "test"}
_SYNSET = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class FileList:
    """Image files with their labels.

    Attributes:
        source: where they are from, for lines about them.
        root: folder that their names are relative to.
        train: pairs of a name and a label.
        test: likewise, of an official test set; empty where there is none.
        classes: names; label `i` is `classes[i]`.
        ignored: files beside them whose names say that they are no images.
    """

    source: str
    root: Path
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]
    classes: tuple[str, ...]
    ignored: int = 0


def list_folder(source: str, path: Path) -> FileList:
    """Files of a folder that has one subfolder a class, or of a CSV.

    A folder with `train` and one of `test`, `val`, `valid`, `validation` (looked for in this order) and nothing else
    in it has the classes in those: the second is the official test set. Files deeper down belong to their class;
    hidden ones to none.

    Raises:
        DataError: There is no such folder, less than two classes, a class without images, or two classes of one name.
    """
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise DataError(f"{source}: is a file; give a folder with one subfolder a class, or a .csv of file,label")
        return _list_csv(source, path)
    found = set(_subfolders(source, path))
    held_out = next((name for name in ("test", "val", "valid", "validation") if name in found), None)
    if "train" in found and held_out and found <= _PARTS:
        return _list_parts(source, path, "train", held_out)
    return _list_parts(source, path, "", None)


def list_imagenet(source: str, path: Path) -> FileList:
    """Files of ILSVRC's layout: `train` and `val` with a folder each synset (`n01440764`); `val` is the test set.

    Raises:
        DataError: It is laid out in another way; or see `list_folder`.
    """
    found = _subfolders(source, path)
    missing = [part for part in ("train", "val") if part not in found]
    if missing:
        raise DataError(f"{source}: has no folder {' and no folder '.join(missing)}; ImageNet comes as train/ and val/")
    for part in ("train", "val"):
        names = _subfolders(source, path / part)
        if not names and any(_is_image(entry.name) for entry in os.scandir(path / part)):
            raise DataError(f"{source}: {part} has images but no synset folders; sort them into some")
        odd = [name for name in names if not _SYNSET.fullmatch(name)]
        if odd:
            raise DataError(f"{source}: {part}/{odd[0]} is no synset (n01440764); for other classes write folder:PATH")
    return _list_parts(source, path, "train", "val")


def _list_parts(source: str, root: Path, train: str, test: str | None) -> FileList:
    classes = sorted(_subfolders(source, root / train))
    _check_classes(source, classes, root / train)
    label_of = {name: label for label, name in enumerate(classes)}
    learned, ignored = _walk(source, root, train, label_of)
    held_out: list[tuple[str, int]] = []
    if test is not None:
        unknown = sorted(set(_subfolders(source, root / test)) - set(classes))
        if unknown:
            raise DataError(f"{source}: {test} has the class {unknown[0]!r}, which {train} lacks")
        held_out, more = _walk(source, root, test, {name: label_of[name] for name in _subfolders(source, root / test)})
        ignored += more
        if not held_out:
            raise DataError(f"{source}: {test} has no images; remove it, and test images are cut from {train}")
    return FileList(source, root, tuple(learned), tuple(held_out), tuple(classes), ignored)


def _subfolders(source: str, path: Path) -> list[str]:
    """Names of the folders in a folder; hidden ones are nobody's classes."""
    try:
        return [entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{source}: {path} cannot be read ({error.strerror or error})") from None


def _check_classes(source: str, classes: Sequence[str], folder: Path) -> None:
    if not classes and any(_is_image(entry.name) for entry in os.scandir(folder)):
        raise DataError(
            f"{source}: has images but no class folders; put those of each class into a folder of its own,"
            " or list them in a .csv of file,label"
        )
    if len(classes) < 2:
        named = f" ({classes[0]})" if classes else ""
        raise DataError(f"{source}: has {len(classes)} class folders{named}; telling apart takes at least 2")
    first: dict[str, str] = {}
    for name in classes:
        alike = first.setdefault(unicodedata.normalize("NFKC", name).casefold().strip(), name)
        if alike != name:
            raise DataError(f"{source}: the classes {alike!r} and {name!r} are one name; join them, or rename one")


def _walk(source: str, root: Path, part: str, label_of: dict[str, int]) -> tuple[list[tuple[str, int]], int]:
    """Files below the class folders, in the order of their names, and how many are no images."""
    files: list[tuple[str, int]] = []
    ignored, empty = 0, []
    for name, label in sorted(label_of.items()):
        before = len(files)
        for folder, below, names in os.walk(root / part / name):
            below[:] = sorted(one for one in below if not one.startswith("."))
            relative = os.path.relpath(folder, root)
            for one in sorted(names):
                if _is_image(one):
                    files.append((os.path.join(relative, one), label))
                else:
                    ignored += not one.startswith(".")
        if len(files) == before:
            empty.append(name)
    if empty:
        raise DataError(f"{source}: no images in {_some(empty)}; add some, or remove the folder")
    return files, ignored


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _list_csv(source: str, path: Path) -> FileList:
    """Files of a CSV with the columns `file` and `label`, and perhaps `split` (train or test).

    Names are relative to the folder of the CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source}: cannot be read as a CSV in UTF-8 ({error})") from None
    if not rows:
        raise DataError(f"{source}: has no rows; it needs the columns file and label")
    if not {"file", "label"} <= rows[0].keys():
        raise DataError(f"{source}: needs the columns file and label, has {_some([*map(str, rows[0])])}")
    for number, row in enumerate(rows, start=2):
        if None in row or any(not (row[column] or "").strip() for column in ("file", "label")):
            raise DataError(f"{source}: line {number} does not have one value for each column")
        if (row.get("split") or "train") not in ("train", "test"):
            raise DataError(f"{source}: line {number}: split is {row['split']!r}; it has to be train or test")
    twice = [name for name, count in Counter(row["file"] for row in rows).items() if count > 1]
    if twice:
        raise DataError(f"{source}: {_some(twice)} listed twice; list each file once")
    classes = sorted({row["label"].strip() for row in rows if (row.get("split") or "train") == "train"})
    if len(classes) < 2:
        raise DataError(f"{source}: has {len(classes)} classes to train on; telling apart takes at least 2")
    _check_classes(source, classes, path.parent)
    label_of = {name: label for label, name in enumerate(classes)}
    unknown = sorted({row["label"].strip() for row in rows} - set(classes))
    if unknown:
        raise DataError(f"{source}: the class {unknown[0]!r} is in the test part only")
    parts: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for row in rows:
        parts[row.get("split") or "train"].append((row["file"].strip(), label_of[row["label"].strip()]))
    return FileList(source, path.parent, tuple(parts["train"]), tuple(parts["test"]), tuple(classes))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(" ".join(name.split()) for name in names[:SHOWN]) + more
