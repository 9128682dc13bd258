"""Other people's models from the experiment to the plan; nothing is trained."""

from __future__ import annotations

import importlib.util
import io

import numpy as np
import pytest

from taurank.orchestrator.candidates.candidates import choose_candidates, sides_taken
from taurank.orchestrator.evidence import LEFT_OUT
from taurank.orchestrator.experiment.experiment import ExperimentError
from taurank.orchestrator.experiment.file import load_experiment, parse_experiment
from taurank.orchestrator.experiment.from_options import experiment_of_models
from taurank.orchestrator.report.candidates import Row, print_models
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.stages.stage import baseline_stage, training_stage
from taurank.orchestrator.text import Console
from taurank.spaces import Architecture, Zoo
from taurank.trainables.data import load_dataset, make_splits
from taurank.trainables.training.families import FamilyRecipes
from taurank.trainables.training.recipe import Recipe

FOUR = "[torchvision:squeezenet1_1, torchvision:shufflenet_v2_x0_5, 'torchvision:mnasnet0*']"
BASE = "name: t\nspace: zoo\ndata: {{name: digits, size: 20}}\ncandidates: {0}\n"


@pytest.fixture(scope="module")
def images():
    return make_splits(load_dataset("digits"), seed=0, validation=0.2, test=0.2, size=20)


def parse(candidates: str = FOUR, more: str = ""):
    return parse_experiment(BASE.format(candidates) + more, where="t")


def problems(candidates: str = FOUR, more: str = "") -> list[str]:
    with pytest.raises(ExperimentError) as caught:
        parse(candidates, more)
    return [line.removeprefix("t: ") for line in str(caught.value).splitlines()]


class TestExperiment:
    def test_patterns_and_unknown_names(self):
        found = problems("['torchvision:resnet1?8', torchvision:resnet81, 'torchvision:zz*', torchvision:resnet18]")
        assert [line.split(": ")[0] for line in found] == ["candidates.0", "candidates.1", "candidates.2"]

    def test_a_pattern_that_names_one_model_is_no_order(self):
        assert problems("['torchvision:resnet18*']") == ["candidates: lists 1; an order needs at least 2"]
        assert problems("['torchvision:resnet1*8', torchvision:resnet18]") == [
            "candidates: lists 1; an order needs at least 2"
        ]

    def test_what_is_named_comes_before_what_is_matched_and_once(self):
        listed = parse("['torchvision:vgg1?', torchvision:alexnet, torchvision:vgg13]").listed()
        assert listed == (
            ["torchvision:alexnet", "torchvision:vgg13"],
            ["torchvision:vgg11", "torchvision:vgg16", "torchvision:vgg19"],
        )

    @pytest.mark.parametrize(
        ("more", "families"),
        [
            ("", FamilyRecipes()),
            ("recipe: auto\n", FamilyRecipes()),
            ("recipe: {epochs: 5}\n", FamilyRecipes()),
            ("recipe: {learning_rate: 0.2}\n", None),
            ("families: null\n", None),
        ],
    )
    def test_families_are_the_default_unless_the_recipe_is_made_by_hand(self, more, families):
        assert parse(more=more).families == families

    def test_other_spaces_have_one_recipe(self):
        text = "name: t\nspace: mnist_blocks\ndata: digits\n"
        assert parse_experiment(text, where="t").families is None
        by_family = parse_experiment(text + "recipe: auto\n", where="t")
        assert by_family.recipe_of("1,1") == FamilyRecipes().recipe(Recipe(), "cnn")

    def test_contradictions(self):
        assert problems(more="families: auto\nrecipe: {learning_rate: 0.2, epochs: 5}\n") == [
            "recipe.learning_rate: each family has its own value; change it in families, "
            "or set families: null for one recipe"
        ]
        text = "name: t\nspace: mnist_blocks\ndata: digits\nfamilies: auto\nsupernets: [uniform]\n"
        with pytest.raises(ExperimentError, match="t: supernets: all paths of a supernet share one recipe"):
            parse_experiment(text, where="t")

    def test_it_reads_back_from_its_file(self):
        experiment = parse(more="recipe: {epochs: 7}\n")
        assert parse_experiment(experiment.to_yaml(), where="again") == experiment

    def test_one_family_by_hand(self):
        own = "{optimizer: sgd, learning_rate: 0.3, weight_decay: 0, warmup: 0, label_smoothing: 0, "
        experiment = parse(more=f"families: {{cnn: {own}clip_gradient_norm: null}}}}\n")
        assert experiment.recipe_of("torchvision:resnet18").learning_rate == 0.3
        assert experiment.recipe_of("torchvision:vit_b_32").optimizer == "adamw"
        assert problems(more=f"families: {{cnn: {own}clip: 1}}}}\n")[0].startswith("families.cnn.clip")


