"""Labels of ImageNet (ILSVRC 2012) as it comes: synset folders, Kaggle's layout, or the development kit."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from taurank.trainables.data.errors import DataError
from taurank.trainables.data.file_list import FileList, list_parts
from taurank.trainables.data.folder_walk import FolderWalk, is_image

_SYNSET = re.compile(r"n\d{8}")
_NUMBERED = re.compile(r"_val_(\d+)\.\w+")
_BELOW = ("", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC")
"""Where train and val are in the folder that is named; the others are Kaggle's."""
_ABOVE = 3
"""Files about the images are looked for in so many folders above them."""
_NAMES, _SOLUTION = "LOC_synset_mapping.txt", "LOC_val_solution.csv"
_TRUTH = "*validation_ground_truth.txt"


def is_synset(name: str) -> bool:
    """Whether a name is one of WordNet's for a noun, such as `n01440764`."""
    return _SYNSET.fullmatch(name) is not None


def list_imagenet(source: str, path: Path) -> FileList:
    """Files of ILSVRC's layout: `train` with a folder for each synset, and `val`, which is the test set.

    `val` has such folders too, or all images themselves; their labels are then those of Kaggle's `LOC_val_solution.csv`
    or of the development kit, whose `ILSVRC2012_validation_ground_truth.txt` has a number for each image and whose
    `meta.mat` has the synset of each number. Classes are named by `LOC_synset_mapping.txt` if it is there. These files
    may be in the folder, in a development kit beside the images, or in folders above them.

    Raises:
        DataError: It is laid out in another way; or see `list_folder`.
    """
    roots = [path / below for below in _BELOW if (path / below / "train").is_dir()]
    walk = FolderWalk(source, roots[0] if roots else path)
    found = walk.subfolders("")
    missing = [part for part in ("train", "val") if part not in found]
    if missing:
        raise DataError(f"{source}: has no folder {' and no folder '.join(missing)}; ImageNet comes as train/ and val/")
    for part in ("train", "val"):
        names = walk.subfolders(part, noting=False)
        if part == "train" and not names and walk.has_images(part):
            raise DataError(f"{source}: {part} has images but no synset folders; sort them into some")
        odd = [name for name in names if not is_synset(name)]
        if odd:
            raise DataError(f"{source}: {part}/{odd[0]} is no synset (n01440764); for other classes write folder:PATH")
    for name in found:
        if name not in ("train", "val"):
            walk.skip(name, "not a part of the set")
    if walk.subfolders("val", noting=False) or not walk.has_images("val"):
        files = list_parts(walk, {"train": "train", "test": "val"})
    else:
        synset_of = _validation_synsets(walk)
        files = list_parts(walk, {"train": "train"})
        files = replace(files, test=tuple(_flat(walk, files.classes, synset_of)))
    names_of = _class_names(walk.root)
    return replace(files, classes=tuple(names_of.get(synset, synset) for synset in files.classes))


def _around(root: Path) -> Iterator[Path]:
    """Folders in which files about the images may be."""
    for folder in (root, *root.absolute().parents[:_ABOVE]):
        yield from (folder, *sorted(folder.glob("*devkit*")), *sorted(folder.glob("*devkit*/data")))


def _first(root: Path, pattern: str) -> Path | None:
    return next((file for folder in _around(root) for file in sorted(folder.glob(pattern))), None)


def _class_names(root: Path) -> Mapping[str, str]:
    """`n01440764 tench` for each synset, from Kaggle's file; empty without it."""
    file = _first(root, _NAMES)
    if file is None:
        return {}
    pairs = (line.split(maxsplit=1) for line in _text(file).splitlines() if line.strip())
    return {pair[0]: " ".join([pair[0], *(words.split(",")[0].strip() for words in pair[1:])]) for pair in pairs}


def _flat(walk: FolderWalk, classes: tuple[str, ...], synset_of: Callable[[str], str]) -> Iterator[tuple[str, int]]:
    """Files of a `val` without folders, with their labels."""
    label_of = {synset: label for label, synset in enumerate(classes)}
    for name in sorted(entry.name for entry in (walk.root / "val").iterdir() if is_image(entry.name)):
        synset = synset_of(name)
        if synset not in label_of:
            raise DataError(f"{walk.source}: val/{name} has the class {synset!r}, which train lacks")
        yield f"val/{name}", label_of[synset]


def _validation_synsets(walk: FolderWalk) -> Callable[[str], str]:
    """Gives the synset of a validation image by the name of its file."""
    solution, truth = _first(walk.root, _SOLUTION), _first(walk.root, _TRUTH)
    if solution is not None:
        rows = csv.DictReader(_text(solution).splitlines())
        known = {row.get("ImageId") or "": (row.get("PredictionString") or "").partition(" ")[0] for row in rows}
        return lambda name: _of(known, name.partition(".")[0], name, solution)
    if truth is not None:
        synset_of = _numbered_synsets(truth.parent)
        lines = _text(truth).split()
        by_place = {str(place): synset_of.get(line, "") for place, line in enumerate(lines, start=1)}
        return lambda name: _of(by_place, _place_of(name), name, truth)
    raise DataError(
        f"{walk.source}: val has images but no synset folders; sort them into some, or put {_SOLUTION} or the"
        " development kit (ILSVRC2012_devkit_t12) beside it"
    )


def _place_of(name: str) -> str:
    found = _NUMBERED.search(name)
    return str(int(found[1])) if found else ""


def _of(known: Mapping[str, str], key: str, name: str, file: Path) -> str:
    synset = known.get(key, "")
    if not is_synset(synset):
        raise DataError(
            f"{file}: has no synset for val/{name}; images are called ILSVRC2012_val_00000001.JPEG and so on"
        )
    return synset


def _numbered_synsets(folder: Path) -> dict[str, str]:
    """Synsets by their numbers in the development kit, which are not in their order."""
    meta, table = folder / "meta.mat", folder / "map_clsloc.txt"
    if table.is_file():  # of later years; the numbers are the same
        return {line.split()[1]: line.split()[0] for line in _text(table).splitlines() if len(line.split()) > 1}
    if not meta.is_file():
        raise DataError(
            f"{folder}: has no meta.mat, which says which synset each number of the validation labels stands for; put"
            " that of the development kit there"
        )
    from scipy.io import loadmat

    try:
        numbers, synsets, *_ = zip(*loadmat(meta, squeeze_me=True)["synsets"], strict=True)
    except Exception as error:  # for a damaged file SciPy raises what its parsers do, of many types
        raise DataError(f"{meta}: is not that of a development kit ({' '.join(str(error).split())[:200]})") from None
    return {str(number): str(synset) for number, synset in zip(numbers, synsets, strict=True)}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
