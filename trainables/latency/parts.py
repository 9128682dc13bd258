"""The parts of a network that latencies are measured of, and the texts that name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taurank.spaces import Architecture, SearchSpace


class LatencyError(ValueError):
    """A latency cannot be measured or looked up; one line with the way out."""


@dataclass(frozen=True)
class Part:
    """A module that the network's own `forward` calls.

    Attributes:
        key: see `latency_keys`.
        module: of the network.
        input_shape: of its input without the batch.
    """

    key: str
    module: nn.Module
    input_shape: tuple[int, ...]


def latency_keys(
    space: SearchSpace, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int
) -> tuple[str, ...]:
    """Keys of the parts that a network runs through, in order.

    The key of a part is its structure and the shapes of its input and its output without the batch, such as

        MobileBlock(expand=(1x1:8-16 BatchNorm2d ReLU) depthwise=(5x5:16-16,s2,g16 BatchNorm2d ReLU) squeeze=Identity
        project=(1x1:16-16 BatchNorm2d)) 8x28x28 16x14x14

    on one line; a convolution is its kernel and channels, then stride, groups, bias. Parts of equal keys are taken to
    do the same.

    Raises:
        SpaceError: the space cannot build the network for this task.
        LatencyError: a part does not map one tensor to one tensor.
    """
    return tuple(part.key for part in parts_of(space, architecture, input_shape=input_shape, classes=classes))


def parts_of(
    space: SearchSpace, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int
) -> list[Part]:
    """Builds a network and passes one image through it; leaves the random numbers as they are.

    A part is a stem, a block, a cell, a head. What the network computes between them is in none: resizing the images,
    which a device would not do within the network; the mean over a map.

    Raises:
        SpaceError: the space cannot build the network for this task.
        LatencyError: a part does not map one tensor to one tensor.
    """
    # Not on the meta device: there a pass takes several times as long as a real one of a single image. On one thread:
    # on a busy machine, threads wait for one another longer than layers as small as these take.
    with torch.random.fork_rng(devices=[]), threads_set(1):
        network = space.build(architecture, input_shape=input_shape, classes=classes)
        return _called(network.eval(), torch.zeros(1, *input_shape))


@contextmanager
def threads_set(count: int) -> Iterator[None]:
    """PyTorch takes this number of threads within; as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _called(network: nn.Module, images: Tensor) -> list[Part]:
    """The modules that a network's own forward calls, in the order of the calls."""
    parts: list[Part] = []
    running: list[nn.Module] = []

    def before(module: nn.Module, args: Any) -> None:
        running.append(module)

    def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        running.pop()
        if running:
            return
        if kwargs or len(args) != 1 or not isinstance(args[0], Tensor) or not isinstance(output, Tensor):
            raise LatencyError(
                f"network: its part {type(module).__name__} does not map one tensor to one tensor, so that it cannot "
                "be measured alone; use measure_latency on the network"
            )
        shapes = ("x".join(map(str, tensor.shape[1:])) for tensor in (args[0], output))
        parts.append(Part(" ".join((_structure(module), *shapes)), module, tuple(args[0].shape[1:])))

    handles = []
    for module in network.modules():
        if module is not network:
            handles.append(module.register_forward_pre_hook(before))
            handles.append(module.register_forward_hook(after, with_kwargs=True))
    try:
        with torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return parts


def _structure(module: nn.Module) -> str:
    """The layers of a module on one line."""
    children = list(module.named_children())
    if not children:
        return _layer(module)
    if type(module) is nn.Sequential:
        return f"({' '.join(_structure(child) for _, child in children)})"
    inner = " ".join(f"{name}={_structure(child)}" for name, child in children)
    return f"{type(module).__name__}({inner})"


def _layer(layer: nn.Module) -> str:
    if type(layer) is nn.BatchNorm2d and layer.affine and layer.track_running_stats:
        return "BatchNorm2d"  # its other options make no difference to the time
    if type(layer) is nn.Conv2d and _is_usual(layer):
        height, width = layer.kernel_size
        text = f"{height}x{width}:{layer.in_channels}-{layer.out_channels}"
        text += f",s{layer.stride[0]}" if layer.stride[0] > 1 else ""
        text += f",g{layer.groups}" if layer.groups > 1 else ""
        return text + (",bias" if layer.bias is not None else "")
    described = layer.extra_repr().replace(" ", "")
    return f"{type(layer).__name__}({described})" if described else type(layer).__name__


def _is_usual(layer: nn.Conv2d) -> bool:
    same = tuple(size // 2 for size in layer.kernel_size)
    alike = layer.stride[0] == layer.stride[1] and layer.dilation == (1, 1)
    return alike and layer.padding == same and layer.padding_mode == "zeros"
