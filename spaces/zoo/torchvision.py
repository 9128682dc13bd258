"""Classification models of torchvision, by name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from taurank.spaces.architecture import SpaceError
from taurank.spaces.model_options import ModelOptions, made_with
from taurank.spaces.zoo.source import ModelSource, natural_order
from taurank.spaces.zoo.torchvision_import import import_torchvision

if TYPE_CHECKING:
    from torch import nn

RGB = 3
TRAINED_ON_IMAGENET = "IMAGENET1K_V"
"""Start of the names of weights that saw ImageNet-1k alone; `IMAGENET1K_SWAG` saw billions of other images before."""


class TorchvisionModels(ModelSource):
    """torchvision's own list, without those for detection, segmentation, video and quantised weights."""

    prefix = "torchvision"

    @cache  # noqa: B019 - there is one of it
    def names(self) -> tuple[str, ...]:
        """All names, in natural order."""
        models = import_torchvision().models
        return tuple(sorted(models.list_models(module=models), key=natural_order))

    @cache  # noqa: B019 - there is one of it
    def published(self) -> dict[str, float]:
        """Accuracies that torchvision states with its weights; reading them loads no weights."""
        models = import_torchvision().models
        found = {}
        for name in self.names():
            stated = [
                weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
                for weights in models.get_model_weights(name)
                if weights.name.startswith(TRAINED_ON_IMAGENET)
            ]
            if stated:
                found[name] = round(max(stated) / 100, 5)
        return found

    def build(self, name: str, *, input_shape: tuple[int, int, int], classes: int, options: ModelOptions) -> nn.Module:
        """Makes the network with its last layer for `classes`. Vision transformers are built for the requested size.

        Its first layer takes colour images; `RepeatedGrey` adapts it to grey ones.
        """
        from taurank.spaces.zoo.repeated_grey import RepeatedGrey

        channels, height, width = input_shape
        if channels not in (1, RGB):
            raise SpaceError(
                f"input_shape: torchvision:{name} takes images of 1 or 3 channels, not {channels}; "
                "models of timm take any number"
            )
        models = import_torchvision().models
        needed: dict[str, Any] = {"name": name, "weights": None, "num_classes": classes}
        if name.startswith("vit_"):
            if height != width:
                raise SpaceError(f"input_shape: torchvision:{name} takes square images, not {height}x{width}")
            needed["image_size"] = height
        elif name.startswith("maxvit"):
            needed["input_size"] = (height, width)
        if name in ("googlenet", "inception_v3"):
            # Without them the network has one output, as the others; the weights are drawn as its paper does.
            needed |= {"aux_logits": False, "init_weights": True}
        names = {"dropout": "dropout", "drop_path": "stochastic_depth_prob", "zero_init_last": "zero_init_residual"}
        network: nn.Module = made_with(models.get_model, needed, options.named(**names))
        return RepeatedGrey(network) if channels == 1 else network

    def module(self, name: str) -> str:
        """Module of torchvision.models that defines the model."""
        module: str = import_torchvision().models.get_model_builder(name).__module__
        return module

    def usual_shape(self, name: str) -> tuple[int, int, int]:
        """Crop size of its published weights."""
        weights = import_torchvision().models.get_model_weights(name).DEFAULT
        side = int(weights.transforms.keywords["crop_size"])
        return RGB, side, side
