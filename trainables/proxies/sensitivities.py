"""Derivatives of the logits of every single image with respect to one entry of each parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, autograd, nn
from torch.autograd import forward_ad
from torch.autograd.graph import disable_saved_tensors_hooks
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

# Operators in which the first entry of weight and bias acts on the first channel alone, and where channels stand.
_CHANNEL_DIMENSION = dict.fromkeys(
    [
        functional.conv1d, functional.conv2d, functional.conv3d,
        functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d,
        functional.batch_norm, functional.group_norm, functional.instance_norm,
    ],
    1,
) | dict.fromkeys([functional.linear, functional.layer_norm, functional.rms_norm], -1)  # fmt: skip


def entry_sensitivities(
    network: nn.Module,
    parameters: Sequence[nn.Parameter],
    images: Tensor,
    directions_of: Callable[[Tensor], Tensor],
) -> tuple[Tensor, list[int]]:
    """Derivatives of combinations of an image's logits with respect to the first entry of each parameter.

    The statistics of batch normalisation are those of the batch, taken as constants, so that no image changes the
    logits of another. One pass forward and one backward for each combination give the derivatives of all images and
    parameters: the gradient at the output of every operator that takes a parameter, times the derivative of that
    output with respect to the entry. A parameter is read where it enters such an operator directly, with the images as
    first dimension; not where it enters transposed or expanded, and not in operators that work in place.

    Args:
        network: Left in evaluation mode, its parameters without gradients.
        parameters: Of the network.
        images: (n, channels, height, width).
        directions_of: Makes of logits (n, classes) the combinations: (combinations, n, classes).

    Returns:
        (combinations, n, parameters read), and the positions of the parameters that were read.
    """
    network.eval().requires_grad_(False)
    recorder = _Recorder({id(parameter): place for place, parameter in enumerate(parameters)}, len(images))
    # What a checkpoint computes again in the backward pass would have other statistics.
    no_checkpoints = disable_saved_tensors_hooks("checkpoints compute their features again, with other statistics")
    # Fused kernels of attention have no forward derivative.
    with sdpa_kernel(SDPBackend.MATH), torch.enable_grad(), no_checkpoints, recorder:
        start = images.clone().requires_grad_()
        logits = network(start)
    directions = directions_of(logits.detach())
    rows = []
    for direction in directions if logits.requires_grad else ():
        recorder.found = {}
        autograd.grad(logits, start, direction.to(logits.dtype), retain_graph=True, allow_unused=True)
        rows.append(recorder.found)
    read = sorted(rows[0]) if rows else []
    if not read:
        return torch.zeros(len(directions), len(images), 0, dtype=torch.float64, device=images.device), []
    return torch.stack([torch.stack([row[place] for place in read], 1) for row in rows]).double(), read


class _Recorder(TorchFunctionMode):
    """Holds the derivatives of the operators' outputs, and adds up `found` in each backward pass."""

    def __init__(self, places: Mapping[int, int], images: int) -> None:
        super().__init__()
        self._places, self._images = places, images
        self.found: dict[int, Tensor] = {}  # place of the parameter: derivative for each image, (n,)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is functional.batch_norm:
            args, kwargs = _with_constant_statistics(*args, **kwargs), {}
        output = function(*args, **kwargs)
        attention = function is functional.multi_head_attention_forward
        value, image_dimension = (output[0], 1) if attention else (output, 0)
        in_place = any(output is arg for arg in args)
        if in_place or not isinstance(value, Tensor) or not value.requires_grad or value.dim() < 2:
            return output
        if value.shape[image_dimension] == self._images:
            arguments: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
            for key, parameter in arguments:
                if isinstance(parameter, nn.Parameter) and id(parameter) in self._places:
                    effect = _effect(function, args, kwargs, key)
                    channel = _CHANNEL_DIMENSION.get(function)
                    self._watch(value, effect, image_dimension, channel, self._places[id(parameter)])
        return output

    def _watch(self, value: Tensor, effect: Tensor, image_dimension: int, channel: int | None, place: int) -> None:
        # Only the slice that is not zero is kept: a whole one for each parameter would fill the memory.
        effect = effect if channel is None else effect.select(channel, 0).clone()

        def add(gradient: Tensor) -> None:
            reached = gradient if channel is None else gradient.select(channel, 0)
            product = (reached * effect).movedim(image_dimension, 0).reshape(self._images, -1).sum(1)
            self.found[place] = self.found[place] + product if place in self.found else product

        value.register_hook(add)  # type: ignore[no-untyped-call]


def _effect(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], key: int | str) -> Tensor:
    """Derivative of the operator's output with respect to the first entry of the parameter at `key`."""
    parameter = args[key] if isinstance(key, int) else kwargs[key]
    direction = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
    direction.view(-1)[0] = 1
    with torch.no_grad(), forward_ad.dual_level():
        dual = forward_ad.make_dual(parameter.detach().contiguous(), direction)  # type: ignore[no-untyped-call]
        # Forward derivatives of some operators (group normalisation) want contiguous inputs.
        args = tuple(arg.contiguous() if isinstance(arg, Tensor) else arg for arg in args)
        if isinstance(key, int):
            output = function(*args[:key], dual, *args[key + 1 :], **kwargs)
        else:
            output = function(*args, **kwargs | {key: dual})
        value = output[0] if isinstance(output, tuple) else output
        tangent: Tensor = forward_ad.unpack_dual(value).tangent  # type: ignore[no-untyped-call]
    return tangent


def _with_constant_statistics(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Any, ...]:
    """Arguments of `batch_norm` that normalise with the statistics of this batch as if they were known before."""
    dimensions = [dimension for dimension in range(input.dim()) if dimension != 1]
    variance, mean = torch.var_mean(input.detach(), dimensions, correction=0)
    return input, mean, variance, weight, bias, False, momentum, eps
