"""The blocks of any network: residual blocks, cells, transformer blocks, and what they hand to one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from taurank.trainables.proxies.layout import as_maps
from taurank.trainables.proxies.probe import VoidScoreError

FEWEST = 3


@dataclass(frozen=True)
class Chain:
    """Blocks of which each takes what the one before put out, directly or through layers between them.

    Attributes:
        names: Names of the blocks' modules within the network.
        features: What goes into the first block, unless that is the images, and what comes out of each; the graph
            between them can be differentiated.
        share: Share of the network's blocks that are in the chain, in (0, 1].
    """

    names: list[str]
    features: list[Tensor]
    share: float


def chain_of_blocks(network: nn.Module, images: Tensor) -> Chain:
    """Passes images through a network and finds the longest chain of its blocks.

    A block is a module with a `forward` of its own that holds other modules and puts out feature maps or tokens. One
    that hands on unchanged what a block in it put out (a stage) is none: those in it are. Where there are fewer than
    three, those inside them are taken (the blocks of an encoder that is one module).

    Args:
        network: Its parameters require gradients.
        images: (n, channels, height, width).

    Raises:
        VoidScoreError: There are fewer than three.
    """
    root = _record(network, images)
    blocks = _blocks_in(root)
    chain = _longest_chain(blocks)
    while len(chain) < FEWEST:
        opened = [inner for block in blocks for inner in (_blocks_in(block) or [block])]
        if len(opened) == len(blocks) and all(inner is block for inner, block in zip(opened, blocks, strict=True)):
            raise VoidScoreError(f"{len(chain)} blocks of the network follow one another; at least {FEWEST} are needed")
        blocks = opened
        chain = _longest_chain(blocks)
    features = [call.output for call in chain]
    before = chain[0].inputs[0]
    if before.grad_fn is not None:
        features.insert(0, before)
    return Chain([call.name for call in chain], features, len(chain) / len(blocks))


@dataclass(eq=False)
class _Call:
    """One call of a module.

    Attributes:
        name: Of the module within the network.
        module: What was called.
        inputs: Its tensors among the arguments.
        output: What it put out; empty if that was no tensor.
        handed_on: What the network went on with: for a block a copy of `output`, which layers that work in place do
            not change, and which tells two blocks apart that put out the same.
        is_block: Whether it could be a block.
        inside: Calls it made itself.
    """

    name: str
    module: nn.Module
    inputs: list[Tensor]
    output: Tensor = field(default_factory=lambda: torch.empty(0))
    handed_on: Tensor = field(default_factory=lambda: torch.empty(0))
    is_block: bool = False
    inside: list[_Call] = field(default_factory=list)


def _record(network: nn.Module, images: Tensor) -> _Call:
    """The tree of calls that one forward pass makes."""
    open_calls: list[_Call] = []
    names = {module: name for name, module in network.named_modules()}
    root = _Call("", network, [images])

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not open_calls:
            open_calls.append(root)
            return None
        inputs = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        call = _Call(names[module], module, inputs)
        open_calls[-1].inside.append(call)
        open_calls.append(call)
        if not _holds_modules(module):
            return None
        # The copy keeps `inputs` as they are where the module begins with a layer that works in place.
        return tuple(value.clone() if isinstance(value, Tensor) else value for value in args), kwargs

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        call = open_calls.pop()
        call.handed_on = output
        if not isinstance(output, Tensor):
            return None
        call.output = call.handed_on = output
        if not _holds_modules(module) or type(module).forward is nn.Sequential.forward or output.grad_fn is None:
            return None
        if len(output) != len(images) or as_maps(output, images) is None:
            return None
        call.is_block, call.handed_on = True, output.clone()
        return call.handed_on

    with torch.enable_grad(), _hooked(network, before, after):
        network(images)
    return root


@contextmanager
def _hooked(network: nn.Module, before: Any, after: Any) -> Iterator[None]:
    handles = []
    for module in network.modules():
        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _holds_modules(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def _blocks_in(call: _Call) -> list[_Call]:
    """Blocks that a call runs through, in order."""
    found = []
    for inner in call.inside:
        found += [inner] if inner.is_block and not _is_stage(inner) else _blocks_in(inner)
    return found


def _is_stage(call: _Call) -> bool:
    """Whether what it puts out is, unchanged, what a block in it put out."""
    last = next((inner for inner in reversed(call.inside) if inner.handed_on is call.output), None)
    return last is not None and (last.is_block or _is_stage(last))


def _longest_chain(blocks: Sequence[_Call]) -> list[_Call]:
    """The longest chain in which each block depends on the one before and on no block between."""
    position = {call.output.grad_fn: index for index, call in enumerate(blocks)}
    chains: list[list[_Call]] = []
    for call in blocks:
        direct = [position[node] for node in _nearest(call.inputs, position)]
        longest = max((chains[index] for index in direct if index < len(chains)), key=len, default=[])
        chains.append([*longest, call])
    return max(chains, key=len, default=[])


def _nearest(tensors: Sequence[Tensor], marked: dict[Any, int]) -> list[Any]:
    """Marked nodes of the graph that tensors depend on without another one between."""
    seen: set[Any] = set()
    found, waiting = [], [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in marked:
            found.append(node)
        else:
            waiting += [earlier for earlier, _ in node.next_functions if earlier is not None]
    return found
