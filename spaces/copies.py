"""Copies of any network."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def copy_network(network: nn.Module) -> nn.Module:
    """A deep copy that shares nothing with the network.

    Some modules keep what they computed (`nn.utils.weight_norm`, those with hooks), and `copy.deepcopy` refuses tensors
    with a history. The copy has their values without it.
    """
    kept = (leaf for module in network.modules() for leaf in tree_leaves(list(vars(module).values())))
    computed = {id(tensor): tensor.detach().clone() for tensor in kept if isinstance(tensor, Tensor) and tensor.grad_fn}
    return copy.deepcopy(network, dict(computed))
