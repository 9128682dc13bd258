from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.experiment.parts import ImageCounts
from taurank.orchestrator.experiment.supernets import ContenderSpec, SupernetSpec
from taurank.orchestrator.experiment.trainings import SchedulerSpec
from taurank.orchestrator.planning.stages import default_stages
from taurank.orchestrator.stages.stage import Stage, check_budget
from taurank.trainables.trials.architecture import ArchitectureTrial

IMAGES = ImageCounts(1000, 688)
"""Of so many a score costs (688 + 512) / (3 x 1000) = 0.4 epochs."""


def experiment(**settings: object) -> Experiment:
    lines = {"name": "t", "space": "mnist_blocks", "data": "digits", "recipe": "{epochs: 40}"} | settings
    return parse_experiment("".join(f"{key}: {value}\n" for key, value in lines.items()), where="t.yaml")


def codes(count: int) -> list[str]:
    return [f"c{index}" for index in range(count)]


class TestDefaultStages:
    def test_a_tenth_for_24(self):
        # 96 epochs are 2.4 full trainings, too few to keep any for anchors: as long a short one as all can have.
        trainings, supernets = default_stages(experiment(), 24, images=IMAGES)
        assert [(spec.epochs, spec.candidates) for spec in trainings] == [(4, "all")]
        assert supernets == []

    def test_what_is_left_goes_to_a_supernet(self):
        # 240 epochs: 24 x 8, which is as long as a short training gets, and a full one; 8 are too few for a supernet.
        trainings, supernets = default_stages(experiment(budget="4x"), 24, images=IMAGES)
        assert [(spec.epochs, spec.candidates) for spec in trainings] == [(8, "all"), (40, 1)]
        assert supernets == []
        # 480 epochs: 24 x 18 leaves 48, no full training of 90, but a supernet of 38 and 9.6 for its scoring.
        trainings, supernets = default_stages(experiment(recipe="{epochs: 90}", budget="4.5x"), 24, images=IMAGES)
        assert [(spec.epochs, spec.candidates) for spec in trainings] == [(18, "all")]
        assert [(spec.sampler.name, spec.epochs) for spec in supernets] == [("uniform", 38)]

    def test_a_supernet_leaves_room_for_its_scoring(self):
        # Of the 48 epochs that are left, 24 where looking at one candidate is as much work as an epoch.
        asked = experiment(recipe="{epochs: 90}", budget="4.5x")
        assert [spec.epochs for spec in default_stages(asked, 24, images=ImageCounts(1000, 2488))[1]] == [24]
        assert default_stages(asked, 24, images=ImageCounts(1000, 5488))[1] == []

    def test_a_budget_below_an_epoch_each_trains_some(self):
        trainings, supernets = default_stages(experiment(budget="100x"), 50, images=IMAGES)
        assert [(spec.epochs, spec.candidates) for spec in trainings] == [(1, 20)]
        assert supernets == []

    def test_a_budget_of_nothing(self):
        assert default_stages(experiment(budget="1000x"), 10, images=IMAGES) == ([], [])

    def test_a_full_training_of_one_epoch(self):
        trainings, _ = default_stages(experiment(recipe="{epochs: 1}", budget="1x"), 10, images=IMAGES)
        assert [(spec.epochs, spec.candidates) for spec in trainings] == [(1, "all")]

    def test_rounding_takes_no_epoch_away(self):
        trainings, _ = default_stages(experiment(recipe="{epochs: 3}", budget="3x"), 10, images=IMAGES)
        assert [(spec.epochs, spec.candidates) for spec in trainings] == [(1, "all")]

    @pytest.mark.parametrize(("seeds", "seed"), [("[1, 2]", 0), ("[0]", 1), ("[0, 1, 3]", 2)])
    def test_never_the_seed_of_the_baseline(self, seeds, seed):
        trainings, supernets = default_stages(
            experiment(baseline=f"{{seeds: {seeds}}}", budget="2x"), 24, images=IMAGES
        )
        assert {spec.seed for spec in [*trainings, *supernets]} == {seed}

    @given(count=st.integers(2, 1000), tenths=st.integers(10, 1000), epochs=st.integers(1, 200))
    def test_never_more_than_the_budget(self, count, tenths, epochs):
        asked = experiment(recipe=f"{{epochs: {epochs}}}", budget=f"{tenths / 10}x")
        trainings, supernets = default_stages(asked, count, images=IMAGES)
        cost = sum(spec.epochs * (count if spec.candidates == "all" else spec.candidates) for spec in trainings)
        cost += sum(spec.epochs + 0.4 * count for spec in supernets)
        assert cost <= count * epochs / asked.allowance.factor + 1e-6
        assert len({spec.stage for spec in trainings}) == len(trainings)
        assert all(spec.epochs <= epochs for spec in trainings)


