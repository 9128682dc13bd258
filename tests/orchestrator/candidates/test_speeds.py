"""Seconds of an epoch from stated speeds: closed forms, tables, and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from taurank.orchestrator.candidates.speeds import SpeedError, StatedSpeed, read_speeds, stated_paces
from taurank.orchestrator.experiment import Experiment
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.spaces import Architecture, get_space, measure_size

BLOCKS = ["1,1", "1,2", "3,3"]
NETS = ["torchvision:squeezenet1_0", "torchvision:squeezenet1_1"]


def experiment(space: str, candidates: list[str], data: str, more: str = "") -> Experiment:
    text = f"name: test\nspace: {space}\ncandidates: {candidates}\ndata: {data}\nfamilies: null\n{more}"
    return parse_experiment(text, where="test")


def of_blocks() -> Experiment:
    return experiment("mnist_blocks", BLOCKS, "{name: mnist, train: 3000, validation: 600}")


def paces(of: Experiment, *speeds: str) -> dict[str, float]:
    return dict(stated_paces(of, of.data.known_images(), speeds, say=lambda _: None).seconds)


def flops(code: str) -> int:
    return measure_size(
        get_space("mnist_blocks"), Architecture("mnist_blocks", code), input_shape=(1, 28, 28), classes=10
    ).flops


def test_an_evaluated_image_costs_a_third_and_the_others_go_with_their_flops() -> None:
    found = paces(of_blocks(), "1,1=100")
    assert found["1,1"] == pytest.approx((3000 + 600 / 3) / 100)
    assert found["3,3"] / found["1,1"] == pytest.approx(flops("3,3") / flops("1,1"))


def test_scaled_from_the_nearest() -> None:
    found = paces(of_blocks(), "1,1=100", "3,3=1000")
    sizes = {code: flops(code) for code in BLOCKS}
    near = "1,1" if sizes["1,2"] / sizes["1,1"] < sizes["3,3"] / sizes["1,2"] else "3,3"
    assert found["1,2"] / found[near] == pytest.approx(sizes["1,2"] / sizes[near])
    assert found["3,3"] == pytest.approx(3.2)


def test_of_a_model_by_name_that_is_no_candidate() -> None:
    reference = measure_size(get_space("zoo"), Architecture("zoo", NETS[1]), input_shape=(1, 64, 64), classes=10).flops
    of = experiment("mnist_blocks", BLOCKS[:2], "{name: mnist, train: 3000, validation: 600, size: 64}")
    size = measure_size(
        get_space("mnist_blocks"), Architecture("mnist_blocks", "1,1"), input_shape=(1, 64, 64), classes=10
    )
    assert paces(of, f"{NETS[1]}=50")["1,1"] == pytest.approx(3200 / 50 * size.flops / reference)


def test_imagenet_that_is_not_there_and_smaller_crops() -> None:
    small = "recipe: {augmentation: {resized_crop: 0.08, resolution: 0.5}}\n"
    of = experiment("zoo", NETS, "{name: 'imagenet:/nowhere', size: 224, validation: 50000}", small)
    found = paces(of, *(f"{code}=1000" for code in NETS))
    assert found == pytest.approx(dict.fromkeys(NETS, (1_231_167 / 4 + 50_000 / 3) / 1000))


def test_a_table_as_timm_writes_it(tmp_path: Path) -> None:
    table = tmp_path / "speeds.csv"
    table.write_text(
        "model,train_samples_per_sec,train_img_size\n"
        f"{NETS[0]},1000,224\n{NETS[1]},3000,112\nno_such_network,1,224\n"  # which is not sized, so not looked for
    )
    of = experiment("zoo", NETS, "{name: 'imagenet:/nowhere', size: 224, validation: 50000}")
    one, other = (paces(of, str(table))[code] for code in NETS)
    assert one / other == pytest.approx(3000 / 4 / 1000)


def test_names_with_an_equals_sign_and_spaces() -> None:
    named, listed = read_speeds(["a=b = 3e2"])
    assert (named, listed) == ([StatedSpeed("a=b", 300.0)], [])


@pytest.mark.parametrize(
    ("speeds", "message"),
    [
        (["gone.csv"], "--speed: there is no file gone.csv; give a CSV with the columns model and images_per_second"),
        (["1,1=fast"], "--speed: 1,1=fast is not a number above 0"),
        (["1,1=0"], "1,1=0 is not a number above 0"),
        (["1,1=nan"], "1,1=nan is not a number above 0"),
        (["timm:resnet5O=100"], "timm:resnet5O is no model: "),
        (["COLUMNS"], "has the columns model, speed; it needs model and images_per_second or train_samples_per_sec"),
        (["OTHERS"], "none of the models in the table is a candidate; add MODEL="),
    ],
)
def test_mistakes(speeds: list[str], message: str, tmp_path: Path) -> None:
    files = {"COLUMNS": "model,speed\nx,1\n", "OTHERS": "model,images_per_second\nx,1\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SpeedError) as caught:
        paces(of_blocks(), *(str(tmp_path / one) if one in files else one for one in speeds))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("more", ["constraints: latency <= 5ms\n", "narrow: {}\n"])
def test_latencies_need_the_device(more: str) -> None:
    of = parse_experiment(f"name: t\nspace: nasbench201\ncandidates: 9\ndata: cifar10\n{more}", where="test")
    with pytest.raises(SpeedError, match="depend on latencies"):
        paces(of, "timm:resnet18=100")
