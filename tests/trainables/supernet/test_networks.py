from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.spaces import SearchSpace, SpaceError, get_space, measure_size
from taurank.spaces.nasbench201 import format_code, parse_code
from taurank.spaces.nasbench201.graph import is_connected
from taurank.trainables.supernet import Supernet, extract, list_supernets, make_supernet

SHAPE = (1, 12, 12)
CLASSES = 10

DISCONNECTED = "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"
PATHS = {
    "mnist_blocks": ["1,1", "1,3", "2,1", "3,2", "3,3"],
    "nasbench201": [
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|nor_conv_3x3~1|nor_conv_1x1~2|",
        "|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        "|nor_conv_1x1~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|nor_conv_3x3~2|",  # dead edges 0->1 and 2->3
        DISCONNECTED,
    ],
    "fbnet": ["k5e6_k5e6-k5e6", "skip_skip-skip", "k3e1g2_k3e3-skip", "k3e1_skip-k5e1g2", "k5e3_k3e6-k5e1"],
    "nasbench_macro": ["22222222", "00000000", "11011011", "02101200", "20012021"],
    "once_for_all": [
        "r12_k5e3-k5e3_k5e3-k5e3",
        "r8_k5e2_k5e2",
        "r12_k3e2_k5e3-k3e3",
        "r8_k3e3-k5e2_k3e2",
        "r12_k5e2-k3e2_k3e3-k5e2",
    ],
    "once_for_all_resnet50": [
        "r12_w1-conv-w1_w1-e0.5-e0.5_w1-e0.5-e0.5",
        "r8_w1-skip-w1_w1-e0.5_w1-e0.5",
        "r12_w0.5-conv-w1_w1-e0.25_w0.5-e0.25-e0.5",
        "r8_w0.5-skip-w0.5_w0.5-e0.25-e0.25_w0.5-e0.25",
        "r12_w1-conv-w0.5_w0.5-e0.5_w1-e0.5-e0.25",
    ],
    "proxyless": [
        "k7e6-k7e6_k7e6-k7e6-k7e6",
        "k3e3-id_k3e3-id-id",
        "k3e3-k5e6_k5e3-id-k7e3",
        "k5e6-id_k7e3-k3e6-id",
        "k7e3-k3e3_k3e6-k5e3-k3e3",
    ],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "mnist_blocks": {},
    "nasbench201": {"width": 4, "cells_per_stage": 2},
    "fbnet": {"variant": "mini"},
    "nasbench_macro": {"width": 4, "head_width": 16},
    "once_for_all": {"variant": "mini", "resolutions": [8, 12]},
    "once_for_all_resnet50": {"variant": "mini", "resolutions": [8, 12]},
    "proxyless": {"variant": "mini"},
}
# A path that leaves much out, and uses whole whatever it uses of a weight.
SPARSE = {
    "mnist_blocks": "1,1",
    "nasbench201": PATHS["nasbench201"][2],
    "fbnet": "skip_skip-skip",
    "nasbench_macro": "00000000",
    "once_for_all": "r8_k5e2_k5e2",
    "once_for_all_resnet50": "r8_w1-skip-w1_w1-e0.5_w1-e0.5",
    "proxyless": "k3e3-id_k3e3-id-id",
}
# A path on which every decision makes a difference.
FULL = {
    "mnist_blocks": "3,3",
    "nasbench201": PATHS["nasbench201"][0],
    "fbnet": PATHS["fbnet"][0],
    "nasbench_macro": "22222222",
    "once_for_all": PATHS["once_for_all"][0],
    "once_for_all_resnet50": PATHS["once_for_all_resnet50"][0],
    "proxyless": PATHS["proxyless"][0],
}


@pytest.fixture(params=list_supernets())
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return get_space(request.param, **OPTIONS[request.param])


def make(space: SearchSpace, seed: int = 0) -> Supernet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make_supernet(space, input_shape=SHAPE, classes=CLASSES)


def alone(space: SearchSpace, path: str) -> nn.Module:
    return space.build(space.parse(path), input_shape=SHAPE, classes=CLASSES)


def images(count: int = 16, seed: int = 1) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


LABELS = torch.arange(16) % CLASSES


def train(supernet: Supernet, paths: list[str], optimizer: torch.optim.Optimizer) -> None:
    supernet.train()
    for step, path in enumerate(paths):
        supernet.activate(path)
        loss = functional.cross_entropy(supernet(images(seed=step)), LABELS)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def momentum(supernet: Supernet) -> torch.optim.Optimizer:
    return torch.optim.SGD(supernet.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-2)


