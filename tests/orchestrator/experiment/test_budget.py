"""How a budget may be written, everywhere."""

from __future__ import annotations

import pytest

from taurank.orchestrator.experiment.budget import BudgetError, budget_factor, read_budget
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
    assert read_budget(written) == spelling
    assert budget_factor(spelling) == factor
    assert parse_experiment(TEXT + f"budget: {written}\n", where="t").speed_up == factor
    assert parse_budget(str(written)) == factor
    models = ["torchvision:squeezenet1_1", "torchvision:mnasnet0_5"]
    experiment, text = experiment_of_models(models, "digits", size=20, test=0.2, budget=str(written))
    assert experiment.budget == spelling
    assert f"budget: {spelling}\n" in text


@pytest.mark.parametrize(
    "written", ["", "x", "0.5x", 0, -1, True, "ten", "10xx", "1e3", float("nan"), float("inf"), None]
)
def test_what_is_no_factor(written: object) -> None:
    with pytest.raises(BudgetError, match="is not how many times cheaper than full training: write 10x"):
        read_budget(written)


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
