"""Walks the folders of a data set: what is read, and what is not, by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from taurank.trainables.data.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp")
"""Names of image files end so, in either case: those of torchvision's ImageFolder, and all of PNM."""
SHOWN = 5
"""Names in a line about many files."""
_OF_SYSTEMS = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}
"""Folders that systems and programs leave behind, in lower case."""


class FolderWalk:
    """Lists class folders and their files, and keeps the names of what it passes over.

    Folders that are links are followed, each folder is read once: a link to one that was read is passed over.

    Args:
        source: for lines.
        root: folder that all names are relative to.
    """

    def __init__(self, source: str, root: Path) -> None:
        self.source, self.root = source, root
        self._skipped: dict[str, str] = {}
        self._others = 0

    def subfolders(self, folder: str, *, noting: bool = True) -> list[str]:
        """Names of the folders in a folder, sorted; without hidden ones, those of systems, and links to nothing.

        Args:
            folder: relative to the root.
            noting: whether those passed over are kept for `notes`.

        Raises:
            DataError: It cannot be read.
        """
        names = []
        for entry in self._entries(folder):
            passed_over = _passed_over(entry)
            if passed_over is None:
                if entry.is_dir():
                    names.append(entry.name)
            elif noting:
                self.skip(os.path.join(folder, entry.name), passed_over)
        return sorted(names)

    def has_images(self, folder: str) -> bool:
        """Whether image files are in a folder itself."""
        return any(is_image(entry.name) and not entry.is_dir() for entry in self._entries(folder))

    def holds_images(self, folder: str) -> bool:
        """Whether image files are anywhere below a folder."""
        return any(is_image(name) for _, _, names in os.walk(self.root / folder) for name in names)

    def skip(self, name: str, reason: str) -> None:
        """Keeps a folder for `notes`."""
        self._skipped.setdefault(name, reason)

    def files(self, part: str, label_of: Mapping[str, int]) -> list[tuple[str, int]]:
        """Image files below the class folders of a part with their labels: class by class, linked folders last.

        Raises:
            DataError: A class without images, or two class folders that are one.
        """
        read = {_identity(self.root / part): part, _identity(self.root): "the folder of the set"}
        names: dict[str, list[str]] = {}
        links: list[tuple[str, str]] = []
        for name in sorted(label_of):
            top = os.path.join(part, name)
            same = read.get(_identity(self.root / top))
            if same is not None:
                raise DataError(f"{self.source}: {same} and {top} are one folder; remove the link")
            names[name] = list(self._below(top, read, links, name))
        while links:
            name, link = links.pop(0)
            names[name] += self._below(link, read, links, name)
        empty = [name for name, found in names.items() if not found]
        if empty:
            raise DataError(f"{self.source}: no images in {some(empty)}; add some, or remove the folder")
        return [(file, label_of[name]) for name in sorted(names) for file in names[name]]

    def notes(self) -> list[str]:
        """Warnings about skipped folders and files."""
        notes = []
        if self._skipped:
            named = [f"{name} ({reason})" for name, reason in self._skipped.items()]
            folders = "folder is" if len(named) == 1 else "folders are"
            notes.append(f"{self.source}: {len(named)} {folders} left out: {some(named)}")
        if self._others:
            others = "1 file that is not an image" if self._others == 1 else f"{self._others} files that are not images"
            notes.append(f"{self.source}: skipped {others}")
        return notes

    def _below(
        self, folder: str, read: dict[tuple[int, int], str], links: list[tuple[str, str]], label: str
    ) -> Iterator[str]:
        """Image files of a folder and of those in it, in the order of their names; links to folders are put off."""
        same = read.setdefault(_identity(self.root / folder), folder)
        if same != folder:
            self.skip(folder, f"leads to {same}, which is read already")
            return
        entries = sorted(self._entries(folder), key=lambda entry: entry.name)
        for entry in entries:
            if not entry.is_dir():
                if is_image(entry.name):
                    yield os.path.join(folder, entry.name)
                elif _passed_over(entry) is None:
                    self._others += not entry.name.startswith(".")
        for entry in entries:
            name, passed_over = os.path.join(folder, entry.name), _passed_over(entry)
            if passed_over is not None:
                self.skip(name, passed_over)
            elif not entry.is_dir():
                continue
            elif entry.is_symlink():
                links.append((label, name))
            else:
                yield from self._below(name, read, links, label)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        path = self.root / folder
        try:
            with os.scandir(path) as entries:
                return list(entries)
        except OSError as error:
            raise DataError(f"{self.source}: {path} cannot be read ({error.strerror or error})") from None


def is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def some(names: Sequence[str]) -> str:
    """The first names, each on one line, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(" ".join(name.split()) for name in names[:SHOWN]) + more


def _passed_over(entry: os.DirEntry[str]) -> str | None:
    """Why a folder is not read, or a link that leads to nothing; None for any other entry."""
    if entry.is_symlink() and not os.path.exists(entry.path):
        return None if is_image(entry.name) else "a link to nothing"
    if not entry.is_dir():
        return None
    if entry.name.startswith("."):
        return "hidden"
    return "made by the system" if entry.name.casefold() in _OF_SYSTEMS else None


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino
