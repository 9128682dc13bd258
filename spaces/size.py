"""Parameters, FLOPs and depth of an architecture, counted without allocating weights wherever possible."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from taurank.spaces.architecture import Architecture, SearchSpace, SpaceError, one_line
from taurank.spaces.depth import following
from taurank.spaces.flops import run_counted
from taurank.spaces.weightless import build_weightless, is_refusal, lacks_data

_MOST_TRIED = 10**8
"""Weights above which a network that fails without them is tried with them only if it fails for want of them."""


@dataclass(frozen=True)
class Size:
    """Size of one network.

    Attributes:
        parameters: Number of trainable weights, those of dead edges included; one that several layers share is one.
        flops: Multiply-accumulates for one image of all products of tensors: convolutions, linear, bilinear and
            recurrent layers, attention, and products written with `@` or `einsum`. A layer that is used twice counts
            twice; what is not computed does not count. This is the literature's "FLOPs": half of what torch counts,
            since that takes a multiplication and an addition as two. What works on each element alone does not count
            (biases, normalisation, activations, products of two maps), nor do pooling and sums; so counted, the best
            cell of NAS-Bench-201 has its published 153.27 MFLOPs (153,272,960).
        depth: Layers with weights (convolutions, linear, bilinear and recurrent layers, frozen ones included) on the
            longest path from the image to the logits. Shortcuts and branches count as far as they are longest, branches
            multiplied by the number 0 not at all. A layer that is used twice counts twice; the steps of a recurrent
            layer count once, those of a cell each. 0 where the logits do not depend on the image; None if unknown.
    """

    parameters: int
    flops: int
    depth: int | None = None


def measure_size(
    space: SearchSpace, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int
) -> Size:
    """Counts parameters, FLOPs and depth of an architecture; leaves torch's random numbers as they are.

    Where sizes add up (`SearchSpace.size_terms`) they are summed. Elsewhere the network is built and followed. It
    allocates no weights, unless the network fails without them, as one does that reads numbers from its features. Such
    a network is made on the CPU and sized with a random image.

    Raises:
        SpaceError: The space cannot build the network for this task, or the network does not map an image to one row of
            logits.
    """
    terms = space.size_terms(architecture)
    if terms is None:
        return _measure(space, architecture, input_shape, classes)
    base, *more = (_measure_once(space, one, input_shape, classes) for one in (terms[0], *terms[1]))
    return Size(
        base.parameters + sum(term.parameters - base.parameters for term in more),
        base.flops + sum(term.flops - base.flops for term in more),
        space.depth(architecture),
    )


_measured: dict[tuple[str, Architecture, tuple[int, int, int], int], Size] = {}


def _measure_once(space: SearchSpace, term: Architecture, input_shape: tuple[int, int, int], classes: int) -> Size:
    key = repr(space), term, input_shape, classes
    if key not in _measured:
        _measured[key] = _measure(space, term, input_shape, classes)
    return _measured[key]


def _measure(space: SearchSpace, architecture: Architecture, input_shape: tuple[int, int, int], classes: int) -> Size:
    def build() -> nn.Module:
        return space.build(architecture, input_shape=input_shape, classes=classes)

    network: nn.Module | None = None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        try:
            network = build_weightless(build)
            with torch.device("meta"):
                return _size_of(space, architecture, network, torch.empty(1, *input_shape), classes)
        except Exception as error:
            small = network is None or _count_parameters(network) <= _MOST_TRIED
            if is_refusal(error) or not (small or lacks_data(error)):
                raise
        network = build()
        return _size_of(space, architecture, network, torch.randn(1, *input_shape), classes)


def _size_of(space: SearchSpace, architecture: Architecture, network: nn.Module, image: Tensor, classes: int) -> Size:
    parameters = _count_parameters(network)
    try:
        with following(network, image) as path:
            logits, flops = run_counted(network, image)
    except Exception as error:
        shape = "x".join(map(str, image.shape[1:]))
        raise SpaceError(f"input_shape: {architecture} cannot take {shape} images: {one_line(error)}") from error
    if space.foreign:
        _check_logits(architecture, logits, images=1, classes=classes, when="")
        if _count_parameters(network) != parameters:
            raise SpaceError(
                f"code: {architecture} makes layers when it is run, which no optimiser knows of; make them in __init__,"
                " or take nn.LazyLinear and its like"
            )
        _check_training(architecture, network, image, classes)
    return Size(parameters, flops, path.of(logits))


def _count_parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def _check_training(architecture: Architecture, network: nn.Module, image: Tensor, classes: int) -> None:
    """Refuses a network that gives logits in evaluation mode but something else in training mode."""
    try:
        with torch.no_grad():
            logits = network.train()(image.expand(2, -1, -1, -1).clone())
    except Exception:  # a training says what is wrong, with its batch
        return
    _check_logits(architecture, logits, images=2, classes=classes, when=" in training mode")


def _check_logits(architecture: Architecture, logits: object, *, images: int, classes: int, when: str) -> None:
    if isinstance(logits, Tensor) and logits.shape == (images, classes):
        return
    given = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
    of = "one image" if images == 1 else f"{images} images"
    raise SpaceError(
        f"code: {architecture} is not a classifier: for {of} it returns {given}{when}, not {classes} logits"
        + ("" if isinstance(logits, Tensor) else "; return the logits alone")
    )
