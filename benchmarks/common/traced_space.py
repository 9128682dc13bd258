"""The cells of NAS-Bench-201, whose networks and supernet write a line for every training batch.

A line is the number of images in the batch; the file is named by $TAURANK_TRACE. So work is counted where it is done,
also in a worker that is killed before it reports.
"""

from __future__ import annotations

import os

from torch import Tensor, nn

from taurank.spaces import Architecture, NASBench201
from taurank.trainables.supernet.nasbench201 import NasBench201Supernet
from taurank.trainables.supernet.registry import register_supernet

TRACE = "TAURANK_TRACE"


def leave_line(network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    (images,) = inputs
    if network.training and images.device.type != "meta":
        with open(os.environ[TRACE], "a") as trace:  # a short line is appended as a whole
            trace.write(f"{len(images)}\n")


class Traced(NASBench201):
    """NAS-Bench-201 with traces."""

    name = "traced_space:Traced"

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        network = super().build(architecture, input_shape=input_shape, classes=classes)
        network.register_forward_pre_hook(leave_line)
        return network


@register_supernet(Traced.name)
class TracedSupernet(NasBench201Supernet):
    """Its supernet."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.register_forward_pre_hook(leave_line)
