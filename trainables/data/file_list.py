"""Labels of image files: class folders, or a CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from taurank.trainables.data.errors import DataError
from taurank.trainables.data.folder_walk import FolderWalk, some
from taurank.trainables.data.part_names import NAMES, Part, assign_parts, part_of, plain, resembles_part

ANNOTATIONS = {
    "annotation", "annotations", "bboxes", "bounding_boxes", "ground_truth", "groundtruth", "labels", "masks",
    "segmentation", "segmentations",
}  # fmt: skip
"""Names of folders that may hold annotations of other folders or be classes."""

Listed = tuple[tuple[str, int], ...]
"""Pairs of a file name and a label."""


@dataclass(frozen=True)
class FileList:
    """Image files with their labels.

    Attributes:
        source: where they are from, for lines about them.
        root: folder that their names are relative to.
        train: to train on; what is lacking is cut from them.
        validation: likewise, of an official validation set; empty where there is none.
        test: likewise, of an official test set.
        classes: names; label `i` is `classes[i]`.
        notes: lines on how the folder was read and what in it was not.
    """

    source: str
    root: Path
    train: Listed
    validation: Listed
    test: Listed
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[Part, Listed]:
        """Files by part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all files, part by part."""
        return tuple(name for part in self.parts.values() for name, _ in part)

    @property
    def labels(self) -> tuple[int, ...]:
        """Labels of all files."""
        return tuple(label for part in self.parts.values() for _, label in part)


def list_folder(source: str, path: Path) -> FileList:
    """Files of a folder that has one subfolder a class, or of a CSV.

    The classes are in the folder itself, or in folders of parts (`NAMES`, in either case) one of which is `train`.
    Other folders beside parts are left out. Files deeper down belong to their class, hidden ones to none.

    Raises:
        DataError: There is no such folder, it can be read in two ways, it has less than two classes, a class without
            images, or two classes of one name.
    """
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise DataError(f"{source}: is a file; give a folder with one subfolder a class, or a .csv of file,label")
        return _list_csv(source, path)
    walk = FolderWalk(source, path)
    folders = walk.subfolders("")
    named = [name for name in folders if part_of(name)]
    # What holds classes is a part of the set; what holds images is a class, or images without labels.
    nested = [name for name in named if walk.subfolders(name, noting=False) and not walk.has_images(name)]
    if not named or not nested:
        _check_flat(walk, folders, named)
        return list_parts(walk, {"train": ""})
    training = [name for name in nested if part_of(name) == "train"]
    others = [n for n in folders if n not in named and not _is_annotation(n) and walk.holds_images(n)]
    if not training or (len(nested) == 1 and others):
        raise _two_readings(source, nested, [name for name in folders if name not in nested])
    flat = [name for name in named if name not in nested and walk.has_images(name)]
    assign_parts(source, named)
    for name in flat:
        walk.skip(name, "its images are in no class folders")
    for name in folders:
        if name not in named:
            walk.skip(name, "not a part of the set")
    parts = assign_parts(source, [name for name in named if name not in flat])
    listed = list_parts(walk, parts)
    return replace(listed, notes=(*_readings(source, parts), *listed.notes))


def _check_flat(walk: FolderWalk, folders: Sequence[str], named: Sequence[str]) -> None:
    """Refuses class folders that could be parts: they are called so, or their names resemble those of parts."""
    if "train" in map(part_of, named) and len(named) > 1:
        raise _two_readings(walk.source, named, [name for name in folders if name not in named])
    alike = [name for name in folders if resembles_part(name)]
    if "train" in map(resembles_part, alike) and len(alike) > 1:
        classes = [set(walk.subfolders(name, noting=False)) for name in alike]
        if set.intersection(*classes) and not any(map(walk.has_images, alike)):
            raise _two_readings(walk.source, alike, [name for name in folders if name not in alike])


def _two_readings(source: str, parts: Sequence[str], others: Sequence[str]) -> DataError:
    beside = f" beside {some(others)}" if others else ""
    names = "; ".join(" or ".join(names) for names in NAMES.values())
    return DataError(
        f"{source}: {some(parts)} can be read as parts of the set, or as classes{beside}. As parts they have to be"
        f" called {names}, with class folders in each, and train among them; for classes list the files in a .csv of"
        " file,label"
    )


def _is_annotation(name: str) -> bool:
    return plain(name).replace(" ", "_").replace("-", "_") in ANNOTATIONS


def list_parts(walk: FolderWalk, parts: Mapping[Part, str]) -> FileList:
    """Files of the class folders in each part; the part `""` is the folder itself."""
    source, train = walk.source, parts["train"]
    classes = sorted(_class_folders(walk, train))
    _check_classes(source, classes, walk, train)
    label_of = {name: label for label, name in enumerate(classes)}
    files: dict[Part, Listed] = {"train": tuple(walk.files(train, label_of))}
    for part in (part for part in parts if part != "train"):
        folder = parts[part]
        held = _class_folders(walk, folder)
        unknown = sorted(set(held) - set(classes))
        if unknown:
            raise DataError(f"{source}: {folder} has the class {unknown[0]!r}, which {train} lacks")
        files[part] = tuple(walk.files(folder, {name: label_of[name] for name in held}))
        if not files[part]:
            raise DataError(f"{source}: {folder} has no images; remove it, and {part} images are cut from {train}")
    return FileList(
        source,
        walk.root,
        files["train"],
        files.get("validation", ()),
        files.get("test", ()),
        tuple(classes),
        tuple(walk.notes()),
    )


def _readings(source: str, parts: Mapping[Part, str]) -> list[str]:
    """A line where the use of a part does not follow from its name alone."""
    train, held_out = parts.get("train"), parts.get("test", "")
    if "validation" in parts:
        return [f"{source}: the validation images are those of {parts['validation']}, none are cut from {train}"]
    if part_of(held_out) == "validation":
        return [f"{source}: {held_out} is the test set, as there is no other; validation images are cut from {train}"]
    return []


def _class_folders(walk: FolderWalk, part: str) -> list[str]:
    """Class folders of a part. Folders of annotations are left out where they hold no images."""
    classes = []
    for name in walk.subfolders(part):
        where = f"{part}/{name}" if part else name
        if not _is_annotation(name):
            classes.append(name)
        elif walk.holds_images(where):
            raise DataError(
                f"{walk.source}: {where} can be read as a class, or as annotations of the other images; move it out of"
                " the folder, or rename it if it is a class"
            )
        else:
            walk.skip(where, "no images in it")
    return classes


def _check_classes(source: str, classes: Sequence[str], walk: FolderWalk, part: str) -> None:
    if not classes and walk.has_images(part):
        raise DataError(
            f"{source}: has images but no class folders; put those of each class into a folder of its own,"
            " or list them in a .csv of file,label"
        )
    if len(classes) == 1:
        below = walk.subfolders(f"{part}/{classes[0]}" if part else classes[0], noting=False)
        if len(below) > 1:
            raise DataError(
                f"{source}: has 1 class folders ({classes[0]}); telling apart takes at least 2. If the classes are"
                f" {some(sorted(below))}, give the folder {classes[0]} instead"
            )
    _check_names(source, classes)


def _check_names(source: str, classes: Sequence[str]) -> None:
    if len(classes) < 2:
        named = f" ({classes[0]})" if classes else ""
        raise DataError(f"{source}: has {len(classes)} class folders{named}; telling apart takes at least 2")
    first: dict[str, str] = {}
    for name in classes:
        alike = first.setdefault(plain(name), name)
        if alike != name:
            raise DataError(f"{source}: the classes {alike!r} and {name!r} are one name; join them, or rename one")


def _list_csv(source: str, path: Path) -> FileList:
    """Files of a CSV with the columns `file` and `label`, and perhaps `split` (see `NAMES`).

    Names are relative to the folder of the CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            reader.fieldnames = [plain(name) for name in reader.fieldnames or ()]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source}: cannot be read as a CSV in UTF-8 ({error})") from None
    if not rows:
        raise DataError(f"{source}: has no rows; it needs the columns file and label")
    if not {"file", "label"} <= rows[0].keys():
        raise DataError(f"{source}: needs the columns file and label, has {some([*map(str, rows[0])])}")
    for number, row in enumerate(rows, start=2):
        if None in row or any(not (row[column] or "").strip() for column in ("file", "label")):
            raise DataError(f"{source}: line {number} does not have one value for each column")
        row["split"] = (row.get("split") or "").strip() or "train"
        if part_of(row["split"]) is None:
            known = ", ".join(name for names in NAMES.values() for name in names)
            raise DataError(f"{source}: line {number}: split is {row['split']!r}; it has to be one of {known}")
    twice = [name for name, count in Counter(row["file"].strip() for row in rows).items() if count > 1]
    if twice:
        raise DataError(f"{source}: {some(twice)} listed twice; list each file once")
    parts = assign_parts(source, {plain(row["split"]) for row in rows})
    files_of = {part: [row for row in rows if plain(row["split"]) == name] for part, name in parts.items()}
    classes = sorted({row["label"].strip() for row in files_of.get("train", ())})
    if len(classes) < 2:
        raise DataError(f"{source}: has {len(classes)} classes to train on; telling apart takes at least 2")
    _check_names(source, classes)
    label_of = {name: label for label, name in enumerate(classes)}
    listed: dict[Part, Listed] = {}
    for part, found in files_of.items():
        unknown = sorted({row["label"].strip() for row in found} - set(classes))
        if unknown:
            raise DataError(f"{source}: the class {unknown[0]!r} is in the {part} part only")
        listed[part] = tuple((row["file"].strip(), label_of[row["label"].strip()]) for row in found)
    return FileList(
        source,
        path.parent,
        listed["train"],
        listed.get("validation", ()),
        listed.get("test", ()),
        tuple(classes),
        tuple(_readings(source, parts)),
    )
