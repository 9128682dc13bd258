from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.spaces import get_space
from taurank.spaces.once_for_all.code import format_code, largest
from taurank.spaces.once_for_all.space import OnceForAll
from taurank.trainables.supernet.batch_norm import recalibrate
from taurank.trainables.supernet.elastic import ElasticDepthwise
from taurank.trainables.supernet.elastic_block import ElasticBlock, descending
from taurank.trainables.supernet.once_for_all import OnceForAllSupernet

SHAPE = (1, 14, 14)
CLASSES = 10
LABELS = torch.arange(16) % CLASSES


@pytest.fixture(scope="module")
def space() -> OnceForAll:
    """Three options of everything, so that chains and levels have a middle."""
    space = get_space(
        "once_for_all",
        variant="mini",
        depths=[1, 2, 3],
        kernels=[3, 5, 7],
        expansions=[2, 3, 4],
        resolutions=[10, 12, 14],
    )
    assert isinstance(space, OnceForAll)
    return space


@pytest.fixture
def supernet(space: OnceForAll) -> OnceForAllSupernet:
    """Every weight and statistic differs from its initial value, matrices of kernels included."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = OnceForAllSupernet(space, input_shape=SHAPE, classes=CLASSES)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
        for name, buffer in made.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5, generator=generator)
            if name.endswith("running_mean"):
                buffer.normal_(0.0, 0.1, generator=generator)
    return made


def images(seed: int = 1) -> Tensor:
    return torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(seed))


def logits(supernet: OnceForAllSupernet, path: str) -> Tensor:
    supernet.activate(path)
    with torch.no_grad():
        output: Tensor = supernet.eval()(images())
    return output


def of(resolution: int, depth: int, *, kernel: int, expansion: int) -> str:
    stage = "-".join([f"k{kernel}e{expansion}"] * depth)
    return f"r{resolution}_{stage}_{stage}"


def test_random_candidates_compute_what_they_do_alone(space: OnceForAll, supernet: OnceForAllSupernet) -> None:
    for architecture in space.sample(20, np.random.default_rng(0)):
        network = space.build(architecture, input_shape=SHAPE, classes=CLASSES)
        network.load_state_dict(supernet.inherited(architecture.code))
        with torch.no_grad():
            alone = network.eval()(images())
        assert torch.allclose(logits(supernet, architecture.code), alone, atol=1e-5), architecture


def test_recalibration_of_a_part_is_that_of_the_candidate_alone(
    space: OnceForAll, supernet: OnceForAllSupernet
) -> None:
    path = of(12, 2, kernel=5, expansion=3)
    network = space.build(space.parse(path), input_shape=SHAPE, classes=CLASSES)
    network.load_state_dict(supernet.inherited(path))
    supernet.activate(path)
    for model in (supernet, network):
        recalibrate(model, [images(2), images(3)])
    with torch.no_grad():
        assert torch.allclose(logits(supernet, path), network.eval()(images()), atol=1e-5)
    own = dict(supernet.network.named_buffers())
    # 8 channels come in: 32 at most, of which this candidate uses 24.
    assert (own["stages.0.0.expand.bn.running_mean"][24:] == 0).all()
    assert (own["stages.0.0.expand.bn.running_mean"][:24] != 0).all()


def test_identity_matrices_leave_the_centre_of_the_kernel() -> None:
    layer = ElasticDepthwise(6, (3, 5, 7), stride=1)
    assert torch.equal(layer.kernel(7, 6), layer.weight)
    assert torch.equal(layer.kernel(5, 6), layer.weight[:, :, 1:6, 1:6])
    assert torch.equal(layer.kernel(3, 4), layer.weight[:4, :, 2:5, 2:5])


def test_kernels_shrink_one_after_the_other() -> None:
    layer = ElasticDepthwise(1, (3, 5, 7), stride=1)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(49.0).view(1, 1, 7, 7))
        layer.transforms["7to5"].copy_(2.0 * torch.eye(25))
        layer.transforms["5to3"].copy_(torch.eye(9).flip(0))
    # Rows 2 to 4 of the 7x7 kernel, doubled on the way to 5x5, in reverse order on the way to 3x3.
    expected = [[64.0, 62.0, 60.0], [50.0, 48.0, 46.0], [36.0, 34.0, 32.0]]
    assert layer.kernel(3, 1)[0, 0].tolist() == expected
    assert layer.kernel(5, 1)[0, 0, 0].tolist() == [16.0, 18.0, 20.0, 22.0, 24.0]


def test_sorting_leaves_the_widest_networks_as_they_are(supernet: OnceForAllSupernet) -> None:
    widest = [of(14, 3, kernel=7, expansion=4), of(10, 2, kernel=3, expansion=4)]
    narrower = of(14, 3, kernel=7, expansion=3)
    before = [logits(supernet, path) for path in (*widest, narrower)]
    supernet.sort_channels(0)
    after = [logits(supernet, path) for path in (*widest, narrower)]
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(before[:2], after[:2], strict=True))
    assert not torch.allclose(before[2], after[2], atol=1e-2)


def test_the_first_channels_are_the_most_important(supernet: OnceForAllSupernet) -> None:
    supernet.sort_channels(0)
    for key, weight in supernet.network.state_dict().items():
        if "stages" in key and key.endswith(("project.conv.weight", "squeeze.expand.weight")):
            importance = weight.abs().sum(dim=(0, 2, 3))
            assert (importance.diff() <= 1e-6).all(), key


def test_sorting_later_leaves_what_is_in_use_as_it_is(supernet: OnceForAllSupernet) -> None:
    in_use = [of(14, 3, kernel=7, expansion=4), of(12, 2, kernel=5, expansion=3)]
    new = of(14, 3, kernel=7, expansion=2)
    before = [logits(supernet, path) for path in (*in_use, new)]
    supernet.sort_channels(1)
    after = [logits(supernet, path) for path in (*in_use, new)]
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(before[:2], after[:2], strict=True))
    assert not torch.allclose(before[2], after[2], atol=1e-2)


def test_channels_are_ordered_within_the_widths_in_use() -> None:
    weight = torch.tensor([[1.0, -3.0, 2.0, -9.0, 5.0, 4.0]]).view(1, 6, 1, 1)
    assert descending(weight, (2, 4, 6), 0).tolist() == [3, 4, 5, 1, 2, 0]
    assert descending(weight, (2, 4, 6), 1).tolist() == [3, 1, 2, 0, 4, 5]
    assert descending(weight, (2, 4, 6), 2).tolist() == [1, 0, 3, 2, 4, 5]


def test_a_step_moves_parts_that_are_not_executed_by_no_bit(supernet: OnceForAllSupernet) -> None:
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-2)

    def step(path: str) -> None:
        supernet.train().activate(path)
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(supernet(images()), LABELS).backward()
        optimizer.step()

    step(of(14, 3, kernel=3, expansion=4))
    before = {name: weight.detach().clone() for name, weight in supernet.named_parameters()}
    step("r12_k5e2-k7e3_k7e2")
    still = {name for name, weight in supernet.named_parameters() if torch.equal(weight, before[name])}
    matrices = {f"network.stages.{stage}.{place}.depthwise.conv.transforms" for stage in (0, 1) for place in (0, 1, 2)}
    expected = {f"{matrix}.{step}" for matrix in matrices for step in ("7to5", "5to3")}
    expected -= {"network.stages.0.0.depthwise.conv.transforms.7to5"}
    skipped = ("network.stages.0.2.", "network.stages.1.1.", "network.stages.1.2.")
    expected |= {name for name in before if name.startswith(skipped)}
    assert still == expected
    # The part of a tensor that was not used is decayed with the rest.
    name = "network.stages.0.0.project.conv.weight"
    assert not torch.equal(supernet.get_parameter(name)[:, 16:], before[name][:, 16:])


def test_gates_are_on_what_blocks_add(space: OnceForAll, supernet: OnceForAllSupernet) -> None:
    path = "r12_k5e2-k7e3_k7e2"
    choices = space.choices(space.parse(path))
    supernet.train().activate(path)
    ungated = supernet(images())
    gates = [
        functional.one_hot(torch.tensor(choice), len(options)).float().requires_grad_()
        for choice, options in zip(choices, space.decisions, strict=True)
    ]
    supernet.gates = gates
    gated = supernet(images())
    assert torch.allclose(gated, ungated, atol=1e-6)
    functional.cross_entropy(gated, LABELS).backward()
    design = space.design
    kept = [design.kernel_decision(stage, place) for stage, place in ((0, 0), (0, 1), (1, 0))]
    in_effect = {
        *kept,
        *(decision + 1 for decision in kept),
        *(design.depth_decision(stage) for stage in (0, 1)),
        design.resolution_decision,
    }
    assert {decision for decision, gate in enumerate(gates) if gate.grad is not None} == in_effect
    # In the second stage nothing is added to what its only block puts out, so the batch norm behind undoes its scale.
    for decision in (*kept[:2], design.depth_decision(0), design.resolution_decision):
        gradient = gates[decision].grad
        assert gradient is not None
        assert abs(gradient[choices[decision]]) > 1e-4


def test_a_block_is_registered_once() -> None:
    block = ElasticBlock(8, 8, widths=(16, 24), kernels=(3, 5), stride=1, activation="relu", squeeze=True)
    weights = [weight.data_ptr() for weight in block.state_dict(keep_vars=True).values()]
    assert len(set(weights)) == len(weights)


def test_a_last_stage_of_one_block_is_shared_too() -> None:
    space = get_space("once_for_all", variant="proxylessnas", width=0.25, depths=[1, 2], resolutions=[16])
    assert isinstance(space, OnceForAll)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = OnceForAllSupernet(space, input_shape=SHAPE, classes=CLASSES).eval()
    for architecture in space.sample(5, np.random.default_rng(0)):
        network = space.build(architecture, input_shape=SHAPE, classes=CLASSES).eval()
        network.load_state_dict(made.inherited(architecture.code))
        made.activate(architecture.code)
        with torch.no_grad():
            assert torch.allclose(made(images()), network(images()), atol=1e-5), architecture
    assert {norm.eps for norm in made.modules() if isinstance(norm, nn.BatchNorm2d)} == {1e-3}


@pytest.mark.parametrize("options", [{}, {"variant": "mini"}, {"width": 1.2}, {"variant": "proxylessnas"}])
def test_the_supernet_is_the_largest_network_and_the_matrices(options: dict[str, Any]) -> None:
    space = get_space("once_for_all", **options)
    assert isinstance(space, OnceForAll)
    with torch.device("meta"):
        supernet = OnceForAllSupernet(space, input_shape=(3, 32, 32), classes=CLASSES)
        alone = space.build(space.parse(format_code(largest(space.design))), input_shape=(3, 32, 32), classes=CLASSES)
    matrices = sum(small**4 for small in space.design.kernels[:-1]) * len(space.design.blocks)
    assert count(supernet) == count(alone) + matrices


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
