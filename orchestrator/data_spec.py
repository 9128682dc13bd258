"""What an experiment says of its images."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from orchestrator.spec import Seed, Spec
from trainables.data import check_dataset_name
from trainables.data.own_images import split_own


class DataSpec(Spec):
    """Images and how they are split.

    ``name`` is a published data set, or own images: ``folder:PATH``, ``imagenet:PATH``, ``npz:PATH``. A path is
    relative to the folder of the experiment file. ``size`` is what files are decoded to; without it that is 64.

    ``validation``, ``test`` and ``train`` are a share of the images (below 1) or a number of images. Ranking looks at
    validation images only, the baseline at test images. ``size`` resizes all images to size x size. ``evaluate_on:
    training`` evaluates on the training images; it is there to repeat a published study that did so.
    """

    name: str
    validation: float | int = 0.2
    test: float | int | None = None
    train: float | int | None = None
    size: int | None = Field(default=None, ge=4)
    seed: Seed = 0
    evaluate_on: Literal["held-out", "training"] = "held-out"

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        check_dataset_name(name)
        return name

    def relative_to(self, folder: Path) -> DataSpec:
        """The same with the path of own images made absolute: it means the same from wherever the run goes on."""
        own = split_own(self.name)
        if own is None:
            return self
        kind, path = own
        return self.model_copy(update={"name": f"{kind}:{(folder / path).resolve()}"})

    @field_validator("validation", "test", "train")
    @classmethod
    def _some(cls, share: float | int | None) -> float | int | None:
        if share is not None and (share <= 0 or (isinstance(share, float) and share > 1)):
            raise ValueError(f"{share} is neither a share of the images (0.2) nor a number of images (1000)")
        return share
