from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from taurank.spaces import SpaceError, get_space
from taurank.trainables.latency.measure import measure_in_turn, measure_latency, measure_table
from taurank.trainables.latency.parts import LatencyError, latency_keys
from taurank.trainables.latency.table import Conditions, Latency, LatencyTable

CONDITIONS = Conditions(device="cpu", precision="float32", batch=1, threads=1, torch="2.6.0")
SHAPE = (1, 28, 28)
QUICK = {"warm_up": 0, "repeats": 2}


@pytest.fixture
def table() -> LatencyTable:
    return LatencyTable({"stem": 1.5, "narrow": 0.25, "wide": 2.0, "head": 0.5}, CONDITIONS)


def keys_of(code: str, space: str = "once_for_all", **options: object) -> tuple[str, ...]:
    options = {"variant": "mini"} if space == "once_for_all" and not options else options
    made = get_space(space, **options)
    return latency_keys(made, made.parse(code), input_shape=SHAPE, classes=10)


def test_a_total_is_the_sum_over_the_parts_and_counts_repeats(table: LatencyTable) -> None:
    assert table.total(["stem", "narrow", "narrow", "head"]) == 2.5
    assert table.total(["stem", "wide"]) + table.total(["head"]) == table.total(["stem", "wide", "head"]) == 4.0
    assert table.total([]) == 0.0


def test_a_part_that_is_not_in_the_table(table: LatencyTable) -> None:
    message = "keys: 'tail' is none of the 4 parts of the table; measure a table of architectures that have it"
    with pytest.raises(LatencyError) as caught:
        table.total(["stem", "tail"])
    assert str(caught.value) == message
    with pytest.raises(LatencyError, match="'stem' is a text; give a list"):
        table.total("stem")


def test_a_table_comes_back_from_its_file(table: LatencyTable, tmp_path: Path) -> None:
    table.save(tmp_path / "table.json")
    read = LatencyTable.load(tmp_path / "table.json")
    assert read.milliseconds == table.milliseconds
    assert read.conditions == CONDITIONS


