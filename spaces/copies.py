"""Copies of any network."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

_PLAIN = (bool, int, float, str, type(None))


def copy_network(network: nn.Module) -> nn.Module:
    """A deep copy that shares nothing with the network.

    Some modules keep what they computed (`nn.utils.weight_norm`, those with hooks), and `copy.deepcopy` refuses tensors
    with a history. The copy has their values without it.
    """
    memo: dict[int, Any] = {}
    for module in network.modules():
        for value in vars(module).values():
            if type(value) in (dict, OrderedDict) and not value:
                memo[id(value)] = type(value)()  # a module has a dozen, and `copy.deepcopy` is slow with each
            elif type(value) not in _PLAIN:
                computed = (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor) and leaf.grad_fn)
                memo |= {id(tensor): tensor.detach().clone() for tensor in computed}
    return copy.deepcopy(network, memo)
