"""The part of an experiment file that asks for supernets, as a user writes it."""

from __future__ import annotations

import re

import pytest

from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.experiment.parts import ImageCounts
from taurank.orchestrator.experiment.supernets import ContenderSpec, SamplerSpec, SupernetSpec, supernet_problem
from taurank.spaces import get_space
from taurank.trainables.supernet import list_samplers, list_supernets


def parse(supernets: str, space: str = "nasbench201") -> Experiment:
    return parse_experiment(f"name: t\nspace: {space}\ndata: digits\nsupernets: {supernets}\n", where="x.yaml")


def problems(supernets: str, space: str = "nasbench201") -> list[str]:
    with pytest.raises(ExperimentError) as caught:
        parse(supernets, space)
    return [line.removeprefix("x.yaml: ") for line in str(caught.value).splitlines()]


class TestShorthands:
    def test_a_name_alone_is_a_sampler_with_its_defaults(self):
        short, middle, whole = (
            parse(text).supernets for text in ("[fair]", "[{sampler: fair}]", "[{sampler: {name: fair, options: {}}}]")
        )
        assert short == middle == whole == [SupernetSpec(sampler=SamplerSpec(name="fair"))]

    def test_an_empty_section_is_the_uniform_sampler(self):
        assert parse("[{}]").supernets == parse("[uniform]").supernets

    @pytest.mark.parametrize("name", list_samplers())
    def test_every_sampler_runs_again_as_it_is_written(self, name):
        asked = parse(f"[{name}]", space="once_for_all" if name == "progressive" else "nasbench201")
        assert parse_experiment(asked.to_yaml(), where="again.yaml") == asked

    def test_stages_are_named_after_the_sampler_and_few_shot(self):
        specs = parse("[uniform, {split_after: 0.5}, {sampler: fair, contenders: {}}]").supernets or []
        assert [spec.stage for spec in specs] == ["supernet:uniform", "supernet:uniform-few-shot", "supernet:fair"]
        assert specs[2].contenders_source == "supernet:fair:contenders"


MISTAKES = {
    "a misspelt name": ("[unifrom]", r"supernets\.0: unknown sampler 'unifrom'; .*; did you mean 'uniform'\?"),
    "a misspelt sampler": (
        "[uniform, {sampler: epsilon-gredy}]",
        r"supernets\.1\.sampler: unknown sampler 'epsilon-gredy'; .*; did you mean 'epsilon-greedy'\?",
    ),
    "a misspelt name of a sampler": (
        "[{sampler: {name: fare}}]",
        r"supernets\.0\.sampler\.name: unknown sampler 'fare'; .*; did you mean 'fair'\?",
    ),
    "a misspelt option": (
        "[{sampler: {name: epsilon-greedy, options: {epsilo: 0.1}}}]",
        r"supernets\.0\.sampler\.options: unknown option 'epsilo' of sampler 'epsilon-greedy'; "
        r"did you mean 'epsilon'\?",
    ),
    "an option that the sampler has not": (
        "[{sampler: {options: {epsilon: 0.1}}}]",
        r"supernets\.0\.sampler\.options: unknown option 'epsilon' of sampler 'uniform'; allowed: none",
    ),
    "an option out of range": (
        "[{sampler: {name: epsilon-greedy, options: {epsilon: 2}}}]",
        r"supernets\.0\.sampler\.options: epsilon is 2; it has to be in \[0, 1\]",
    ),
    "a word for a number": (
        "[{sampler: {name: epsilon-greedy, options: {epsilon: big}}}]",
        r"supernets\.0\.sampler\.options: .*'big'.*",
    ),
    "a list for a number": (
        "[{sampler: {name: epsilon-greedy, options: {random_rounds: [1]}}}]",
        r"supernets\.0\.sampler\.options: .*\[1\].*",
    ),
    "a list of options": (
        "[{sampler: {name: epsilon-greedy, options: [0.1]}}]",
        r"supernets\.0\.sampler\.options: has to be keys and values, not \[0\.1\]",
    ),
    "an option beside the sampler": (
        "[{sampler: epsilon-greedy, epsilon: 0.1}]",
        r"supernets\.0\.epsilon: unknown key; known keys: sampler, epochs, .*",
    ),
    "a decision of nothing that is split": (
        "[{split_decision: 1}]",
        r"supernets\.0\.split_decision: nothing is split; give split_after too",
    ),
    "a decision that there is not": (
        "[{split_after: 0.5, split_decision: 6}]",
        r"supernets\.0\.split_decision: 6 is none of the 6 decisions \(0 to 5\)",
    ),
    "a split at the end": ("[{split_after: 1}]", r"supernets\.0\.split_after: has to be below 1, not 1"),
    "another batch norm": (
        "[{batch_norm: recalibrate}]",
        r"supernets\.0\.batch_norm: has to be 'recalibrated', 'batch' or 'running', not .*",
    ),
    "one contender": ("[{contenders: {most: 1}}]", r"supernets\.0\.contenders\.most: has to be at least 2, not 1"),
    "contenders that train on nothing": (
        "[{contenders: {share: 0}}]",
        r"supernets\.0\.contenders\.share: has to be above 0, not 0",
    ),
    "a switch for contenders": (
        "[{contenders: true}]",
        r"supernets\.0\.contenders: has to be keys and values \(epochs, share, most, learning_rate\) or null, not true",
    ),
    "one name twice": ("[fair, {sampler: fair, epochs: 3}]", r"supernets\.1: supernet:fair is listed twice; .*"),
}