def test_a_file_is_replaced_and_never_written_in_place(table: LatencyTable, tmp_path: Path) -> None:
    """Runs that go on from each other share it by a hard link."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    table.save(first)
    os.link(first, second)
    LatencyTable({"other": 1.0}, CONDITIONS).save(second)
    assert LatencyTable.load(first).milliseconds == table.milliseconds
    assert LatencyTable.load(second).milliseconds == {"other": 1.0}
    assert sorted(tmp_path.iterdir()) == [first, second]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"milliseconds": {}, "conditions": {"device": "cpu"}}'])
def test_a_file_that_is_no_table(content: str, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LatencyError, match=r"table\.json is no latency table"):
        LatencyTable.load(path)


def test_files_that_are_not_there(table: LatencyTable, tmp_path: Path) -> None:
    with pytest.raises(LatencyError, match=r"table\.json cannot be read: No such file"):
        LatencyTable.load(tmp_path / "table.json")
    with pytest.raises(LatencyError, match=r"table\.json cannot be written: No such file.*; choose another place"):
        table.save(tmp_path / "nowhere" / "table.json")


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", '"1"', "true"])
def test_a_latency_is_a_number_from_0(value: str, table: LatencyTable, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    table.save(path)
    path.write_text(path.read_text(encoding="utf-8").replace("0.25", value), encoding="utf-8")
    with pytest.raises(LatencyError, match=r"table\.json: milliseconds: .* of 'narrow' is not a finite number"):
        LatencyTable.load(path)


def test_conditions_are_of_their_types(table: LatencyTable, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    table.save(path)
    described = json.loads(path.read_text(encoding="utf-8"))
    described["conditions"]["batch"] = "1"
    path.write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(LatencyError, match="is no latency table"):
        LatencyTable.load(path)


def test_the_keys_of_a_network_in_order() -> None:
    assert keys_of("r28_k5e2_k3e3") == (
        "(3x3:1-8 BatchNorm2d Hardswish) 1x28x28 8x28x28",
        "MobileBlock(expand=Identity depthwise=(3x3:8-8,g8 BatchNorm2d ReLU) squeeze=Identity "
        "project=(1x1:8-8 BatchNorm2d)) 8x28x28 8x28x28",
        "MobileBlock(expand=(1x1:8-16 BatchNorm2d ReLU) depthwise=(5x5:16-16,s2,g16 BatchNorm2d ReLU) squeeze=Identity "
        "project=(1x1:16-16 BatchNorm2d)) 8x28x28 16x14x14",
        "MobileBlock(expand=(1x1:16-48 BatchNorm2d Hardswish) depthwise=(3x3:48-48,s2,g48 BatchNorm2d Hardswish) "
        "squeeze=SqueezeExcite(reduce=1x1:48-16,bias act=ReLU expand=1x1:16-48,bias gate=Hardsigmoid) "
        "project=(1x1:48-24 BatchNorm2d)) 16x14x14 24x7x7",
        "(1x1:24-96 BatchNorm2d Hardswish) 24x7x7 96x7x7",
        "(AdaptiveAvgPool2d(output_size=1) 1x1:96-128 Hardswish Flatten(start_dim=1,end_dim=-1) "
        "Dropout(p=0.0,inplace=False) Linear(in_features=128,out_features=10,bias=True)) 96x7x7 10",
    )


def test_equal_parts_have_equal_keys_and_others_do_not() -> None:
    base = keys_of("r28_k3e2-k3e2_k3e2")
    for other, same in (("r28_k5e2-k3e2_k3e2", 6), ("r28_k3e2-k3e3_k3e2", 6), ("r20_k3e2-k3e2_k3e2", 0)):
        assert sum(key == changed for key, changed in zip(base, keys_of(other), strict=True)) == same
    with_one_more = keys_of("r28_k3e2-k3e2_k3e2-k3e2")
    assert with_one_more[:5] == base[:5]
    assert with_one_more[6:] == base[5:]


def test_as_many_keys_as_the_space_has_different_parts() -> None:
    space = get_space("once_for_all", variant="mini")
    # At either resolution: stem, first block, two stages with two places for four sorts of block, two of the head.
    found = {
        key
        for code in space.sample(100, np.random.default_rng(0))
        for key in latency_keys(space, code, input_shape=SHAPE, classes=10)
    }
    assert len(found) == 2 * (2 + 2 * (4 + 4) + 2)


@pytest.mark.parametrize(("code", "identities"), [("00000000", 5), ("01212210", 1)])
def test_keys_of_a_macro_network(code: str, identities: int) -> None:
    keys = keys_of(code, "nasbench_macro", width=8, head_width=16)
    assert len(keys) == 1 + 8 + 2
    assert sum(key.startswith("Identity ") for key in keys) == identities


def test_the_wiring_of_a_cell_is_in_its_key() -> None:
    one = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|skip_connect~2|"
    two = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|skip_connect~1|none~2|"
    options = {"width": 4, "cells_per_stage": 1}
    assert keys_of(one, "nasbench201", **options)[1] != keys_of(two, "nasbench201", **options)[1]


def test_convolutions_that_differ_in_anything_have_different_keys() -> None:
    layers = [
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 5, padding=2),
        nn.Conv2d(4, 4, (3, 5), padding=(1, 2)),
    ]
    assert len({Fixed(layer).keys()[1] for layer in layers}) == len(layers)


class Fixed:
    """A space of one network: a convolution to four channels, then whatever it is made with."""

    name = "fixed"

    def __init__(self, *layers: nn.Module) -> None:
        self.layers = layers

    def build(self, *args: object, **task: object) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 3), *self.layers)

    def keys(self) -> tuple[str, ...]:
        return latency_keys(self, None, input_shape=(1, 8, 8), classes=4)  # type: ignore[arg-type]


def test_a_part_that_puts_out_more_than_a_tensor() -> None:
    class Twice(nn.Module):
        def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
            return features, features

    with pytest.raises(LatencyError, match="network: its part Twice does not map one tensor to one tensor"):
        Fixed(Twice()).keys()


def test_keys_leave_random_numbers_and_threads_as_they_are() -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    keys_of("r20_k3e2_k3e2")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_measured_table_has_the_parts_of_its_architectures_and_says_how_it_was_measured() -> None:
    space = get_space("once_for_all", variant="mini")
    codes = [space.parse(code) for code in ("r28_k3e2-k5e3_k3e2", "r28_k3e2_k5e3")]
    table = measure_table(space, codes, input_shape=SHAPE, classes=10, batch=2, **QUICK)
    keys = [latency_keys(space, code, input_shape=SHAPE, classes=10) for code in codes]
    assert set(table.milliseconds) == set(keys[0]) | set(keys[1])
    assert min(table.milliseconds.values()) > 0
    found = table.conditions
    assert (found.precision, found.batch, found.threads, found.torch) == ("float32", 2, 1, torch.__version__)
    assert found.device.startswith("cpu ")
    with pytest.raises(LatencyError, match="7x7"):
        table.total(keys_of("r28_k3e2_k5e2"))


class Recorder(nn.Module):
    """Notes what each pass finds."""

    passes: list[tuple[bool, bool, int, tuple[int, ...], torch.dtype]]

    def __init__(self, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), dtype=precision))

    def __deepcopy__(self, memo: object) -> Recorder:
        made = Recorder(self.weight.dtype)
        made.passes = self.passes
        return made

    def forward(self, images: Tensor) -> Tensor:
        threads = torch.get_num_threads()
        found = (self.training, torch.is_inference_mode_enabled(), threads, tuple(images.shape), images.dtype)
        self.passes.append(found)
        return images


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_network_is_measured_as_it_is_used_and_left_as_it_was(precision: torch.dtype) -> None:
    network = Recorder(precision)
    network.passes = []
    before = torch.get_num_threads()
    latency = measure_latency(network, (3, 4, 5), batch=2, threads=before + 1, warm_up=3, repeats=4)
    assert network.passes == [(False, True, before + 1, (2, 3, 4, 5), precision)] * 7
    assert network.training
    assert torch.get_num_threads() == before
    assert 0 < latency.low <= latency.median <= latency.high


@pytest.mark.parametrize("threads", [1, 2])
def test_the_median_and_the_middle_half(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.001, 0.010, 0.015, 0.020, 0.022, 0.030, 0.039, 0.040, 0.043])  # 1, 5, 2, 9, 3 ms
    # On one thread what the processor spends, on several what passes.
    name = "thread_time" if threads == 1 else "perf_counter"
    monkeypatch.setattr(f"taurank.trainables.latency.measure.time.{name}", lambda: next(clock))
    latency = measure_latency(nn.Identity(), (1,), threads=threads, warm_up=1, repeats=5)
    assert (latency.median, latency.low, latency.high) == pytest.approx((3.0, 2.0, 5.0))
    assert isinstance(latency, Latency)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_named_and_takes_its_time() -> None:
    space = get_space("once_for_all", variant="mini")
    codes = space.sample(2, np.random.default_rng(0))
    table = measure_table(space, codes, input_shape=SHAPE, classes=10, device="cuda", **QUICK)
    assert table.conditions.device == f"cuda {torch.cuda.get_device_name()}"
    assert min(table.milliseconds.values()) > 0


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", "cuda:x"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(LatencyError, match=f"device: '{device}' is not there; take 'cpu'"):
        measure_latency(nn.Identity(), (1,), device=device)


@pytest.mark.parametrize("argument", ["batch", "threads", "repeats", "warm_up"])
def test_numbers_that_are_too_small(argument: str) -> None:
    with pytest.raises(SpaceError, match=f"{argument}: -1 is not a whole number"):
        measure_latency(nn.Identity(), (1,), **{argument: -1})


def test_a_table_of_nothing() -> None:
    with pytest.raises(LatencyError, match="architectures: there are none"):
        measure_table(get_space("once_for_all", variant="mini"), [], input_shape=SHAPE, classes=10)


class Sleeper(nn.Module):
    """Waits, as for a core that another process has."""

    def forward(self, images: Tensor) -> Tensor:
        time.sleep(0.01)
        return images


def test_waiting_does_not_count_on_one_thread() -> None:
    assert measure_latency(Sleeper(), (1,), warm_up=0, repeats=3).median < 5
    assert measure_latency(Sleeper(), (1,), threads=2, warm_up=0, repeats=3).median >= 10


def test_in_turn_means_a_pass_of_each_before_the_next_of_any() -> None:
    order: list[int] = []

    class Numbered(nn.Module):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def forward(self, images: Tensor) -> Tensor:
            order.append(self.number)
            return images

    found = measure_in_turn([(Numbered(1), (1,)), (Numbered(2), (2, 2))], warm_up=1, repeats=2)
    assert order == [1, 2] * 3
    assert len(found) == 2
    assert measure_in_turn([], repeats=2) == []
