"""Measures how long a network takes for a batch of images: whole networks, and the parts of a space's networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from taurank.spaces import Architecture, SearchSpace
from taurank.spaces.architecture import check_positive
from taurank.spaces.copies import copy_network
from taurank.trainables.latency.parts import LatencyError, Part, parts_of, threads_set
from taurank.trainables.latency.table import Conditions, Latency, LatencyTable, device_name


def measure_table(
    space: SearchSpace,
    architectures: Iterable[Architecture],
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    batch: int = 1,
    device: str = "cpu",
    threads: int = 1,
    warm_up: int = 5,
    repeats: int = 30,
) -> LatencyTable:
    """Measures every part that occurs in the architectures' networks once, alone; the table holds the medians.

    All parts take their turn in every pass, so that a change of the machine's load hits them alike, and that their
    weights are no closer to the processor than within a network: with one part after the other, the sums for small
    networks came out a fifth to a third below what the whole networks take.

    A few hundred random architectures contain most parts of a space. `measure_latency` describes the other arguments.

    Raises:
        SpaceError: the space cannot build the network for this task, or a number is too small.
        LatencyError: there are no architectures, or the device is not there; see also `latency_keys`.
    """
    _check(device, batch=batch, threads=threads, warm_up=warm_up, repeats=repeats)  # before networks are built
    parts: dict[str, Part] = {}
    for architecture in architectures:
        for part in parts_of(space, architecture, input_shape=input_shape, classes=classes):
            parts.setdefault(part.key, part)
    if not parts:
        raise LatencyError("architectures: there are none; give some that have the parts to be measured")
    networks = [(part.module, part.input_shape) for part in parts.values()]
    measured = measure_in_turn(networks, batch=batch, device=device, threads=threads, warm_up=warm_up, repeats=repeats)
    milliseconds = {key: latency.median for key, latency in zip(parts, measured, strict=True)}
    return LatencyTable(milliseconds, Conditions.here(device, batch=batch, threads=threads))


def measure_latency(
    network: nn.Module,
    input_shape: Sequence[int],
    *,
    batch: int = 1,
    device: str = "cpu",
    threads: int = 1,
    warm_up: int = 5,
    repeats: int = 30,
) -> Latency:
    """Times forward passes of a copy of a network, or of a part of one, in evaluation mode.

    On one thread of a CPU it is the time that the processor spends: waiting for other processes does not count. On
    several it is that of the clock, whose median is robust against what else runs on the machine now and then, not
    against what runs all the time.

    Args:
        network: maps (batch, *input_shape) to anything.
        input_shape: shape of one input, such as (channels, height, width).
        batch: inputs that a pass takes.
        device: "cpu", or "cuda" with or without a number; there the time is that of the GPU.
        threads: of the CPU; set for the measurement only.
        warm_up: passes before those that count.
        repeats: passes that count.
    """
    return measure_in_turn(
        [(network, input_shape)], batch=batch, device=device, threads=threads, warm_up=warm_up, repeats=repeats
    )[0]


def measure_in_turn(
    networks: Sequence[tuple[nn.Module, Sequence[int]]],
    *,
    batch: int = 1,
    device: str = "cpu",
    threads: int = 1,
    warm_up: int = 5,
    repeats: int = 30,
) -> list[Latency]:
    """Times several networks, or parts of networks, a pass of each in turn, so that a change of load hits all alike.

    Each network comes with the shape of one input; `measure_latency` describes the other arguments.
    """
    _check(device, batch=batch, threads=threads, warm_up=warm_up, repeats=repeats)
    passes = [_prepare(network, shape, batch, device) for network, shape in networks]
    return _measure(passes, threads=threads, warm_up=warm_up, repeats=repeats)


def _check(device: str, *, warm_up: int, **counts: int) -> None:
    for argument, count in counts.items():
        check_positive(argument, count)
    if warm_up != 0:
        check_positive("warm_up", warm_up)
    device_name(device)


def _prepare(network: nn.Module, input_shape: Sequence[int], batch: int, device: str) -> tuple[nn.Module, Tensor]:
    """A copy of the network on the device, and what it is given there."""
    network = copy_network(network).to(device).eval()
    precision = next((weight.dtype for weight in network.parameters()), torch.get_default_dtype())
    images = torch.randn(batch, *input_shape, generator=torch.Generator().manual_seed(0))
    return network, images.to(device, precision)


def _measure(passes: Sequence[tuple[nn.Module, Tensor]], *, threads: int, warm_up: int, repeats: int) -> list[Latency]:
    """Times all passes in turn."""
    if not passes:
        return []
    with threads_set(threads), torch.inference_mode():
        for _ in range(warm_up):
            for network, images in passes:
                network(images)
        # A pass of a whole network is longer than a turn of the scheduler, one of its parts is not: where processes
        # wait for cores, by the clock on the wall whole networks took 1.6 times as long as the sum of their parts.
        clock = time.thread_time if threads == 1 else time.perf_counter
        times = [[_time(network, images, clock) for network, images in passes] for _ in range(repeats)]
    bounds = torch.tensor([0.5, 0.25, 0.75], dtype=torch.float64)
    quantiles = torch.tensor(times, dtype=torch.float64).quantile(bounds, dim=0)
    return [Latency(*column) for column in quantiles.T.tolist()]


def _time(network: nn.Module, images: Tensor, clock: Callable[[], float]) -> float:
    if images.is_cuda:
        with torch.cuda.device(images.device):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
            begin.record()
            network(images)
            end.record()
            torch.cuda.synchronize()
        return float(begin.elapsed_time(end))
    began = clock()
    network(images)
    return 1e3 * (clock() - began)
