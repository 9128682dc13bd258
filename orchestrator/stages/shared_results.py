"""Trainings that runs of one folder share: each is kept under the address of all that its numbers depend on.

The address is a digest of architecture, recipe, images, seed, code and device. A run that needs a training which an
earlier one has completed takes its rows from there, costs included: its log, its budget and its decisions are those of
a run that trained itself.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import taurank.spaces
import taurank.trainables
from taurank.orchestrator.evidence import TAKEN, EvidenceLog
from taurank.orchestrator.experiment import TrainingSpec
from taurank.spaces import Architecture, get_space
from taurank.spaces.own_code import import_own, is_own_code
from taurank.trainables.trials import TrialSpec

FOLDER = ".results"
"""Beside the folders of the runs that share it."""
LIBRARIES = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless")
"""Whose versions a training depends on."""


@dataclass(frozen=True)
class SharedResults:
    """Where a stage keeps its complete trainings, and looks for those of other runs.

    Attributes:
        folder: of all of them.
        images: digest of those that the stage trains on.
        device: ``cpu`` or ``cuda``: they differ in the last bits.
    """

    folder: Path
    images: str
    device: str

    def shared(self, spec: TrialSpec) -> TrialSpec:
        """The trial with the file that its training is kept in."""
        address = self.address(spec)
        return replace(spec, kept=str(self.folder / address[:2] / f"{address}.json"))

    def address(self, spec: TrialSpec) -> str:
        """The content address of a training; how many of its epochs the trial wants is no part of it."""
        space = get_space(spec.space, **spec.space_options)
        own = [spec.space] if is_own_code(spec.space) else []
        named = (space.own_code(Architecture(space.name, code)) for code in spec.architectures)
        own += [name for name in named if name is not None]
        what = (
            spec.space,
            sorted(spec.space_options.items()),
            spec.architectures,
            spec.recipe,
            spec.seed,
            spec.epoch_share,
            spec.task,
            self.images,
            self.device,
            code_version(),
            [own_code_version(name) for name in own],
        )
        return hashlib.sha256(repr(what).encode()).hexdigest()[:40]


def images_of(digest: str, spec: TrainingSpec, judge: str) -> str:
    """Digest of the images that a stage trains on, from that of all images.

    Args:
        digest: of all images.
        spec: the stage, which may train on less data.
        judge: the candidate whose losses tell how hard images are, where that decides.
    """
    if spec.epoch_share == 1:
        return digest
    by = f"{spec.subset.by} of {judge}" if spec.subset.choosing_epochs else spec.subset.by
    labels = "labels" if spec.task is None else "no labels"
    return f"{digest} {spec.subset.share!r} {by} {labels} {spec.resolution!r} seed {spec.seed}"


def taken_over_line(log: EvidenceLog) -> str:
    """What a run has not trained itself, in one line for people; empty for nothing."""
    events = log.events()
    taken = events.loc[events["event"] == TAKEN, "trial"].unique()
    if not len(taken):
        return ""
    rows = log.evidence()
    epochs = rows.loc[rows["trial"].isin(taken), "epochs"].sum()
    trainings = "training was" if len(taken) == 1 else "trainings were"
    return (
        f"{len(taken):,} {trainings} taken over from earlier runs here ({epochs:,.0f} epochs, booked as there);"
        " share_results: false trains anew"
    )


@cache
def code_version() -> str:
    """Digest of the code that builds and trains networks, and of the versions of the libraries below it."""
    digest = hashlib.sha256()
    for package in (taurank.spaces, taurank.trainables):
        root = Path(package.__path__[0])
        _add_sources(digest, root, root.rglob("*.py"))
    for name in LIBRARIES:
        digest.update(f"{name} {_version(name)}\n".encode())
    return digest.hexdigest()


@cache
def own_code_version(name: str) -> str:
    """Digest of the user's own code that ``package.module:name`` is in: its package, or else its folder."""
    import_own(name)
    top = sys.modules[name.partition(":")[0].partition(".")[0]]
    folders = [Path(folder) for folder in getattr(top, "__path__", ())]
    digest = hashlib.sha256()
    for folder in folders:
        _add_sources(digest, folder, folder.rglob("*.py"))
    if not folders and top.__file__ is not None:
        folder = Path(top.__file__).parent
        _add_sources(digest, folder, folder.glob("*.py"))
    return digest.hexdigest()


def _add_sources(digest: hashlib._Hash, root: Path, files: Iterable[Path]) -> None:
    """Adds files by their paths below ``root``, so that two of one name cannot change places, each with its length."""
    for file in sorted(files):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
