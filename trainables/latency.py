"""How long a network takes for a batch of images, measured, and summed from a table of its parts.

Source: Cai et al., ProxylessNAS (ICLR 2019), section 3.3; Cai et al., Once-for-All (ICLR 2020), section 3.4.
"""

from __future__ import annotations

import copy
import json
import math
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spaces import Architecture, SearchSpace
from spaces.architecture import check_positive
from trainables.latency_keys import LatencyError, Part, parts_of, threads_set


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a forward pass, lower is better: the median, and between what bounds the middle half lies."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Conditions:
    """What latencies were measured with; those of other conditions cannot be compared.

    Attributes:
        device: kind and name.
        precision: type of the weights.
        batch: images that a pass takes.
        threads: of the CPU.
        torch: version of PyTorch.
    """

    device: str
    precision: str
    batch: int
    threads: int
    torch: str

    @classmethod
    def here(cls, device: str, *, batch: int, threads: int) -> Conditions:
        """Those of a measurement in this process, with weights of PyTorch's default type.

        Raises:
            LatencyError: the device is not there.
        """
        precision = str(torch.get_default_dtype()).removeprefix("torch.")
        return cls(_device_name(device), precision, batch, threads, torch.__version__)

    def __str__(self) -> str:
        cores = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.device.startswith("cpu") else ""
        return f"{self.device}{cores}, batch {self.batch}, {self.precision}, PyTorch {self.torch}"


class LatencyTable:
    """Milliseconds by part of a network. The latency of a network is taken to be the sum over its parts.

    Args:
        milliseconds: by key, as `latency_keys` writes them.
        conditions: of the measurement.

    Raises:
        LatencyError: a latency is not a finite number of at least 0.
    """

    def __init__(self, milliseconds: Mapping[str, float], conditions: Conditions) -> None:
        for key, value in milliseconds.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise LatencyError(f"milliseconds: {value!r} of {key!r} is not a finite number of at least 0")
        self.milliseconds = dict(milliseconds)
        self.conditions = conditions

    def total(self, keys: Sequence[str]) -> float:
        """Milliseconds of these parts together; what occurs twice counts twice.

        Raises:
            LatencyError: a part is not in the table.
        """
        if isinstance(keys, str):
            raise LatencyError(f"keys: {keys!r} is a text; give a list of keys")
        for key in keys:
            if key not in self.milliseconds:
                raise LatencyError(
                    f"keys: {key!r} is none of the {len(self.milliseconds):,} parts of the table; "
                    "measure a table of architectures that have it"
                )
        return math.fsum(self.milliseconds[key] for key in keys)

    def expected(self, options: Sequence[Sequence[Sequence[str]]], probabilities: Sequence[Tensor]) -> Tensor:
        """Mean milliseconds when the option of each decision is drawn; differentiable in the probabilities.

            E = sum over decisions d of sum over options o of p[d][o] * total(options[d][o])

        Parts that are there whatever is drawn are not in it: add their `total`.

        Args:
            options: for each decision and each of its options, the keys of the parts that come with it; may be none.
            probabilities: for each decision, (options,).

        Raises:
            LatencyError: the numbers of decisions or of options differ, or a part is not in the table.
        """
        if len(options) != len(probabilities):
            raise LatencyError(f"probabilities: of {len(probabilities)} decisions, but options are of {len(options)}")
        mean = torch.zeros(())
        for decision, (keys, shares) in enumerate(zip(options, probabilities, strict=True)):
            if shares.shape != (len(keys),):
                raise LatencyError(
                    f"probabilities: decision {decision} has shape {tuple(shares.shape)}, not ({len(keys)},)"
                )
            mean = mean.to(shares) + shares @ shares.new_tensor([self.total(option) for option in keys])
        return mean

    def save(self, path: Path) -> None:
        """Writes the table as JSON.

        Raises:
            LatencyError: the file cannot be written.
        """
        described = {"conditions": asdict(self.conditions), "milliseconds": self.milliseconds}
        try:
            path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise LatencyError(f"{path} cannot be written: {error.strerror or error}; choose another place") from None

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """Reads what `save` wrote.

        Raises:
            LatencyError: the file cannot be read or holds something else.
        """
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
            return cls(described["milliseconds"], _conditions(described["conditions"]))
        except OSError as error:
            raise LatencyError(f"{path} cannot be read: {error.strerror or error}") from None
        except LatencyError as error:
            raise LatencyError(f"{path}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise LatencyError(f"{path} is no latency table; measure_table makes one, its save writes it") from None


def _conditions(described: dict[str, Any]) -> Conditions:
    found = Conditions(**described)
    if [type(value) for value in asdict(found).values()] != [str, str, int, int, str]:
        raise TypeError
    return found


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

    Args:
        space: where the architectures are from.
        architectures: in a few hundred random ones of a space most of its parts occur.
        input_shape: (channels, height, width) of one image.
        classes: number of logits.
        batch: see `measure_latency`, as for the others.
        device: of the measurement.
        threads: of the CPU.
        warm_up: passes before those that count.
        repeats: passes that count.

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

    Raises:
        SpaceError: a number is too small.
        LatencyError: the device is not there.
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

    Args:
        networks: each with the shape of one of its inputs.
        batch: see `measure_latency`, as for the others.
        device: of the measurement.
        threads: of the CPU.
        warm_up: passes before those that count.
        repeats: passes that count.

    Raises:
        SpaceError: a number is too small.
        LatencyError: the device is not there.
    """
    _check(device, batch=batch, threads=threads, warm_up=warm_up, repeats=repeats)
    passes = [_prepare(network, shape, batch, device) for network, shape in networks]
    return _measure(passes, threads=threads, warm_up=warm_up, repeats=repeats)


def _check(device: str, *, warm_up: int, **counts: int) -> None:
    for argument, count in counts.items():
        check_positive(argument, count)
    if warm_up != 0:
        check_positive("warm_up", warm_up)
    _device_name(device)


def _prepare(network: nn.Module, input_shape: Sequence[int], batch: int, device: str) -> tuple[nn.Module, Tensor]:
    """A copy of the network on the device, and what it is given there."""
    network = copy.deepcopy(network).to(device).eval()
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


def _device_name(device: str) -> str:
    try:
        place = torch.device(device)
    except RuntimeError:  # not the spelling of a device
        place = None
    if place is not None and place.type == "cpu":
        return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    if place is not None and place.type == "cuda" and (place.index or 0) < torch.cuda.device_count():
        return f"cuda {torch.cuda.get_device_name(place)}"
    raise LatencyError(f"device: {device!r} is not there; take 'cpu', or 'cuda' on a machine with an NVIDIA GPU")