class TestCandidates:
    def test_a_matched_model_that_cannot_take_the_images_is_left_out(self, images, tmp_path):
        experiment = parse("[torchvision:shufflenet_v2_x0_5, torchvision:mnasnet0_5, 'torchvision:alex*']")
        run = create_run(experiment, tmp_path, images)
        assert run.candidates == ("torchvision:shufflenet_v2_x0_5", "torchvision:mnasnet0_5")
        assert load_experiment(str(run.folder / "experiment.yaml")).candidates == list(run.candidates)
        events = run.log.events()
        (reason,) = events.loc[events["event"] == LEFT_OUT, "reason"]
        assert reason.startswith("input_shape: torchvision:alexnet cannot take 1x20x20 images")
        assert list(events.loc[events["event"] == "family", "reason"]) == ["cnn", "cnn"]
        sizes = run.log.evidence()
        found = sizes.loc[sizes["metric"] == "parameters", "value"]
        assert list(found) == [352_042, 950_322]

    def test_a_named_one_is_left_out_with_the_sizes_that_it_takes(self, images, tmp_path):
        run = create_run(
            parse("[torchvision:alexnet, torchvision:mnasnet0_5, torchvision:squeezenet1_1]"), tmp_path, images
        )
        assert run.candidates == ("torchvision:mnasnet0_5", "torchvision:squeezenet1_1")
        events = run.log.events()
        (reason,) = events.loc[events["event"] == LEFT_OUT, "reason"]
        assert reason.startswith("torchvision:alexnet cannot take 1x20x20 images: RuntimeError: ")
        assert reason.endswith("; data.size may be 64, 96, 128, 160, 192, 224, 256, 288, 384")

    def test_too_few_are_left(self, images):
        with pytest.raises(ExperimentError, match=r"^candidates: 2 of 3 models cannot take these images, and an order"):
            choose_candidates(
                parse("['torchvision:alex*', 'torchvision:mnasnet0_5', 'torchvision:inception*']"), images
            )

    def test_a_number_is_drawn_among_those_that_can(self, images):
        space = "space: {name: zoo, options: {models: ['torchvision:alexnet', 'torchvision:mnasnet*']}}"
        text = BASE.format(3).replace("space: zoo", space)
        drawn = {
            choose_candidates(parse_experiment(f"{text}seed: {seed}\n", where="t"), images).codes for seed in range(3)
        }
        assert len(drawn) > 1
        for codes in drawn:
            assert len(codes) == len(set(codes)) == 3
            assert all(code.startswith("torchvision:mnasnet") for code in codes)

    def test_sides(self):
        space = Zoo()
        vit = Architecture("zoo", "torchvision:vit_b_32")
        assert sides_taken(space, vit, channels=3, classes=2) == [32, 64, 96, 128, 160, 192, 224, 256, 288, 384]
        assert sides_taken(space, vit, channels=4, classes=2) == []


