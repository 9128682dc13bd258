"""Models of timm, by name; timm is an optional extra."""

from __future__ import annotations

import csv
import importlib
from functools import cache
from importlib import resources
from types import ModuleType
from typing import TYPE_CHECKING, Any

from taurank.spaces.architecture import SpaceError
from taurank.spaces.model_options import ModelOptions, made_with
from taurank.spaces.zoo.source import ModelSource, natural_order
from taurank.spaces.zoo.torchvision_import import import_torchvision

if TYPE_CHECKING:
    from torch import nn


PUBLISHED = "timm_top1.csv"
"""Top-1 accuracy in percent on the 50,000 validation images of ImageNet-1k, with the side of the images, by model.

These are facts from `results/results-imagenet.csv` of pytorch-image-models (Apache-2.0), which lists every trained
weight at every size of images; `benchmarks.system.published_top1` selects one row a model.
"""


@cache
def _import_timm() -> ModuleType:
    import_torchvision()  # timm imports it, and it may need help
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise SpaceError("code: timm is not installed; pip install 'taurank[timm]'") from None


class TimmModels(ModelSource):
    """Registry of timm, without deprecated names."""

    prefix = "timm"

    @cache  # noqa: B019 - there is one of it
    def names(self) -> tuple[str, ...]:
        """All names, in natural order; they have no tag, since a tag names weights."""
        return tuple(sorted(_import_timm().list_models(), key=natural_order))

    @cache  # noqa: B019 - there is one of it
    def published(self) -> dict[str, float]:
        """Published top-1 accuracies by name without a tag; timm need not be installed."""
        file = resources.files("taurank.spaces.zoo") / PUBLISHED
        with file.open(encoding="utf-8") as lines:
            return {row["name"]: round(float(row["top1"]) / 100, 5) for row in csv.DictReader(lines)}

    def check(self, name: str) -> None:
        """Checks that a name exists and does not name weights."""
        bare, dot, tag = name.partition(".")
        if dot and bare in self.names():
            raise SpaceError(
                f"code: {tag!r} of 'timm:{name}' names trained weights, but all models start untrained here; "
                f"write timm:{bare}"
            )
        super().check(name)

    def build(self, name: str, *, input_shape: tuple[int, int, int], classes: int, options: ModelOptions) -> nn.Module:
        """Makes the network for any number of channels and classes; a fixed size becomes the requested one.

        Where residual branches can begin at zero, timm's models do so by themselves.
        """
        timm = _import_timm()
        channels, height, width = input_shape
        needed: dict[str, Any] = {"pretrained": False, "num_classes": classes, "in_chans": channels}
        wanted = options.named(dropout="drop_rate", drop_path="drop_path_rate")
        create = timm.create_model
        known = timm.get_pretrained_cfg(name)
        if known is not None and known.fixed_input_size:
            try:
                sized = needed | {"model_name": name, "img_size": (height, width)}
                found: nn.Module = made_with(create, sized, wanted)
                return found
            except TypeError as error:
                if "img_size" not in str(error):
                    raise
        network: nn.Module = made_with(create, needed | {"model_name": name}, wanted)
        return network

    def module(self, name: str) -> str:
        """Module of timm.models that defines the model."""
        module: str = _import_timm().model_entrypoint(name).__module__
        return module

    def usual_shape(self, name: str) -> tuple[int, int, int]:
        """Input size of its default configuration."""
        known = _import_timm().get_pretrained_cfg(name)
        channels, height, width = (3, 224, 224) if known is None else known.input_size
        return int(channels), int(height), int(width)