class TestCheckBudget:
    def stage(self, name: str, planned: float, budget: float | None = None) -> Stage:
        return Stage(name, "training", (), ArchitectureTrial, SchedulerSpec(), 10, planned, budget)

    def test_parts_of_a_supernet_are_told_apart(self):
        scores = replace(self.stage("supernet:uniform", 60.0), part="scores")
        with pytest.raises(ExperimentError, match=r"\(supernet:uniform 50.0, supernet:uniform scores 60.0\)"):
            check_budget(experiment(), [self.stage("supernet:uniform", 50.0), scores], codes(24))

    def test_adds_up(self):
        stages = [self.stage("a", 40.0), self.stage("b", 90.0, budget=56.0)]
        assert check_budget(experiment(), stages, codes(24)) == (96.0, 96.0)

    def test_nothing_to_spend(self):
        assert check_budget(experiment(), [], codes(24)) == (0.0, 96.0)

    def test_too_much_says_what_costs_what_and_the_way_out(self):
        with pytest.raises(ExperimentError) as caught:
            check_budget(experiment(), [self.stage("training-4", 96.0), self.stage("supernet", 0.5)], codes(24))
        message = str(caught.value)
        assert "\n" not in message
        assert "up to 96.5 epochs (training-4 96.0, supernet 0.5)" in message
        assert "(24 x 40 epochs) is 96.0" in message
        assert "budget_epochs" in message


class TestSupernetPrice:
    def test_training_scoring_and_contenders(self):
        assert SupernetSpec(epochs=10).cost(24, IMAGES) == pytest.approx(10 + 0.4 * 24)
        asked = SupernetSpec(epochs=10, contenders=ContenderSpec(epochs=2, share=0.5, most=6))
        assert asked.cost(24, IMAGES) == pytest.approx(10 + 0.4 * 24 + 6)
        assert asked.cost(4, IMAGES) == pytest.approx(10 + 0.4 * 4 + 4)

    @pytest.mark.parametrize(
        ("data", "counts"),
        [
            ("{name: mnist, validation: 10000}", (50_000, 10_000)),
            ("{name: mnist}", (48_000, 12_000)),
            ("{name: mnist, test: 500}", (48_000, 12_000)),  # there is an official test set
            ("{name: 'imagenet:nowhere', validation: 50000}", (1_231_167, 50_000)),
            ("{name: 'folder:nowhere'}", (50_000, 12_500)),
            ("{name: digits, train: 640, validation: 400, test: 700}", (640, 400)),
            ("{name: digits, train: 640, validation: 0.2, test: 0.2}", (640, 359)),
            ("{name: digits, train: 0.4, validation: 0.2, test: 0.2}", (719, 359)),
            ("{name: 'folder:nowhere', train: 0.4, validation: 0.2, test: 0.2}", (50_000, 25_000)),
            ("{name: mnist, train: 100, evaluate_on: training}", (100, 100)),
            ("{name: digits, evaluate_on: training}", (1_797, 1_797)),
        ],
    )
    def test_the_images_that_it_depends_on_as_far_as_a_file_says(self, data: str, counts: tuple[int, int]) -> None:
        found = experiment(data=data).data.expected_counts
        assert (found.train, found.validation) == counts
