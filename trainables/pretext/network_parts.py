"""Finds the last linear layer and the last feature map of a network by a forward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from taurank.spaces import describe_structure
from taurank.spaces.architecture import one_line
from taurank.trainables.pretext.task import PretextError


def find_classifier(network: nn.Module, input_shape: tuple[int, int, int], *, task: str) -> tuple[str, nn.Linear]:
    """Name and layer whose output is the output of the network.

    Raises:
        PretextError: The network cannot take such images, or does not end in a linear layer.
    """
    parts, logits = _run(network, input_shape, task)
    for name, part, made in reversed(parts):
        if isinstance(part, nn.Linear) and made is logits:
            return name, part
    raise PretextError(f"{task}: this network does not end in a linear layer; choose rotation")


def find_last_map(network: nn.Module, input_shape: tuple[int, int, int], *, task: str) -> tuple[str, int]:
    """Name of the last part that puts out a map of more than one pixel, and the channels of that map.

    Raises:
        PretextError: The network cannot take such images, is no network of convolutions with a linear layer at its end,
            or its maps are a single pixel before its last convolution.
    """
    if describe_structure(network).family == "transformer":
        raise PretextError(f"{task}: this network is a transformer, which has no feature map; choose rotation")
    find_classifier(network, input_shape, task=task)
    parts, _ = _run(network, input_shape, task)
    places = [place for place, (_, _, made) in enumerate(parts) if made.ndim == 4 and made.shape[2:].numel() > 1]
    # Beyond the map there may be 1x1 convolutions, as heads of some networks are made of.
    beyond = parts[places[-1] + 1 :] if places else parts
    if any(isinstance(part, nn.Conv2d) and max(part.kernel_size) > 1 for _, part, _ in beyond):
        height, width = input_shape[1:]
        raise PretextError(
            f"{task}: for images of {height} x {width} the last map of this network is a single pixel; "
            "take larger images (data.size, resolution), or choose rotation"
        )
    name, _, made = parts[places[-1]]
    return name, int(made.shape[1])


def replace_part(network: nn.Module, name: str, part: nn.Module) -> nn.Module:
    """The network with another part under that name; the part itself where the network is just that."""
    if not name:
        return part
    network.set_submodule(name, part)
    return network


def _run(
    network: nn.Module, input_shape: tuple[int, int, int], task: str
) -> tuple[list[tuple[str, nn.Module, Tensor]], Any]:
    """Parts in the order in which they have ended, with the tensors that they put out, and the network's output.

    In evaluation mode, which changes no statistics and draws no random numbers.
    """
    parts: list[tuple[str, nn.Module, Tensor]] = []

    def keep(name: str) -> Any:
        def hook(part: nn.Module, given: Any, made: Any) -> None:
            if isinstance(made, Tensor):
                parts.append((name, part, made))

        return hook

    handles = [part.register_forward_hook(keep(name)) for name, part in network.named_modules() if name]
    modes = [(part, part.training) for part in network.modules()]
    try:
        with torch.no_grad():
            output = network.eval()(torch.zeros(1, *input_shape))
    except Exception as error:
        shape = "x".join(map(str, input_shape))
        raise PretextError(f"{task}: this network cannot take inputs of {shape}: {one_line(error)}") from error
    finally:
        for handle in handles:
            handle.remove()
        for part, training in modes:
            part.training = training
    return parts, output
