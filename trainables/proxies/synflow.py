"""Synaptic flow (SynFlow)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import autograd
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from taurank.spaces.copies import copy_network
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Proxy
from taurank.trainables.proxies.recorders import WeightRecorder

_NORMALISATIONS = {
    functional.batch_norm, functional.layer_norm, functional.group_norm, functional.instance_norm,
    functional.rms_norm, functional.local_response_norm,
    torch.batch_norm, torch.layer_norm, torch.group_norm, torch.instance_norm, torch.rms_norm,
}  # fmt: skip
_CLIPPED_RECTIFIERS = {functional.hardtanh, functional.hardtanh_, functional.relu6}


class Synflow(Proxy):
    """Log of the sum over all weights of |weight * dR/dweight|, for an image of ones and absolute parameters.

    R is the sum of the logits, in float64. Normalisations (batch, layer, group, instance, root mean square) pass their
    input on, and rectifiers with an upper limit (ReLU6) act as ReLU, or nothing would flow above it; buffers stay as
    they are. R is then the sum over all paths of the products of weights along them, exactly so for networks of linear
    layers and ReLU. GELU, SiLU and hard-swish pass large positive values on and are almost exact; gates and attention
    are kept at the weights that they have for this input, where they mostly saturate. A normalisation that is written
    out by hand acts, and a network with tanh or sigmoid units is hardly described by its paths. The log keeps the
    ranks.
    """

    name = "synflow"
    source = "Tanaka et al. 2020 (arXiv 2006.05467), section 5; Abdelfattah et al. 2021 (arXiv 2101.08134), section 3.2"
    passes = 0.4
    published = Correlation(0.561, 0.758, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        # A copy, because float64 would stay with the module.
        network = copy_network(probe.fresh()).double().eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        ones = torch.ones_like(probe.batch.images[:1], dtype=torch.float64)
        with WeightRecorder() as layers, _WithoutNormalisation():
            output = network(ones).sum()
        weights = layers.weights
        if not weights:
            raise VoidScoreError("no convolution, linear or attention layer was computed")
        gradients = autograd.grad(output, weights, allow_unused=True, materialize_grads=True)
        by_layer = torch.stack(
            [(weight.detach() * gradient).abs().sum() for weight, gradient in zip(weights, gradients, strict=True)]
        )
        total = float(by_layer.sum())
        if total == 0:
            raise VoidScoreError("no path of weights leads from the images to the output")
        if not math.isfinite(total):
            raise VoidScoreError("what flows through the network is beyond the range of float64")
        reached = [weight for weight, flow in zip(weights, by_layer.tolist(), strict=True) if flow > 0]
        return Measured(math.log(total), probe.covered(reached))


class _WithoutNormalisation(TorchFunctionMode):
    """Normalisations and upper limits of rectifiers do not act while it is active."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in _NORMALISATIONS:
            # A copy: a unit behind it that works in place would change what else reads the input.
            return (args[0] if args else kwargs["input"]).clone()
        if function in _CLIPPED_RECTIFIERS:
            return functional.relu(args[0] if args else kwargs["input"])
        return function(*args, **kwargs)
