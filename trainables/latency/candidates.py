"""Latencies of many candidates: of whole networks, or summed from their parts where that is less to measure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from taurank.spaces import Architecture, SearchSpace, SpaceError
from taurank.spaces.architecture import one_line
from taurank.trainables.latency.measure import measure_latency, measure_table
from taurank.trainables.latency.parts import LatencyError, latency_keys
from taurank.trainables.latency.table import Conditions, LatencyTable

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Setting:
    """Settings of a latency measurement.

    Attributes:
        input_shape: (channels, height, width) of one image.
        classes: number of logits.
        batch: images that a pass takes.
        threads: of the CPU.
        precision: type of weights and images.
        device: "cpu" or "cuda".
    """

    input_shape: tuple[int, int, int]
    classes: int
    batch: int = 1
    threads: int = 1
    precision: str = "float32"
    device: str = "cpu"

    @contextmanager
    def default_type(self) -> Iterator[None]:
        """Networks that are built within have weights of the precision."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, self.precision))
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    def conditions(self) -> Conditions:
        """The setting with the names of what it is measured on here."""
        with self.default_type():
            return Conditions.here(self.device, batch=self.batch, threads=self.threads)


@dataclass(frozen=True)
class CandidateLatency:
    """Milliseconds of a candidate; lower is better.

    Attributes:
        milliseconds: median of the passes, or the sum over its parts; NaN where there is none.
        low: lower bound of the middle half of the passes; NaN for a sum.
        high: upper bound.
        seconds: that measuring took; 0 for a sum.
        reason: why there is none; else empty.
    """

    milliseconds: float
    low: float = float("nan")
    high: float = float("nan")
    seconds: float = 0.0
    reason: str = ""


def measure_whole(space: SearchSpace, architecture: Architecture, setting: Setting) -> CandidateLatency:
    """Times the whole network; one that cannot be built or run so has a reason instead of a latency."""
    setting.conditions()
    started = time.perf_counter()
    try:
        # Its weights are drawn at random, and other draws must not depend on that.
        with setting.default_type(), torch.random.fork_rng(devices=[]):
            network = space.build(architecture, input_shape=setting.input_shape, classes=setting.classes)
            found = measure_latency(
                network, setting.input_shape, batch=setting.batch, device=setting.device, threads=setting.threads
            )
    except Exception as error:  # user code, or out of memory
        reason = str(error) if isinstance(error, SpaceError) else one_line(error)
        nothing = float("nan")
        return CandidateLatency(nothing, nothing, nothing, time.perf_counter() - started, reason)
    return CandidateLatency(found.median, found.low, found.high, time.perf_counter() - started)


def parts_by_code(
    space: SearchSpace, architectures: Sequence[Architecture], setting: Setting
) -> dict[str, tuple[str, ...]] | None:
    """Keys of the parts of each network, by code; None where a network has no parts that can be measured alone."""
    try:
        return {
            one.code: latency_keys(space, one, input_shape=setting.input_shape, classes=setting.classes)
            for one in architectures
        }
    except LatencyError:
        return None


def has_fewer_parts(parts: Mapping[str, Sequence[str]]) -> bool:
    """Whether there are fewer different parts than networks: then summing them is less to measure.

    Where each network has parts of its own, as cells, the whole network is measured, which is also more exact.
    """
    return len({key for keys in parts.values() for key in keys}) < len(parts)


def table_of_parts(space: SearchSpace, architectures: Sequence[Architecture], setting: Setting) -> LatencyTable:
    """Measures each different part of the networks once.

    Raises:
        SpaceError: a network cannot be built for this task.
        LatencyError: the device is not there, or a network has no parts that can be measured alone.
    """
    with setting.default_type():
        return measure_table(
            space,
            architectures,
            input_shape=setting.input_shape,
            classes=setting.classes,
            batch=setting.batch,
            device=setting.device,
            threads=setting.threads,
        )