@pytest.mark.parametrize(("text", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_line_that_names_the_field(text, line):
    (found,) = problems(text)
    assert re.fullmatch(line, found), found


def test_mistakes_of_all_supernets_are_told_at_once():
    found = problems("[{sampler: {options: {a: 1}}}, {split_after: 0.5, split_decision: 9}]")
    assert [line.split(": ")[0] for line in found] == ["supernets.0.sampler.options", "supernets.1.split_decision"]


class TestSpaces:
    def test_one_without_a_supernet(self, monkeypatch):
        monkeypatch.setattr("taurank.orchestrator.experiment.supernets.list_supernets", lambda: ["nasbench201"])
        assert problems("[uniform]", space="mnist_blocks") == [
            "supernets.0: space 'mnist_blocks' has no supernet; these have one: nasbench201"
        ]

    @pytest.mark.parametrize("name", list_supernets())
    def test_the_last_decision_is_allowed_and_the_next_is_not(self, name):
        space = get_space(name)
        last = len(space.decisions) - 1
        assert supernet_problem(SupernetSpec(split_after=0.5, split_decision=last), space) is None
        problem = supernet_problem(SupernetSpec(split_after=0.5, split_decision=last + 1), space)
        assert problem is not None
        assert problem[0] == ("split_decision",)


class TestCost:
    def test_a_score_is_a_third_of_an_epoch_over_its_images(self):
        spec = SupernetSpec(calibration_images=150)
        assert spec.score_cost(ImageCounts(300, 300)) == pytest.approx(450 / 900)
        assert spec.score_cost(ImageCounts(90, 300)) == pytest.approx(390 / 270)

    @pytest.mark.parametrize("batch_norm", ["batch", "running"])
    def test_without_recalibration_only_validation_images_are_looked_at(self, batch_norm):
        spec = SupernetSpec(batch_norm=batch_norm, calibration_images=150)
        assert spec.score_cost(ImageCounts(300, 300)) == pytest.approx(1 / 3)

    def test_contenders_cost_their_epochs_on_their_share(self):
        asked = ContenderSpec(epochs=3, share=0.5, most=8)
        assert (asked.count(24), asked.cost(24)) == (8, 12.0)
        assert (asked.count(5), asked.cost(5)) == (5, 7.5)
        assert ContenderSpec(epochs=2).cost(24) == 48.0
