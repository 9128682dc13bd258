"""A copy of an untrained network, and a forward and backward pass shared by several proxies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from taurank.spaces.copies import copy_network
from taurank.trainables.proxies.batch import ProxyBatch
from taurank.trainables.proxies.layout import as_maps
from taurank.trainables.proxies.recorders import CodeRecorder, LayerRecorder, UnitRecorder
from taurank.trainables.proxies.spelling import in_one_spelling, is_normalisation, read_spelling

Found = TypeVar("Found")

Part = Literal["weights", "gradients", "activations", "maps", "jacobian", "codes"]
"""Parts of the shared pass; see `SharedPass`."""


class VoidScoreError(ValueError):
    """A proxy cannot score this network on this batch; the message states the reason. The score is then NaN."""


@dataclass
class SharedPass:
    """One forward pass of the batch with its own statistics, and at most two backward passes through it.

    Attributes:
        weights: Weights of the convolutions, linear and attention layers that were computed, in order of first use.
        gradients: Of the mean cross-entropy, one for each of `weights`; zeros where it does not depend on them.
        fisher: Sum over layers and channels of the mean over images of (activation * gradient)^2 / 2, and how many
            layers it is made of.
        maps: Feature maps of the first image, (channels, positions), as they leave the layers with weights and the
            units with a bend at zero. Normalisation is left out: it changes no correlation between channels.
        jacobian: Gradient of the sum of the logits with respect to the images: (n, channels * height * width).
        agreement: For each pair of images, the units in the same state: (n, n), float64.
        units: Units whose codes `agreement` counts, for one image.
        layers: Layers that were computed.
    """

    weights: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    fisher: Tensor | None = None
    fisher_layers: int = 0
    maps: list[Tensor] = field(default_factory=list)
    jacobian: Tensor | None = None
    agreement: Tensor | None = None
    units: int = 0
    layers: int = 0


class Probe:
    """A network with the batch it is scored on. The network that was passed in is never changed.

    Args:
        network: Untrained: images (n, channels, height, width) to logits (n, classes).
        batch: On the device on which to score.
        seed: Of everything random: the same seed gives the same score, whatever was scored before.
        parts: What the shared pass has to deliver for the proxies that will read it.
        thin: Makes the network of one channel and one cell that `linear_regions` evaluates; see `SearchSpace.thin`.
    """

    def __init__(
        self,
        network: nn.Module,
        batch: ProxyBatch,
        *,
        seed: int = 0,
        parts: Collection[Part] = (),
        thin: Callable[[], nn.Module] | None = None,
    ) -> None:
        self.batch, self.seed, self.thin = batch, seed, thin
        self._parts = frozenset(parts)
        self._found: dict[str, Any] = {}
        self._network = copy_network(network).to(batch.images.device)
        self._parameters = {one: one.detach().clone() for one in self._network.parameters()}
        self._buffers = {module: _copied(dict(module._buffers.items())) for module in self._network.modules()}
        self._is_scripted = any(isinstance(module, torch.jit.ScriptModule) for module in self._network.modules())
        if not self._is_scripted:
            with self.seeded():
                spelling = read_spelling(lambda: self.fresh()(batch.images[:2].clone()))
            in_one_spelling(self._network, spelling)

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """Global random numbers start at the seed inside, and go on outside as if nothing had happened."""
        device = self.batch.images.device
        fast_path = torch.backends.mha.get_fastpath_enabled()
        # It computes attention and its linear layers as one operator, in evaluation mode only.
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(self.seed)
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)

    def fresh(self) -> nn.Module:
        """The network as it was passed in, without gradients.

        It is in evaluation mode, so that dropout, stochastic depth and other noise are off; but normalisations are in
        training mode, and use the statistics of the batch. It computes within `OneSpelling`.

        It is one module that all proxies work on in turn: change its weights, but not its layers, and do not keep it.

        Raises:
            VoidScoreError: It is TorchScript, which hides its operators.
        """
        if self._is_scripted:
            raise VoidScoreError(
                "the network is TorchScript, which hides its operators; score it before it is scripted"
            )
        return self.restored()

    def restored(self) -> nn.Module:
        """As `fresh`, also of a network whose operators cannot be seen; for proxies that only count."""
        self._network.eval()
        for module, buffers in self._buffers.items():
            _restore(module, buffers)
            if is_normalisation(module):
                module.training = True
        for parameter, start in self._parameters.items():
            with torch.no_grad():
                parameter.copy_(start)
            parameter.requires_grad_(parameter.is_floating_point())
            parameter.grad = None
        return self._network

    def once(self, key: str, compute: Callable[[], Found]) -> Found:
        """Returns the result of `compute`, which runs once per key and starts from the seed."""
        if key not in self._found:
            with self.seeded():
                self._found[key] = compute()
        found: Found = self._found[key]
        return found

    @cached_property
    def weight_count(self) -> int:
        """Entries of all parameters with two or more dimensions."""
        return sum(parameter.numel() for parameter in self._network.parameters() if parameter.dim() > 1)

    def covered(self, weights: Collection[Tensor]) -> float:
        """Share of the network's weights that these are, in [0, 1]."""
        return min(1.0, sum(weight.numel() for weight in weights) / max(1, self.weight_count))

    def check_distinct(self) -> None:
        """Raises `VoidScoreError` where two images of the batch are equal."""
        if self.batch.duplicates is not None:
            first, second = self.batch.duplicates
            raise VoidScoreError(f"images {first} and {second} of the batch are equal")

    @cached_property
    def labels(self) -> Tensor:
        """Labels of the batch.

        Raises:
            VoidScoreError: It has none.
        """
        if self.batch.labels is None:
            raise VoidScoreError("the batch has no labels")
        return self.batch.labels

    @cached_property
    def shared(self) -> SharedPass:
        """The shared pass, run when it is first asked for.

        Raises:
            VoidScoreError: The network has no weights, or its output does not depend on what is asked for.
        """
        with self.seeded():
            return self._run()

    def _run(self) -> SharedPass:
        network, found = self.fresh(), SharedPass()
        wants_loss = self.batch.labels is not None and bool(self._parts & {"gradients", "activations"})
        wants_inputs = bool(self._parts & {"jacobian", "codes"})
        fisher = _Fisher(self.batch.images) if "activations" in self._parts and wants_loss else None
        by_id: dict[int, Tensor] = {}

        def on_layer(weights: Collection[Tensor], output: Tensor) -> None:
            by_id.update((id(weight), weight) for weight in weights)
            found.layers += 1
            if fisher is not None:
                fisher.watch(output)
            watch_maps(output)

        def watch_maps(output: Tensor) -> None:
            if "maps" in self._parts and (maps := maps_of_first(output, images)) is not None:
                found.maps.append(maps)

        images = self.batch.images.clone().requires_grad_(wants_inputs)
        with torch.set_grad_enabled(wants_inputs or wants_loss), LayerRecorder(on_layer), UnitRecorder(watch_maps):
            logits = network(images)
        found.weights = list(by_id.values())
        if not found.weights:
            raise VoidScoreError("no convolution, linear or attention layer was computed")
        if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(images):
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise VoidScoreError(f"the network gives {shape} for {len(images)} images, not one row of logits each")
        if wants_inputs:
            self._differentiate_inputs(logits, images, found, keep=wants_loss)
        if wants_loss:
            if fisher is not None:
                fisher.active = True
            loss = cross_entropy(logits, self.labels)
            gradients = torch.autograd.grad(loss, found.weights, allow_unused=True)
            found.gradients = [
                torch.zeros_like(weight) if gradient is None else gradient
                for weight, gradient in zip(found.weights, gradients, strict=True)
            ]
        if fisher is not None:
            found.fisher = fisher.total
            found.fisher_layers = int(torch.stack(fisher.reached).sum()) if fisher.reached else 0
        found.weights = [weight.detach().clone() for weight in found.weights]
        return found

    def _differentiate_inputs(self, logits: Tensor, images: Tensor, found: SharedPass, *, keep: bool) -> None:
        codes = _Agreement(len(images)) if "codes" in self._parts else None
        if logits.grad_fn is None:
            return
        count = codes.add if codes is not None else (lambda code: None)
        with CodeRecorder(count, backward=True):
            (gradient,) = torch.autograd.grad(
                logits, images, torch.ones_like(logits), retain_graph=keep, allow_unused=True
            )
        if gradient is not None:
            found.jacobian = gradient.flatten(1)
        if codes is not None:
            found.agreement, found.units = codes.kernel, codes.units


