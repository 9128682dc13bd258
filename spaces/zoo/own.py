"""User-defined models: a function or class named `package.module:factory`."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from taurank.spaces.architecture import SpaceError
from taurank.spaces.model_options import UNCHANGED, ModelOptions
from taurank.spaces.own_code import import_own
from taurank.spaces.zoo.source import ModelSource

if TYPE_CHECKING:
    from torch import nn

USUAL_SHAPE = (3, 224, 224)


class OwnModels(ModelSource):
    """Factories in any importable module; a name is the whole code.

    A factory receives those of these keyword arguments that it accepts: `num_classes` or `classes`; `in_chans`,
    `in_channels` or `channels`; `img_size` or `image_size` (height, width); `input_shape` (channels, height, width);
    and, if the recipe sets them, `dropout` or `drop_rate`, `drop_path` or `drop_path_rate`.
    It has to accept the number of classes. Without a parameter for channels or size the model is assumed to fit the
    images.
    """

    prefix = "package.module"

    def names(self) -> tuple[str, ...]:
        """Empty: user modules cannot be listed."""
        return ()

    def check(self, name: str) -> None:
        """Checks that the factory can be imported and accepts the number of classes.

        Raises:
            SpaceError: It cannot be used.
        """
        factory = import_own(name)
        if not callable(factory):
            raise SpaceError(f"code: {name!r} is {type(factory).__name__}, not a function or a class that makes models")
        known = _parameters(factory)
        if not {"num_classes", "classes"} & set(known):
            raise SpaceError(
                f"code: {name!r} takes no num_classes; give it that parameter, so that it fits the data"
                f" (it has {', '.join(known) or 'none'})"
            )
        given = _arguments(factory, USUAL_SHAPE, 2)
        needed = [key for key, one in known.items() if one.default is Parameter.empty and key not in given]
        if needed:
            raise SpaceError(f"code: {name!r} needs {', '.join(needed)}; give it a default, or wrap it in a function")

    def build(self, name: str, *, input_shape: tuple[int, int, int], classes: int, options: ModelOptions) -> nn.Module:
        """Calls the factory."""
        from torch import nn

        factory = import_own(name)
        network = factory(**_arguments(factory, input_shape, classes, options))
        if not isinstance(network, nn.Module):
            raise SpaceError(f"code: {name!r} returns {type(network).__name__}, not a torch.nn.Module")
        return network

    def module(self, name: str) -> str:
        """The module that has the factory."""
        return name.partition(":")[0]

    def usual_shape(self, name: str) -> tuple[int, int, int]:
        """Shape of ImageNet, since a factory declares none."""
        return USUAL_SHAPE


def _parameters(factory: Any) -> dict[str, Parameter]:
    try:
        found = signature(factory).parameters
    except (TypeError, ValueError):
        return {}
    return {key: one for key, one in found.items() if one.kind in (Parameter.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}


def _arguments(
    factory: Any, input_shape: tuple[int, int, int], classes: int, options: ModelOptions = UNCHANGED
) -> dict[str, Any]:
    channels, height, width = input_shape
    values = {
        "num_classes": classes,
        "classes": classes,
        "in_chans": channels,
        "in_channels": channels,
        "channels": channels,
        "img_size": (height, width),
        "image_size": (height, width),
        "input_shape": input_shape,
    }
    values |= options.named(dropout="dropout", drop_path="drop_path")
    values |= options.named(dropout="drop_rate", drop_path="drop_path_rate")
    known = _parameters(factory)
    return {key: value for key, value in values.items() if key in known}
