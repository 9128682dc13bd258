"""Recorders of operators: layers with weights, and on/off codes of units.

The classes of modules are not inspected, so that activations called as functions, user-defined layers and attention
are seen as well as `nn.ReLU` and `nn.Conv2d`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_hidden = ContextVar("hidden", default=False)


@contextmanager
def unseen() -> Iterator[None]:
    """Units that are computed within are part of another one: no recorder takes notice of them."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


_WEIGHTED = {
    torch.conv1d, torch.conv2d, torch.conv3d, functional.conv1d, functional.conv2d, functional.conv3d,
    functional.linear,
    torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d,
    functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d,
}  # fmt: skip
_PRODUCTS = {
    "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "inner", "einsum", "tensordot", "bilinear",
    "addmm", "addbmm", "baddbmm", "addmv",
}  # fmt: skip
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}
_ATTENTION_WEIGHTS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj_weight")


class LayerRecorder(TorchFunctionMode):
    """Calls a function for every convolution, linear, attention layer and product with a parameter while it is active.

    Args:
        on_layer: Called with the weights of a layer (one, but for attention) and its output, images first.
        on_norm: Called with the input of every batch normalisation.
    """

    def __init__(
        self,
        on_layer: Callable[[Sequence[Tensor], Tensor], None],
        on_norm: Callable[[Tensor], None] | None = None,
    ) -> None:
        super().__init__()
        self._on_layer, self._on_norm = on_layer, on_norm

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in (functional.batch_norm, torch.batch_norm) and self._on_norm is not None:
            self._on_norm(args[0] if args else kwargs["input"])
        output = function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        if function in _WEIGHTED:
            self._on_layer([args[1] if len(args) > 1 else kwargs["weight"]], output)
        elif name in _PRODUCTS or name in _RECURRENT:
            weights = [weight for weight in map(_weight_of, tree_leaves((args, kwargs))) if weight is not None]
            if weights:
                self._on_layer(weights, output if isinstance(output, Tensor) else output[0])
        elif function is functional.multi_head_attention_forward:
            attended = output[0].transpose(0, -2)  # (tokens, n, channels) to (n, tokens, channels), as all the rest
            self._on_layer(_attention_weights(args, kwargs), attended)
            output = (attended.transpose(0, -2), *output[1:])
        return output


class WeightRecorder(LayerRecorder):
    """Keeps the weights of the layers that are computed while it is active, in order of first use, each once.

    Args:
        on_norm: Called with the input of every batch normalisation.
    """

    def __init__(self, on_norm: Callable[[Tensor], None] | None = None) -> None:
        super().__init__(self._keep, on_norm)
        self._by_id: dict[int, Tensor] = {}

    @property
    def weights(self) -> list[Tensor]:
        """As they were used: parameters, or what was computed of them."""
        return list(self._by_id.values())

    def _keep(self, weights: Sequence[Tensor], output: Tensor) -> None:
        self._by_id.update((id(weight), weight) for weight in weights)


def _weight_of(operand: Any) -> Tensor | None:
    """The parameter that an operand is, transposed or reshaped too; or a view of a part of one; None for others."""
    if not isinstance(operand, Tensor) or operand.dim() < 2:
        return None
    if isinstance(operand, nn.Parameter):
        return operand
    base = operand._base
    if not isinstance(base, nn.Parameter):
        return None
    return base if base.numel() == operand.numel() else operand


def _attention_weights(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    names = functional.multi_head_attention_forward.__code__.co_varnames
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    return [given[name] for name in _ATTENTION_WEIGHTS if given.get(name) is not None]


_aten = torch.ops.aten
_FORWARD = dict.fromkeys([
    _aten.relu.default, _aten.relu_.default, _aten.hardtanh.default, _aten.hardtanh_.default,
    _aten.leaky_relu.default, _aten.leaky_relu_.default, _aten.elu.default, _aten.elu_.default,
    _aten.celu.default, _aten.celu_.default, _aten.selu.default, _aten.selu_.default,
    _aten.gelu.default, _aten.silu.default, _aten.silu_.default, _aten.mish.default, _aten.mish_.default,
    _aten.hardswish.default, _aten.hardswish_.default, _aten._prelu_kernel.default, _aten.softplus.default,
    _aten.rrelu_with_noise.default, _aten.rrelu_with_noise_.default, _aten.threshold.default,
    _aten.threshold_.default,
], 0)  # fmt: skip
# Where the unit's value stands among the arguments. It is the unit's input or its output: being above
# zero or not is the same for both.
_BACKWARD = {
    _aten.threshold_backward.default: 1, _aten.hardtanh_backward.default: 1, _aten.leaky_relu_backward.default: 1,
    _aten.elu_backward.default: 5, _aten.gelu_backward.default: 1, _aten.silu_backward.default: 1,
    _aten.mish_backward.default: 1, _aten.hardswish_backward.default: 1, _aten._prelu_kernel_backward.default: 1,
    _aten.softplus_backward.default: 1, _aten.rrelu_with_noise_backward.default: 1,
}  # fmt: skip


class CodeRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Calls a function with the on/off code of every unit with a bend at zero that is computed while it is active.

    Units: ReLU, ReLU6, leaky, parametric and randomised ReLU, ELU, CELU, SELU, GELU, SiLU, Mish, hard-swish, softplus;
    a unit is on where its input is above zero. Gates (sigmoid, hard-sigmoid, softmax) are not units. One written
    out by hand, as `x * x.sigmoid()` or `x.clamp(min=0)`, is seen within `OneSpelling` only.

    Around a forward pass it sees every unit; around a backward pass it sees those from which a path leads to what is
    differentiated: units of dead branches drop out.

    Args:
        on_code: Called with a bool tensor of the shape of the unit's input.
        backward: Whether it is around a backward pass; what is computed again there (checkpoints) does not count.
    """

    def __init__(self, on_code: Callable[[Tensor], None], *, backward: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._on_code = on_code
        self._places = _BACKWARD if backward else _FORWARD

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in self._places and not _hidden.get():
            self._on_code(args[self._places[function]] > 0)
        return function(*args, **(kwargs or {}))


class UnitRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Calls a function with the output of every unit that `CodeRecorder` knows, in a forward pass.

    Args:
        on_output: Called with it.
    """

    def __init__(self, on_output: Callable[[Tensor], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._on_output = on_output

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        if function in _FORWARD and not _hidden.get():
            self._on_output(output)
        return output
