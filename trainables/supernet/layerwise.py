"""Shared weights of the spaces of one operation per layer: every layer holds all its operations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from taurank.spaces import FBNet, NASBenchMacro, ProxylessNAS, RestrictedSpace, SearchSpace
from taurank.spaces.mobile import MobileBlock
from taurank.trainables.supernet.network import Supernet


class MixedLayer(nn.Module):
    """A layer that holds all operations and computes one of them, or a mixture."""

    def __init__(self, options: list[nn.Module]) -> None:
        super().__init__()
        self.options = nn.ModuleList(options)
        # Where the shape stays, all operations add to their input: the identity nothing.
        self._adds = any(
            isinstance(option, nn.Identity) or (isinstance(option, MobileBlock) and option.residual)
            for option in options
        )

    def forward(self, features: Tensor, decide: Callable[[Callable[[int], Tensor]], Tensor]) -> Tensor:
        """Maps (batch, in, height, width) to (batch, out, ceil(height / stride), ceil(width / stride)).

        ``decide`` makes one output of those of the operations, by position. It is given what they add to their input:
        the batch norms ahead undo any change of scale of the whole, so a weight on that would have no effect.
        """
        decided = decide(partial(self._operate, features))
        return features + decided if self._adds else decided

    def _operate(self, features: Tensor, position: int) -> Tensor:
        option = self.options[position]
        if isinstance(option, nn.Identity):
            return features.new_zeros(())
        output: Tensor = option.body(features) if self._adds else option(features)  # type: ignore[operator]
        return output


class LayerwiseSupernet(Supernet):
    """The network of the space with mixed layers; a candidate uses one operation of each.

    Of a restricted space, layers hold the allowed operations only.
    """

    takes_restricted = True
    can_mix = True

    def __init__(self, space: SearchSpace, *, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        base = space
        while isinstance(base, RestrictedSpace):
            base = base.base
        assert isinstance(base, (FBNet, NASBenchMacro, ProxylessNAS))
        self._space = space
        self.network = base.assemble(
            lambda position, shape: MixedLayer(
                [base.make_layer(operation, shape) for operation in space.decisions[position]]
            ),
            channels=input_shape[0],
            classes=classes,
        )
        self._taken = (0,) * len(space.decisions)

    def activate(self, path: str) -> None:
        """Chooses the operation of each layer."""
        self._taken = self._space.choices(self._space.parse(path))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of the chosen candidate."""
        features = self.network.stem(images)
        for position, (layer, taken) in enumerate(zip(self.network.layers, self._taken, strict=True)):
            features = layer(features, partial(self.decided, position, taken))
        return self.network.classify(features)

    def inherited(self, path: str) -> dict[str, Tensor]:
        """Weights outside of the layers, and those of the chosen operation of each layer."""
        taken = self._space.choices(self._space.parse(path))
        weights = {}
        for key, value in self.network.state_dict().items():
            before, found, rest = key.partition(".options.")
            if not found:
                weights[key] = value
                continue
            option, parameter = rest.split(".", 1)
            if taken[int(before.removeprefix("layers."))] == int(option):
                weights[f"{before}.{parameter}"] = value
        return weights
