"""One network however it is written: noise off, statistics of the batch on, units by hand taken for torch's own.

`nn.Dropout` can be switched off as a module, `functional.dropout` cannot; `nn.Hardswish` is one operator,
`x * relu6(x + 3) / 6` is four. Proxies inspect modules and operators, so they would distinguish such networks. While
`OneSpelling` is active, both compute the same operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from taurank.trainables.proxies.recorders import unseen

Unit = Callable[[Tensor], Tensor]
Function = Callable[..., Any]

_DROPOUTS = {
    "dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "alpha_dropout_",
    "feature_dropout", "feature_dropout_", "feature_alpha_dropout", "feature_alpha_dropout_",
}  # fmt: skip

_OPERATIONS = (
    *("add", "sub", "subtract", "rsub", "mul", "multiply", "div", "divide", "true_divide", "neg", "negative"),
    *("pow", "square", "sqrt", "exp", "expm1", "log", "log1p", "reciprocal", "abs", "absolute", "sign", "sgn"),
    *("sigmoid", "expit", "special_expit", "tanh", "erf", "special_erf", "heaviside", "where", "masked_fill"),
    *("clamp", "clip", "clamp_min", "clamp_max", "maximum", "minimum", "max", "min", "fmax", "fmin"),
    *("gt", "lt", "ge", "le", "greater", "less", "greater_equal", "less_equal"),
    *("softplus", "logsigmoid", "log_sigmoid", "hardsigmoid", "softsign", "tanhshrink", "relu", "relu6", "hardtanh"),
    *("leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "threshold", "_threshold", "rrelu"),
    *("zeros_like", "ones_like", "float", "double", "type", "to", "type_as"),
)
_OPERATORS = (
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "div", "rdiv", "pow", "rpow"),
    *("neg", "abs", "gt", "lt", "ge", "le"),
)
_ELEMENTWISE = {
    *_OPERATIONS,
    *(f"{name}_" for name in _OPERATIONS),
    *(f"__{name}__" for name in _OPERATORS),
    *(f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "div", "pow")),
}
"""Names of functions that work on each element alone."""

_OWN_UNITS = {
    "relu", "relu_", "relu6", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "elu", "elu_", "selu", "selu_",
    "celu", "celu_", "gelu", "silu", "mish", "hardswish", "softplus", "threshold", "threshold_", "_threshold", "rrelu",
    "rrelu_",
}  # fmt: skip

_GRID = torch.linspace(-30, 30, 2401, dtype=torch.float64)
"""Values at which two functions of one number are compared; -1, 0 and 1 are among them."""
_LIMIT = 25.0
"""A bound of a function lies within this, or it is none: the function grows beyond the grid."""


_UNITS: list[Unit] = [
    functional.relu, functional.silu, functional.gelu, partial(functional.gelu, approximate="tanh"),
    functional.hardswish, functional.mish, functional.softplus, functional.selu,
]  # fmt: skip


def as_unit(values: Tensor) -> Unit | None:
    """The unit of torch, with its options, that has these values at the grid; None where none has."""
    low, high, at_minus_one = float(values.min()), float(values.max()), float(values[(_GRID + 1).abs().argmin()])
    candidates = list(_UNITS)
    if -_LIMIT < low < high < _LIMIT:
        candidates.append(partial(functional.hardtanh, min_val=low, max_val=high))
    if -0.99 < at_minus_one < 0:  # a slope of one is no bend
        candidates.append(partial(functional.leaky_relu, negative_slope=-at_minus_one))
    if -_LIMIT < low < 0:
        candidates += [partial(functional.elu, alpha=-low), partial(functional.celu, alpha=-low)]
    return next((unit for unit in candidates if torch.allclose(unit(_GRID), values, rtol=1e-5, atol=1e-5)), None)


@dataclass(frozen=True)
class _Step:
    """Action at one call of an elementwise function.

    Attributes:
        name: Of the function; another one is left alone.
        unit: What to compute of the start instead; None for a call that is part of such a unit and not to be seen.
        start: Call and argument at which the tensor that the unit is a function of is met first.
    """

    name: str
    unit: Unit | None = None
    start: tuple[int, int | str] = (0, 0)


Spelling = Mapping[int, _Step]
"""Actions at the elementwise calls of a network's forward, by call number."""


