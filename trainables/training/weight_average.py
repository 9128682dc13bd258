"""Running mean of the weights of a training."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class WeightAverage:
    """Exponential moving average of weights and buffers, updated after every step.

    The share of a step falls by 1 / e every ``steps`` steps. In the beginning it falls faster, after n steps by
    (1 + n) / (10 + n) in a step at least, so that the first weights do not stay. So TensorFlow averages with
    ``num_updates``, and MnasNet and EfficientNet were trained with that.

    Args:
        model: whose weights are averaged; the mean begins with its weights after the first step.
        steps: length of the mean.
    """

    def __init__(self, model: nn.Module, steps: float) -> None:
        self._decay = math.exp(-1 / steps)
        self._averaged = AveragedModel(model, use_buffers=True)

    @property
    def model(self) -> nn.Module:
        """A network with the mean of the weights."""
        module: nn.Module = self._averaged.module
        return module

    def update(self, model: nn.Module) -> None:
        """Adds the weights after a step."""
        done = int(self._averaged.n_averaged)
        decay = min(self._decay, (1 + done) / (10 + done))
        self._averaged.multi_avg_fn = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self._averaged.update_parameters(model)

    def state_dict(self) -> dict[str, Any]:
        """The mean, and how many steps it has."""
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""
        self._averaged.load_state_dict(state)