def test_the_spaces_with_a_supernet_are_listed() -> None:
    assert list_supernets() == [
        "fbnet",
        "mnist_blocks",
        "nasbench201",
        "nasbench_macro",
        "once_for_all",
        "once_for_all_resnet50",
        "proxyless",
    ]


def test_another_space_has_none() -> None:
    class Other:
        name = "other"

    known = "fbnet, mnist_blocks, nasbench201, nasbench_macro, once_for_all, once_for_all_resnet50, proxyless"
    with pytest.raises(SpaceError, match=f"'other' has no supernet; spaces that have one: {known}"):
        make_supernet(Other(), input_shape=SHAPE, classes=CLASSES)  # type: ignore[arg-type]


@pytest.mark.parametrize("trained", [False, True])
def test_a_path_computes_what_the_architecture_alone_does(space: SearchSpace, trained: bool) -> None:
    supernet, paths = make(space), PATHS[space.name]
    if trained:
        train(supernet, paths * 2, momentum(supernet))
    for path in paths:
        network = alone(space, path)
        own = network.state_dict()
        inherited = supernet.inherited(path)
        assert inherited.keys() == own.keys()
        assert all(inherited[key].shape == own[key].shape for key in own)
        assert extract(supernet, path, network) is network
        supernet.activate(path)
        for mode in (False, True):  # running statistics, then those of the batch
            supernet.train(mode)
            network.train(mode)
            with torch.no_grad():
                assert torch.allclose(supernet(images()), network(images()), atol=1e-6), (path, mode)
        supernet.eval()
        network.eval()
        with torch.no_grad():  # the training-mode pass has moved both sets of running statistics alike
            assert torch.allclose(supernet(images()), network(images()), atol=1e-6), path


def test_paths_compute_different_things(space: SearchSpace) -> None:
    supernet = make(space).train()  # with the running statistics of a new network features all but vanish
    outputs = []
    for path in PATHS[space.name]:
        supernet.activate(path)
        with torch.no_grad():
            outputs.append(supernet(images()))
    for index, output in enumerate(outputs):
        assert all(not torch.allclose(output, other, atol=1e-2) for other in outputs[:index])


def test_looking_at_the_inheritance_of_a_path_does_not_activate_it(space: SearchSpace) -> None:
    supernet = make(space).eval()
    first, last = PATHS[space.name][0], PATHS[space.name][-1]
    supernet.activate(first)
    with torch.no_grad():
        before = supernet(images())
        supernet.inherited(last)
        assert torch.equal(supernet(images()), before)


def test_an_extracted_network_is_a_copy(space: SearchSpace) -> None:
    supernet = make(space)
    path = PATHS[space.name][0]
    network = extract(supernet, path, alone(space, path))
    before = {key: value.clone() for key, value in supernet.state_dict().items()}
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(1.0)
    assert all(torch.equal(value, before[key]) for key, value in supernet.state_dict().items())


@pytest.mark.parametrize("make_optimizer", [momentum, lambda net: torch.optim.AdamW(net.parameters(), lr=0.01)])
def test_weights_off_the_path_do_not_move(
    space: SearchSpace, make_optimizer: Callable[[Supernet], torch.optim.Optimizer]
) -> None:
    supernet, paths = make(space), PATHS[space.name]
    optimizer = make_optimizer(supernet)
    train(supernet, paths, optimizer)  # so that there is momentum to be carried on
    sparse = SPARSE[space.name]
    before = {name: weight.detach().clone() for name, weight in supernet.named_parameters()}
    train(supernet, [sparse], optimizer)
    unused = {name for name, weight in supernet.named_parameters() if weight.grad is None}
    moved = {name for name, weight in supernet.named_parameters() if not torch.equal(weight, before[name])}
    assert unused
    assert moved == before.keys() - unused
    # Those are all but the weights of the architecture itself.
    on_path = {value.data_ptr() for value in supernet.inherited(sparse).values()}
    assert unused == {name for name, weight in supernet.named_parameters() if weight.data_ptr() not in on_path}


