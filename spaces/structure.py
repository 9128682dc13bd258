"""Counts of the layers of a network, and the family derived from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from taurank.spaces.architecture import Family

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_ATTENTION = re.compile("attention|attn", re.IGNORECASE)
# Gates over channels, positions or branches of convolutional networks are named attention, too.
_GATES = re.compile("channel|spatial|split|kernel|pool|gate", re.IGNORECASE)
_STEM = 3
"""Convolutions that a network of tokens may have before its first token."""
_MOSTLY = 4
"""Linear layers for a convolution in a network of tokens without normalisation; LeNet has fewer."""


@dataclass(frozen=True)
class Structure:
    """Counts over the modules of a network.

    Attributes:
        parameters: trainable weights.
        convolutions: convolution layers.
        spatial: those of them with a kernel above 1.
        depthwise: those with one filter for each channel.
        kernels: sum of the kernel sides of the spatial ones.
        linears: linear layers.
        attentions: attention blocks.
        batch_norms: batch normalisations.
        other_norms: layer, group and other normalisations.
        widest: channels or features of the widest convolution or linear layer.
    """

    parameters: int
    convolutions: int
    spatial: int
    depthwise: int
    kernels: int
    linears: int
    attentions: int
    batch_norms: int
    other_norms: int
    widest: int

    @property
    def family(self) -> Family:
        """Family derived from the counts; see `Family`."""
        of_tokens = self.other_norms > self.batch_norms or self.linears >= _MOSTLY * max(self.convolutions, 1)
        if self.attentions >= 2 or (of_tokens and self.spatial <= _STEM):
            return "transformer"
        if self.batch_norms >= max(self.other_norms, 1):
            return "cnn"
        return "modern_cnn" if self.other_norms else "bare_cnn"


def describe_structure(network: nn.Module) -> Structure:
    """Counts the layers of a network; on the meta device too."""
    computed = {
        inner
        for module in network.modules()
        if isinstance(module, ParametrizationList)
        for inner in module.modules()  # weight or spectral normalisation: of a weight, not of features
    }
    modules = [module for module in network.modules() if module not in computed]
    convolutions = [module for module in modules if isinstance(module, _CONVOLUTIONS)]
    spatial = [layer for layer in convolutions if max(layer.kernel_size) > 1]
    linears = [module for module in modules if isinstance(module, nn.Linear)]
    batch_norms = [module for module in modules if _is_batch_norm(module)]
    others = [module for module in modules if _is_norm(module) and not _is_batch_norm(module)]
    widths = [layer.out_channels for layer in convolutions] + [layer.out_features for layer in linears]
    return Structure(
        parameters=sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
        convolutions=len(convolutions),
        spatial=len(spatial),
        depthwise=sum(layer.groups == layer.in_channels > 1 for layer in convolutions),
        kernels=sum(max(layer.kernel_size) for layer in spatial),
        linears=len(linears),
        attentions=sum(1 for _ in _attention_blocks(network)),
        batch_norms=len(batch_norms),
        other_norms=len(others),
        widest=max(widths, default=0),
    )


def _is_batch_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm) or "BatchNorm" in type(module).__name__


def _is_norm(module: nn.Module) -> bool:
    """By class name, since libraries define their own. A module that contains layers with weights is a block."""
    holds_layers = any(True for child in module.children() for _ in child.parameters())
    return "norm" in type(module).__name__.lower() and not holds_layers


def _attention_blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Outermost modules that are named attention and have weights."""
    name = type(module).__name__
    if _ATTENTION.search(name) and not _GATES.search(name) and any(True for _ in module.parameters()):
        yield module
        return
    for child in module.children():
        yield from _attention_blocks(child)
