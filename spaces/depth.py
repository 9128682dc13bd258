"""The depth of a network: layers with weights on the longest path from its input to its output."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from taurank.spaces.flops import MISSING

_aten = torch.ops.aten
_PRODUCTS = frozenset((*flop_registry, *MISSING))
_CONVOLUTIONS = frozenset((_aten.convolution, _aten._convolution, _aten.conv_tbc))
_ZERO_TIMES = frozenset((_aten.mul, _aten.mul_))
_OF_SHAPE_ALONE = ("new_", "zero_", "fill_", "zeros_like", "ones_like", "empty_like", "full_like", "rand")
"""Beginnings of the names of operators whose result depends on the shape of their input only."""
_RECURRENT = frozenset(("lstm", "gru", "rnn_tanh", "rnn_relu"))
_log = logging.getLogger(__name__)


class Depth(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows all operators from an image to the logits.

    Each tensor that depends on the image has the depth ``max(depth of its inputs) + 1`` if its operator is a layer with
    weights, else without the 1. Depths belong to storages, so that views and changes in place are followed.

    Args:
        network: its weights, frozen ones included.
        image: what it is given.
    """

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._depths: dict[int, int] = {}
        self._weights: set[int] = set()
        self._seen: list[StorageWeakRef] = []
        self._failed = self._paused = False
        with self._unless_it_fails():
            self._depths[self._kept(image)] = 0
            self._weights.update(map(self._kept, network.parameters()))

    def of(self, output: object) -> int | None:
        """Depth of an output; 0 where none of it depends on the image, None where an operator could not be followed."""
        found = 0
        with self._unless_it_fails():
            found = max((self._depths.get(_address(tensor), 0) for tensor in _tensors([output])), default=0)
        return None if self._failed else found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs an operator, and notes the depth of what it gives."""
        output = func(*args, **(kwargs or {}))
        if not (self._failed or self._paused):
            with self._unless_it_fails():
                self._follow(func._overloadpacket, [*args, *(kwargs or {}).values()], output)
        return output

    @contextmanager
    def layers_at_once(self, inputs: Iterable[object]) -> Iterator[list[Any]]:
        """Takes what is computed within as one operator; its output and its number of layers go into the list."""
        given: list[Any] = []
        paused, self._paused = self._paused, True
        try:
            yield given
        finally:
            self._paused = paused
        with self._unless_it_fails():
            output, layers = given
            known = [self._depths[key] for key in map(_address, _tensors(inputs)) if key in self._depths]
            if known and not paused:
                self._depths |= {self._kept(tensor): max(known) + layers for tensor in _tensors([output])}

    def _follow(self, operator: Any, inputs: list[Any], output: object) -> None:
        keys = [_address(tensor) for tensor in _tensors(inputs)]
        known = [self._depths[key] for key in keys if key in self._depths]
        weighted = any(key in self._weights for key in keys)
        if not (known or weighted):
            return
        results = list(_tensors([output]))
        if operator.__name__.startswith(_OF_SHAPE_ALONE) or (operator in _ZERO_TIMES and _is_zero(inputs[1])):
            for tensor in filter(_is_whole, results):
                self._depths.pop(_address(tensor), None)
        elif known:
            # Where weights are computed from the image, a convolution is a layer, but a product in attention is none.
            computed = operator in _CONVOLUTIONS and len(known) > 1
            layer = operator in _PRODUCTS and (weighted or computed)
            self._depths |= dict.fromkeys(map(self._kept, results), max(known) + layer)
        else:
            self._weights.update(map(self._kept, results))

    def _kept(self, tensor: Tensor) -> int:
        """The address of the tensor's storage, which no other storage takes from now on."""
        self._seen.append(StorageWeakRef(tensor.untyped_storage()))  # type: ignore[no-untyped-call]
        return _address(tensor)

    @contextmanager
    def _unless_it_fails(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a tensor of other code cannot tell: a size is worth more than its depth
            _log.info("a depth cannot be found: %s: %s", type(error).__name__, error)
            self._failed = True


class _RecurrentLayers(TorchFunctionMode):
    """Counts the layers of a recurrent network once, not once for each step."""

    def __init__(self, depth: Depth) -> None:
        super().__init__()
        self._depth = depth

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") not in _RECURRENT:
            return func(*args, **(kwargs or {}))
        with self._depth.layers_at_once(args) as given:
            output = func(*args, **(kwargs or {}))
            given += output, next(value for value in args if type(value) is int)
        return output


@contextmanager
def following(network: nn.Module, image: Tensor) -> Iterator[Depth]:
    """Follows what is computed within from an image; for the depth of logits see `Depth.of`."""
    depth = Depth(network, image)
    with contextlib.ExitStack() as modes:
        modes.enter_context(_RecurrentLayers(depth))
        modes.enter_context(depth)
        yield depth


def _address(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address


def _is_whole(tensor: Tensor) -> bool:
    """Whether a tensor is all of its storage, and not a part that was changed in place."""
    return tensor.nbytes == tensor.untyped_storage().nbytes()


def _tensors(values: Iterable[object]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
        elif isinstance(value, Mapping):
            yield from _tensors(value.values())


def _is_zero(value: object) -> bool:
    return isinstance(value, (int, float)) and value == 0