def test_gates_change_no_logits_and_every_option_gets_a_gradient(space: SearchSpace) -> None:
    supernet, path = make(space).train(), FULL[space.name]
    supernet.activate(path)
    ungated = supernet(images())
    gates = [
        functional.one_hot(torch.tensor(choice), len(options)).float().requires_grad_()
        for choice, options in zip(space.choices(space.parse(path)), space.decisions, strict=True)
    ]
    supernet.gates = gates
    gated = supernet(images())
    assert torch.allclose(gated, ungated, atol=1e-6)
    functional.cross_entropy(gated, LABELS).backward()
    gradients = [gate.grad for gate in gates]
    for gradient, options in zip(gradients, space.decisions, strict=True):
        assert gradient is not None
        assert gradient.shape == (len(options),)
        assert torch.isfinite(gradient).all()
    assert max(float(gradient.abs().max()) for gradient in gradients if gradient is not None) > 1e-3


def test_a_gate_weighs_what_its_option_puts_out() -> None:
    features = torch.tensor([2.0, -3.0])
    supernet = make(get_space("mnist_blocks"))
    assert torch.equal(supernet.gated(0, 1, features), features)
    gates = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)
    supernet.gates = [gates]
    gated = supernet.gated(0, 1, features)
    assert torch.equal(gated, features)
    (gated * torch.tensor([1.0, 10.0])).sum().backward()
    assert gates.grad is not None
    assert gates.grad.tolist() == [11.0, 2.0 - 30.0, 11.0]


def test_dead_edges_are_not_computed() -> None:
    space = get_space("nasbench201", **OPTIONS["nasbench201"])
    supernet, path = make(space), PATHS["nasbench201"][3]
    train(supernet, [path], momentum(supernet))
    gradients = {name: weight.grad for name, weight in supernet.named_parameters()}
    assert gradients["network.stages.0.0.edges.0.nor_conv_1x1.1.weight"] is None  # 0->1, a dead end
    assert gradients["network.stages.0.0.edges.5.nor_conv_3x3.1.weight"] is None  # 2->3, which nothing reaches
    assert gradients["network.stages.0.0.edges.3.nor_conv_3x3.1.weight"] is not None
    buffers = supernet.state_dict()
    batches = {
        edge: int(buffers[f"network.stages.0.0.edges.{edge}.{operation}.2.num_batches_tracked"])
        for edge, operation in ((0, "nor_conv_1x1"), (3, "nor_conv_3x3"), (5, "nor_conv_3x3"))
    }
    assert batches == {0: 0, 3: 1, 5: 0}


def test_a_disconnected_cell_trains_what_lies_behind_it() -> None:
    assert not is_connected(DISCONNECTED)
    space = get_space("nasbench201", **OPTIONS["nasbench201"])
    supernet = make(space)
    optimizer = momentum(supernet)
    train(supernet, [PATHS["nasbench201"][0]], optimizer)
    before = {name: weight.detach().clone() for name, weight in supernet.named_parameters()}
    train(supernet, [DISCONNECTED], optimizer)
    moved = {name for name, weight in supernet.named_parameters() if not torch.equal(weight, before[name])}
    assert moved  # the classifier learns how frequent the classes are
    assert all(name.startswith("network.head.") for name in moved)
    supernet.eval()
    with torch.no_grad():
        outputs = supernet(images())
        # Every image gets the same answer, and an infinite one does not turn into NaN.
        assert torch.equal(outputs, outputs[:1].expand_as(outputs))
        assert torch.isfinite(supernet(images() * torch.inf)).all()


def test_every_operation_of_every_edge_is_there_once() -> None:
    space = get_space("nasbench201", **OPTIONS["nasbench201"])
    supernet = make(space)
    for operation in ("nor_conv_1x1", "nor_conv_3x3"):
        path = format_code([operation] * 6)
        own = sum(value.numel() for key, value in supernet.inherited(path).items() if "edges" in key)
        whole = sum(value.numel() for key, value in supernet.state_dict().items() if f".{operation}." in key)
        assert own == whole > 0
    assert parse_code(path) == ("nor_conv_3x3",) * 6


def test_the_largest_of_the_nine_is_the_supernet() -> None:
    space = get_space("mnist_blocks")
    size = measure_size(space, space.parse("3,3"), input_shape=(1, 28, 28), classes=10)
    supernet = make_supernet(space, input_shape=(1, 28, 28), classes=10)
    assert sum(weight.numel() for weight in supernet.parameters()) == size.parameters == 158752


def test_an_unknown_path_is_refused(space: SearchSpace) -> None:
    with pytest.raises(SpaceError, match="code: "):
        make(space).activate("4,4")
