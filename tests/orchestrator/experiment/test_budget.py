"""How a budget may be written, everywhere."""

from __future__ import annotations

import pytest

from taurank.orchestrator.experiment.budget import Budget, BudgetError, read_budget, read_factor
from taurank.orchestrator.experiment.experiment import ExperimentError
from taurank.orchestrator.experiment.file import load_experiment, parse_experiment, with_baseline
from taurank.orchestrator.experiment.from_options import experiment_of_models
from taurank.orchestrator.replay.plan import parse_budget

TEXT = "name: t\nspace: mnist_blocks\ndata: digits\nrecipe: {epochs: 4}\n"


@pytest.mark.parametrize(
    ("written", "spelling", "factor"),
    [("10x", "10x", 10.0), ("10", "10x", 10.0), (10, "10x", 10.0), (2.5, "2.5x", 2.5), ("2.5 X", "2.5x", 2.5)],
)
def test_a_number_is_a_factor(written: object, spelling: str, factor: float) -> None:
    assert str(read_budget(written)) == spelling
    assert read_factor(spelling) == factor
    assert parse_experiment(TEXT + f"budget: {written}\n", where="t").allowance == Budget(factor)
    assert parse_budget(str(written)) == factor
    models = ["torchvision:squeezenet1_1", "torchvision:mnasnet0_5"]
    experiment, text = experiment_of_models(models, "digits", size=20, test=0.2, budget=str(written))
    assert experiment.budget == spelling
    assert f"budget: {spelling}\n" in text


@pytest.mark.parametrize(
    ("written", "seconds", "is_wall", "device"),
    [
        ("4h", 14400.0, True, ""),
        ("1.5h", 5400.0, True, ""),
        ("30m", 1800.0, True, ""),
        ("90s", 90.0, True, ""),
        ("30 gpu-hours", 108000.0, False, "gpu"),
        ("8 core-hours", 28800.0, False, "core"),
        ("45 core-minutes", 2700.0, False, "core"),
    ],
)
def test_an_amount_of_time(written: str, seconds: float, is_wall: bool, device: str) -> None:
    read = read_budget(written)
    assert (read.seconds, read.is_wall, read.device) == (seconds, is_wall, device)
    assert read.is_time
    assert read.factor is None
    assert str(read) == written
    assert parse_experiment(TEXT + f"budget: {written}\n", where="t").budget == written
    with pytest.raises(BudgetError, match="counts seconds, which are not measured here"):
        read_factor(written)


def test_a_factor_of_seconds() -> None:
    read = read_budget("10x seconds")
    assert (str(read), read.factor, read.seconds, read.is_time, read.is_wall) == (
        "10x seconds",
        10.0,
        None,
        True,
        False,
    )


NO_BUDGETS = ["", "x", "ten", "10xx", "1e3", "-1", -1, "-1h", True, float("nan"), float("inf"), None, "h", "4hm"]
NO_BUDGETS += ["4 hours", "4 h", "30gpuhours", "30 gpu hours", "30 tpu-hours", "10 x seconds", "10x hours", "4h30"]
NO_BUDGETS += [0, "0", "0x", "0.0x seconds", f"1{400 * '0'}x"]


@pytest.mark.parametrize("written", NO_BUDGETS)
def test_what_is_no_budget(written: object) -> None:
    with pytest.raises(BudgetError, match=r"is no budget.*: write 10x, 10x seconds, 4h, 30m, 90s, 30 gpu-hours or"):
        read_budget(written)


@pytest.mark.parametrize("written", ["0.5x", "0.9x seconds"])
def test_more_than_full_training(written: object) -> None:
    with pytest.raises(BudgetError, match="is more than full training of all candidates, which is 1x"):
        read_budget(written)


@pytest.mark.parametrize("written", ["0h", "0s", "0.0 gpu-hours"])
def test_no_time(written: str) -> None:
    with pytest.raises(BudgetError, match="write an amount above 0"):
        read_budget(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("4 hours", "4h"),
        ("2 hrs", "2h"),
        ("45min", "45m"),
        ("90 sec", "90s"),
        ("30gpuhours", "30 gpu-hours"),
        ("30 GPU hours", "30 gpu-hours"),
        ("8 core_hour", "8 core-hours"),
        ("10 x seconds", "10x seconds"),
    ],
)
def test_what_was_probably_meant(written: str, meant: str) -> None:
    with pytest.raises(BudgetError, match=rf"\(perhaps {meant}\)"):
        read_budget(written)
    assert str(read_budget(meant)) == meant


@pytest.mark.parametrize(
    ("before", "more", "after"),
    [
        ("4h", "2h", "6h"),
        ("90s", "1m", "2.5m"),
        ("3 gpu-hours", "60 gpu-minutes", "240 gpu-minutes"),
        ("10x", "5x", "5x"),
        ("4h", "5x", "5x"),
        ("10x", "1h", "1.5h"),  # after half an hour
        ("10x seconds", "1h", "1.5h"),
        ("4h", "1 core-hours", "1.5 core-hours"),
    ],
)
def test_an_extended_run_has_more_time(before: str, more: str, after: str) -> None:
    assert str(read_budget(before).plus(read_budget(more), spent=1800.0)) == after


class TestBaseline:
    def test_none_unless_asked(self) -> None:
        assert parse_experiment(TEXT, where="t").baseline is None
        asked = parse_experiment(TEXT + "baseline: {}\n", where="t").baseline
        assert asked is not None
        assert asked.seeds == (1,)

    @pytest.mark.parametrize("name", ["quickstart", "nine-subnets", "nine-subnets-reference"])
    def test_experiments_that_come_along_ask_for_it(self, name: str) -> None:
        assert load_experiment(name).baseline is not None

    def test_the_option_asks_for_it(self) -> None:
        plain = parse_experiment(TEXT, where="t")
        asked = with_baseline(plain, where="t.yaml")
        assert asked.baseline is not None
        assert asked.model_copy(update={"baseline": None}) == plain
        assert with_baseline(load_experiment("quickstart"), where="quickstart") == load_experiment("quickstart")

    def test_a_training_with_its_seed_is_refused(self) -> None:
        taken = parse_experiment(TEXT + "trainings: [{epochs: 2, seed: 1}]\n", where="t")
        with pytest.raises(ExperimentError, match=r"t.yaml with --baseline: trainings.0.seed: seed 1 is reserved"):
            with_baseline(taken, where="t.yaml")