class OneSpelling(TorchFunctionMode):
    """Computes a network as if it were written with torch's own units, in training mode without noise.

    Dropout hands on its input; batch and instance normalisation use the statistics of the batch; units by hand are
    computed by torch's.

    Args:
        spelling: Of the network, from `read_spelling`.
    """

    def __init__(self, spelling: Spelling) -> None:
        super().__init__()
        self._spelling = spelling
        self._call = 0
        self._starts: dict[tuple[int, int | str], Tensor] = {}
        self._wanted = {step.start for step in spelling.values() if step.unit is not None}

    def __torch_function__(
        self, function: Function, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kwargs = getattr(function, "__name__", ""), dict(kwargs or {})
        if name in _DROPOUTS:
            return args[0] if args else kwargs["input"]
        if name in _ELEMENTWISE and any(_is_features(value) for value in (*args, *kwargs.values())):
            self._call += 1
            return self._elementwise(self._call, name, function, args, kwargs)
        return self._other(*_without_noise(function, args, kwargs))

    def _other(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return function(*args, **kwargs)

    def _elementwise(
        self, call: int, name: str, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        for number, place in self._wanted:
            if number == call:
                self._starts[number, place] = args[place] if isinstance(place, int) else kwargs[place]
        step = self._spelling.get(call)
        if step is None or step.name != name:
            return function(*args, **kwargs)
        if step.unit is None:
            with unseen():
                return function(*args, **kwargs)
        start = self._starts[step.start]
        if _works_in_place(name, kwargs):
            return args[0].copy_(step.unit(start.clone()))
        return step.unit(start)


@dataclass(eq=False)
class _Traced:
    """A tensor that is a function of each element of another one alone.

    Attributes:
        tensor: Kept, so that no other gets its id.
        start: What it is a function of.
        version: Of `start`; it changes where that is overwritten.
        place: Call and argument at which `start` is met first.
        values: The function at the grid.
        calls: Those that it is computed by.
        used: Whether anything but an elementwise function takes it.
    """

    tensor: Tensor
    start: Tensor
    version: int
    place: tuple[int, int | str]
    values: Tensor
    calls: dict[int, _Traced] = field(default_factory=dict)
    used: bool = False


class _Reader(OneSpelling):
    """Follows what becomes of each tensor while elementwise functions work on it, and on the grid in parallel."""

    def __init__(self) -> None:
        super().__init__({})
        self._traced: dict[int, _Traced] = {}
        self._units: dict[int, tuple[_Step, _Traced]] = {}
        self._names: dict[int, str] = {}

    def spelling(self) -> Spelling:
        """Units and what is part of them."""
        found: dict[int, _Step] = {}
        for call in sorted(self._units, reverse=True):  # a unit may be part of a later one
            if call in found:
                continue
            step, traced = self._units[call]
            found[call] = step
            for inner, part in traced.calls.items():
                if inner != call and not part.used:
                    found[inner] = _Step(self._names[inner])
        return found

    def _other(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        output = function(*args, **kwargs)
        if isinstance(output, Tensor | tuple | list) and not isinstance(output, torch.Size):
            for value in (*args, *kwargs.values()):
                for tensor in value if isinstance(value, tuple | list) else (value,):
                    if isinstance(tensor, Tensor) and id(tensor) in self._traced:
                        self._traced[id(tensor)].used = True
        return output

    def _elementwise(
        self, call: int, name: str, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        before = self._follow(call, name, function, args, kwargs)
        output = function(*args, **kwargs)
        if before is None or not isinstance(output, Tensor) or output.shape != before.start.shape:
            if isinstance(output, Tensor):
                self._traced.pop(id(output), None)
            return output
        before.tensor = output
        before.calls[call] = before
        overwritten = output is before.start
        self._names[call] = name
        is_own = name in _OWN_UNITS and len(before.calls) == 1
        if not is_own and before.values.is_floating_point() and (unit := as_unit(before.values)) is not None:
            self._units[call] = (_Step(name, unit, before.place), before)
        if overwritten:
            self._traced.pop(id(output), None)  # what comes next begins with it anew
        else:
            self._traced[id(output)] = before
        return output

    def _follow(
        self, call: int, name: str, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> _Traced | None:
        """The function on the grid instead of its one tensor; None where it has several, or weights."""
        start: Tensor | None = None
        place: tuple[int, int | str] = (call, 0)
        calls: dict[int, _Traced] = {}
        replaced: dict[int | str, Any] = {}
        arguments: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        for key, value in arguments:
            replaced[key] = value
            if not isinstance(value, Tensor):
                continue
            traced = self._traced.get(id(value))
            if traced is not None and traced.start._version != traced.version:
                traced = None
            if traced is None and (constant := _constant(value)) is not None:
                replaced[key] = constant
                continue
            if isinstance(value, nn.Parameter) or (traced is None and not value.is_floating_point()):
                return None
            origin = value if traced is None else traced.start
            if start is not None and origin is not start:
                return None
            if traced is not None:
                calls |= traced.calls
            known = (call, key) if traced is None else traced.place
            place = known if start is None else min(place, known, key=lambda one: one[0])
            start = origin
            replaced[key] = (_GRID if traced is None else traced.values).clone()
        if start is None:
            return None
        try:
            with torch.no_grad():
                values = function(
                    *(replaced[index] for index in range(len(args))), **{key: replaced[key] for key in kwargs}
                )
        except Exception:
            return None
        if not isinstance(values, Tensor) or values.shape != _GRID.shape:
            return None
        if values.is_floating_point():
            values = values.double()
        return _Traced(start, start, start._version, place, values, calls)


def read_spelling(run: Callable[[], object]) -> Spelling:
    """Finds the units that a forward pass writes out by hand.

    A unit is a function of each element of one tensor alone, without weights, that agrees at 2,401 points of [-30, 30]
    with one that torch has: ReLU, ReLU6 and other clipped ones, leaky ReLU, ELU, CELU, SELU, GELU, SiLU, Mish,
    hard-swish, softplus.

    Args:
        run: Runs the network; what it raises ends the reading, and nothing is found.
    """
    reader = _Reader()
    with torch.enable_grad(), reader:
        try:
            run()
        except Exception:
            return {}
    return reader.spelling()


def in_one_spelling(network: nn.Module, spelling: Spelling) -> None:
    """Makes a network compute within `OneSpelling` whenever it is called, from now on.

    It works on a copy of its images: one that begins with an operator in place would change them for all others.
    """
    active: list[OneSpelling] = []

    def enter(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        copies = tuple(value.clone() if isinstance(value, Tensor) else value for value in args)
        active.append(OneSpelling(spelling))
        active[-1].__enter__()  # type: ignore[no-untyped-call]
        return copies

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        active.pop().__exit__(None, None, None)  # type: ignore[no-untyped-call]

    network.register_forward_pre_hook(enter)
    network.register_forward_hook(leave, always_call=True)


def is_normalisation(module: nn.Module) -> bool:
    """Whether it is named as one: what depends on the batch in training mode."""
    return "norm" in getattr(module, "original_name", type(module).__name__).lower()


def _is_features(value: object) -> bool:
    """Not a counter, say of batches, which moves in one mode and not in another."""
    return isinstance(value, Tensor) and value.dim() > 1


def _constant(value: Tensor) -> Tensor | None:
    """The one number of a tensor that depends on no weights; None if it has several, or depends on some."""
    if value.requires_grad or value.numel() == 0 or not bool((value == value.reshape(-1)[0]).all()):
        return None
    return value.detach().reshape(-1)[0].cpu()


def _works_in_place(name: str, kwargs: Mapping[str, Any]) -> bool:
    return name.startswith("__i") or (name.endswith("_") and not name.endswith("__")) or bool(kwargs.get("inplace"))


def _without_noise(
    function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Function, tuple[Any, ...], dict[str, Any]]:
    """The call with noise off and the statistics of the batch on."""
    if function is functional.scaled_dot_product_attention:
        return function, *_with_argument(args, kwargs, 4, "dropout_p", 0.0)
    if function is functional.multi_head_attention_forward:
        names = functional.multi_head_attention_forward.__code__.co_varnames
        return function, *_with_argument(args, kwargs, names.index("training"), "training", False)
    if function is torch.batch_norm:
        features, weight, bias, mean, variance, training, momentum, epsilon, *_ = args
        function, args = functional.batch_norm, (features, mean, variance, weight, bias, training, momentum, epsilon)
    if function is functional.batch_norm and _lacks_statistics(*args, **kwargs):
        args, kwargs = _with_argument(args, kwargs, 5, "training", True)
        args, kwargs = _with_argument(args, kwargs, 1, "running_mean", None)
        return function, *_with_argument(args, kwargs, 2, "running_var", None)
    if function is functional.instance_norm:
        return function, *_with_argument(args, kwargs, 5, "use_input_stats", True)
    return function, args, kwargs


def _lacks_statistics(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    *_: Any,
    **__: Any,
) -> bool:
    """Whether batch normalisation would not use those of the batch, although that has several values a channel."""
    return not training and input.numel() > input.shape[1]


def _with_argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, value: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if len(args) > place:
        return (*args[:place], value, *args[place + 1 :]), kwargs
    return args, kwargs | {name: value}
