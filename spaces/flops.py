"""The count of FLOPs used by `size`, by the proxy `flops` and for parts of networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, bmm_flop, mm_flop, sdpa_flop

_Shape = Sequence[int]
_aten = torch.ops.aten


def _product_with_vector(*shapes: _Shape, out_shape: _Shape, **_: Any) -> int:
    """FLOPs of `mv` and `dot`: one multiplication for each entry of the first operand."""
    return 2 * prod(shapes[0])


def _added_product_with_vector(bias: _Shape, matrix: _Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(matrix)


def _trilinear(one: _Shape, two: _Shape, three: _Shape, *expand: Any, **_: Any) -> int:
    """FLOPs of the operator behind `nn.Bilinear`: one multiplication for each pair of features, output and row."""
    shapes: list[list[int]] = []
    for shape, added in zip((one, two, three), expand, strict=False):
        full = list(shape)
        for dimension in added:
            full.insert(dimension, 1)
        shapes.append(full)
    return 2 * int(prod(max(sizes) for sizes in zip(*shapes, strict=True)))


def _convolution_over_time(images: _Shape, weight: _Shape, *_: Any, out_shape: _Shape, **__: Any) -> int:
    return 2 * prod(out_shape) * weight[0] * weight[1]


def _recurrence(steps: _Shape, of_input: _Shape, of_state: _Shape, *_: Any, **__: Any) -> int:
    """FLOPs of the fused LSTM layer of a CPU: both matrices once for each step; steps are (time, batch, features)."""
    return 2 * steps[0] * steps[1] * (prod(of_input) + prod(of_state))


def _added_batch(bias: _Shape, one: _Shape, two: _Shape, *_: Any, **__: Any) -> int:
    return int(bmm_flop(one, two))


def _added_matrix(bias: _Shape, one: _Shape, two: _Shape, *_: Any, **__: Any) -> int:
    return int(mm_flop(one, two))


MISSING = {
    _aten.mv: _product_with_vector,
    _aten.dot: _product_with_vector,
    _aten.vdot: _product_with_vector,
    _aten.addmv: _added_product_with_vector,
    _aten.addbmm: _added_batch,
    _aten._addmm_activation: _added_matrix,
    _aten._trilinear: _trilinear,
    _aten.conv_tbc: _convolution_over_time,
    _aten.mkldnn_rnn_layer: _recurrence,
    _aten._scaled_dot_product_flash_attention_for_cpu: sdpa_flop,
    _aten._scaled_dot_product_fused_attention_overrideable: sdpa_flop,
}
"""Formulas, a multiplication and an addition as two, for operators with products that torch's counter has none for."""


class FlopCounter:
    """FLOPs of what is computed within `counted`.

    Attributes:
        flops: Multiply-accumulates so far; see `taurank.spaces.Size`.
    """

    def __init__(self) -> None:
        self._mode = FlopCounterMode(display=False, custom_mapping=MISSING)

    @property
    def flops(self) -> int:
        """Half of what torch counts, which takes a multiplication and an addition as two."""
        return int(self._mode.get_total_flops() // 2)


@contextmanager
def counted() -> Iterator[FlopCounter]:
    """Counts what is computed within, on any device, the meta device included; gradients are off.

    Fused kernels (attention, encoder layers, recurrent layers) do several products behind one operator that depends on
    device and mode. They are off within, so that the count is one of the network and not of the machine.
    """
    counter = FlopCounter()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
            torch.backends.cudnn.flags(enabled=False),
            counter._mode,
        ):
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def run_counted(network: nn.Module, images: Tensor) -> tuple[Any, int]:
    """Runs a network in evaluation mode and counts FLOPs over all images; the network stays in that mode.

    In training mode batch normalisation refuses a single value per channel, which one small image gives.
    """
    network.eval()
    # The counter hooks into the gradients of whatever a module is given, and fails where that is a weight.
    weights = [weight for weight in network.parameters() if weight.requires_grad and weight.is_leaf]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        with counted() as counter:
            output = network(images)
    finally:
        for weight in weights:
            weight.requires_grad_(True)
    return output, counter.flops


def count_flops(module: nn.Module, input_shape: Sequence[int]) -> int:
    """FLOPs of a part of a network for one input, by a pass in evaluation mode.

    Args:
        module: Maps one tensor (1, *input_shape).
        input_shape: Shape of the input without the batch.
    """
    return run_counted(module, torch.zeros(1, *input_shape))[1]