def _copied(buffers: Mapping[str, Tensor | None]) -> dict[str, Tensor | None]:
    return {name: None if value is None else value.detach().clone() for name, value in buffers.items()}


def _restore(module: nn.Module, buffers: Mapping[str, Tensor | None]) -> None:
    for name, start in buffers.items():
        now = getattr(module, name)
        if start is not None and isinstance(now, Tensor) and now.shape == start.shape and not now.requires_grad:
            now.copy_(start)
        elif now is not start:
            setattr(module, name, None if start is None else start.clone())


def maps_of_first(output: Tensor, images: Tensor) -> Tensor | None:
    """Feature maps of the first image, (channels, positions); tokens count as positions. None if there is only one."""
    maps = as_maps(output, images)
    if maps is None or len(maps) != len(images) or maps[0, 0].numel() < 2:
        return None
    return maps[0].detach().flatten(1).clone()


class _Fisher:
    """Adds up what `fisher` needs while the loss is differentiated; see `SharedPass`."""

    def __init__(self, images: Tensor) -> None:
        self._images = images
        self.active = False
        self.total: Tensor | None = None
        self.reached: list[Tensor] = []  # of each layer whether any gradient is not zero

    def watch(self, output: Tensor) -> None:
        if output.requires_grad:
            kept = output.detach().clone()  # an in-place activation may overwrite it
            output.register_hook(lambda gradient: self._add(kept, gradient))  # type: ignore[no-untyped-call]

    def _add(self, activation: Tensor, gradient: Tensor) -> None:
        if not self.active:
            return
        product = activation * gradient
        maps = as_maps(product, self._images)
        by_channel = product if maps is None else maps.flatten(2).sum(2)  # (n, channels)
        value = (by_channel.double() ** 2).mean(0).sum() / 2
        self.total = value if self.total is None else self.total + value
        self.reached.append((gradient != 0).any())


class _Agreement:
    """For each pair of images, how many units are in the same state."""

    def __init__(self, images: int) -> None:
        self._images = images
        self.kernel: Tensor | None = None
        self.units = 0

    def add(self, code: Tensor) -> None:
        if code.dim() == 0 or code.shape[0] % self._images:
            return  # not one code an image: a unit on weights, for instance
        signs = code.reshape(self._images, -1).float() * 2 - 1  # (n, units), -1 and 1
        units = signs.shape[1]
        same = ((signs @ signs.T).double() + units) / 2
        self.kernel = same if self.kernel is None else self.kernel + same
        self.units += units
