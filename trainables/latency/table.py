"""Latency of a network, summed from a table of its parts.

Source: Cai et al., ProxylessNAS (ICLR 2019), section 3.3; Cai et al., Once-for-All (ICLR 2020), section 3.4.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from taurank.trainables.latency.parts import LatencyError


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a forward pass, lower is better: the median, and between what bounds the middle half lies."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Conditions:
    """Conditions of a measurement; latencies of other conditions are not comparable.

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
        """Those of a measurement in this process, with weights of PyTorch's default type."""
        precision = str(torch.get_default_dtype()).removeprefix("torch.")
        return cls(device_name(device), precision, batch, threads, torch.__version__)

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

    def save(self, path: Path) -> None:
        """Writes the table as JSON, whole or not at all: a file that has other names (links) keeps its content there.

        Raises:
            LatencyError: the file cannot be written.
        """
        described = {"conditions": asdict(self.conditions), "milliseconds": self.milliseconds}
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            try:
                partial.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
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


def device_name(device: str) -> str:
    """Name of a device in a table."""
    try:
        place = torch.device(device)
    except RuntimeError:  # not the spelling of a device
        place = None
    if place is not None and place.type == "cpu":
        return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    if place is not None and place.type == "cuda" and (place.index or 0) < torch.cuda.device_count():
        return f"cuda {torch.cuda.get_device_name(place)}"
    raise LatencyError(f"device: {device!r} is not there; take 'cpu', or 'cuda' on a machine with an NVIDIA GPU")
