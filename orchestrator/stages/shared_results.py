"""Trainings that runs of one folder share, each stored under a digest of everything that its result depends on.

The digest covers architecture, recipe, images, seed, code and device. A run that needs a training of an earlier run
copies its rows, including costs, so that its log, budget and decisions are those of a run that trained itself.
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
"""Folder beside the run folders."""
LIBRARIES = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless")
"""Libraries whose versions a training depends on."""


@dataclass(frozen=True)
class SharedResults:
    """Storage of the complete trainings of a stage and of other runs.

    Attributes:
        folder: of all results.
        images: digest of the images of the stage.
        device: ``cpu`` or ``cuda``, whose results differ in the last bits.
    """

    folder: Path
    images: str
    device: str

    def shared(self, spec: TrialSpec) -> TrialSpec:
        """The trial with the file of its stored training."""
        address = self.address(spec)
        return replace(spec, kept=str(self.folder / address[:2] / f"{address}.json"))

    def address(self, spec: TrialSpec) -> str:
        """The content address of a training; independent of how many of its epochs the trial needs."""
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


def images_of(digest: str, spec: TrainingSpec, reference_code: str) -> str:
    """Digest of the images of a stage, which may train on less data, from the digest of all images.

    ``reference_code`` is the candidate whose losses measure the difficulty of images.
    """
    if spec.epoch_share == 1:
        return digest
    by = f"{spec.subset.by} of {reference_code}" if spec.subset.choosing_epochs else spec.subset.by
    labels = "labels" if spec.task is None else "no labels"
    return f"{digest} {spec.subset.share!r} {by} {labels} {spec.resolution!r} seed {spec.seed}"


def taken_over_line(log: EvidenceLog) -> str:
    """One line on the trainings taken over from other runs; empty without any."""
    events = log.events()
    taken = events.loc[events["event"] == TAKEN, "trial"].unique()
    if not len(taken):
        return ""
    rows = log.evidence()
    epochs = rows.loc[rows["trial"].isin(taken), "epochs"].sum()
    trainings = "training was" if len(taken) == 1 else "trainings were"
    return (
        f"{len(taken):,} {trainings} taken over from earlier runs here ({epochs:,.0f} epochs, booked as there);"
        " share_results: false trains them again"
    )


@cache
def code_version() -> str:
    """Digest of the code that builds and trains networks, and of the versions of its libraries."""
    digest = hashlib.sha256()
    for package in (taurank.spaces, taurank.trainables):
        root = Path(package.__path__[0])
        _add_sources(digest, root, root.rglob("*.py"))
    for name in LIBRARIES:
        digest.update(f"{name} {_version(name)}\n".encode())
    return digest.hexdigest()


@cache
def own_code_version(name: str) -> str:
    """Digest of the user's code that contains ``package.module:name``: its package, or else its folder."""
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
    """Adds paths below ``root``, lengths and contents, so that swapped files change the digest."""
    for file in sorted(files):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