class TestTrials:
    def test_each_is_trained_by_the_recipe_of_its_family(self, tmp_path):
        codes = ["torchvision:resnet18", "torchvision:vit_b_32"]
        experiment = parse(str(codes), "recipe: {epochs: 10}\ntrainings: [{epochs: 4}]\nbaseline: {}\n")
        common = Recipe(epochs=10)
        full = [spec.recipe for spec in baseline_stage(experiment, experiment.baseline, codes, tmp_path).specs]
        assert full == [FamilyRecipes().recipe(common, family) for family in ("cnn", "transformer")]
        short = training_stage(experiment, experiment.trainings[0], codes, tmp_path).specs
        assert [spec.recipe for spec in short] == [recipe.of_length(4) for recipe in full]
        alike = parse(str(codes), "recipe: {epochs: 10}\ntrainings: [{epochs: 4}]\nfamilies: null\n")
        others = training_stage(alike, alike.trainings[0], codes, tmp_path).specs
        assert [spec.recipe for spec in others] == [common.in_short(4)] * 2
        assert all(a.fingerprint != b.fingerprint for a, b in zip(short, others, strict=True))


class TestWithoutAFile:
    def test_the_file_says_the_same(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        experiment, text = experiment_of_models(["torchvision:vgg11, torchvision:vgg13", "torchvision:vgg16"], "digits")
        assert parse_experiment(text, where="again") == experiment
        assert experiment.candidates == ["torchvision:vgg11", "torchvision:vgg13", "torchvision:vgg16"]
        assert (experiment.recipe.epochs, experiment.budget, experiment.baseline) == (20, "10x", None)
        assert experiment.families == FamilyRecipes()

    def test_options(self):
        experiment, _ = experiment_of_models(
            ["torchvision:vgg1*"], "digits", size=32, epochs=5, budget="2x", baseline=True
        )
        assert (experiment.data.size, experiment.recipe.epochs, experiment.budget) == (32, 5, "2x")
        assert experiment.baseline.seeds == (1,)


class TestCommands:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--models", "torchvision:vgg*"), "--data is missing: give --data cifar10"),
            (("quickstart", "--models", "torchvision:vgg*"), "--models: quickstart defines its candidates"),
            (
                ("--models", "timm:test_vit", "torchvision:vgg11", "--data", "digits"),
                "--models: join models with commas: --models 'timm:test_vit,torchvision:vgg11'",
            ),
            (("quickstart", "--size", "32"), "--size: quickstart defines it already; change it there"),
            (("--models", "torchvision:vgg1*", "--data", "digit"), "--models: data.name: unknown data set 'digit'"),
            (
                ("--models", "torchvision:vgg1*", "--data", "digits", "--budget", "ten"),
                "--models: budget: ten is no budget",
            ),
            (("--models", "torchvision:vgg11", "--data", "digits"), "--models: candidates: lists 1; an order needs"),
            (("--models", "torchvision:vg*,vgg11", "--data", "digits"), "candidates.1: code: 'vgg11' names no model"),
        ],
    )
    def test_mistakes_of_run(self, taurank, arguments, message):
        code, out, err = taurank("run", *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("taurank: ")
        assert err.count("\n") == 1
        assert message in err

    def test_images_that_a_named_model_cannot_take(self, taurank, tmp_path):
        asked = ("--models", "torchvision:alexnet,torchvision:vgg11", "--data", "digits", "--out", tmp_path / "runs")
        code, out, err = taurank("run", *asked)
        assert code == 2
        assert "candidates:\n  - torchvision:alexnet" in out
        (line,) = err.splitlines()
        assert line.startswith(
            "taurank: candidates: 2 of 2 models cannot take these images, and an order needs 2; torch"
        )
        assert not (tmp_path / "runs").exists()

    def test_a_file_is_written_and_nothing_run(self, taurank, tmp_path):
        file = tmp_path / "mine.yaml"
        asked = ("run", "--models", "torchvision:vgg1*", "--data", "digits", "--size", "32", "--save-yaml", file)
        assert taurank(*asked)[0] == 0
        written = load_experiment(str(file)).data
        assert (written.size, written.test) == (32, 0.2)  # the digits have no test images of their own
        code, _, err = taurank(*asked)
        assert (code, err) == (2, f"taurank: --save-yaml: {file} exists; give another name, or remove it\n")

    def test_models_lists_sizes_and_who_cannot_take_the_images(self, taurank):
        code, out, err = taurank("models", "torchvision:squeezenet1*", "torchvision:vgg11", "--size", "20")
        assert (code, err) == (2, "")  # the second is named in full
        lines = [line.split() for line in out.splitlines()]
        assert lines[0] == ["model", "family", "images", "parameters", "MFLOPs", "depth"]
        assert lines[1][:4] == ["torchvision:squeezenet1_1", "bare_cnn", "20x20", "1,235,496"]
        assert lines[1][5] == "18"
        assert out.splitlines()[2].startswith("skipped: input_shape: torchvision:squeezenet1_0 cannot take 3x20x20 ")
        assert out.splitlines()[3].startswith("skipped: input_shape: torchvision:vgg11 cannot take 3x20x20 images")

    def test_models_of_a_pattern_of_nothing(self, taurank):
        code, out, err = taurank("models", "torchvision:zz*")
        assert (code, err) == (2, "")
        assert out.startswith("skipped: no model matches 'torchvision:zz*'")

    @pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm, an optional extra, is missing")
    def test_models_of_timm(self, taurank):
        _, out, _ = taurank("models", "timm:lcnet_0*")
        assert [line.split()[0] for line in out.splitlines()[1:]] == [
            "timm:lcnet_035",
            "timm:lcnet_050",
            "timm:lcnet_075",
        ]


def test_features_are_finite_for_the_ranker():
    space = Zoo(models=["torchvision:*net*"])
    rows = np.array([space.features(one) for one in list(space.enumerate())[:6]])
    assert np.isfinite(rows).all()
    assert len(np.unique(rows, axis=0)) == 6


class TestNamesOnTheCommandLine:
    def test_commas_and_a_name_that_cannot_be_used(self, taurank):
        names = "torchvision:squeezenet1_1,torchvision:no_such, torchvision:mnasnet0_5"
        code, out, _ = taurank("models", names, "--size", "64")
        assert code == 2
        assert out.index("torchvision:squeezenet1_1") < out.index("torchvision:mnasnet0_5") < out.index("skipped: ")
        assert "skipped: torchvision has no model 'no_such'" in out

    def test_one_that_cannot_take_the_images(self, taurank):
        code, out, _ = taurank("models", "torchvision:inception_v3,torchvision:mnasnet0_5", "--size", "32")
        assert code == 2
        assert "skipped: input_shape: torchvision:inception_v3 cannot take 3x32x32 images" in out

    def test_one_that_only_a_pattern_stands_for_is_no_mistake(self, taurank):
        code, out, _ = taurank("models", "torchvision:inception*", "torchvision:mnasnet0_5", "--size", "32")
        assert code == 0
        assert "skipped: " in out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("run", "--data", "digits"), "--models is missing: --data is about models by name"),
            (("run", "--epochs", "3"), "--models is missing: --epochs is about models by name"),
            (("search", "--evaluations", "3"), "--space is missing: --evaluations is about a space by name"),
        ],
    )
    def test_options_without_what_they_are_about(self, taurank, arguments, message):
        code, _, err = taurank(*arguments)
        assert code == 2
        assert err.startswith(f"taurank: {message}")
        assert err.count("\n") == 1


@pytest.mark.parametrize(("depths", "cells"), [((None, 5.0), ["", "5"]), ((None, None), None)])
def test_a_depth_that_no_model_has_takes_no_column(depths: tuple[float | None, ...], cells: list[str] | None) -> None:
    out = io.StringIO()
    rows = [Row(f"m{place}", "cnn", parameters=1e3, flops=2e6, depth=depth) for place, depth in enumerate(depths)]
    print_models(Console(file=out, width=120), rows)
    heading, *lines = out.getvalue().splitlines()
    assert heading.split() == ["model", "family", "parameters", "MFLOPs", *(["depth"] if cells else [])]
    expected = [["m0", "cnn", "1,000", "2.0", *filter(None, [cell])] for cell in cells or ["", ""]]
    assert [line.split()[1:] for line in lines] == [row[1:] for row in expected]
