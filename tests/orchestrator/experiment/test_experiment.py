from __future__ import annotations

import re
from pathlib import Path

import pytest

from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import load_experiment, parse_experiment
from taurank.orchestrator.experiment.from_options import experiment_of_search
from taurank.orchestrator.experiment.listing import list_experiments
from taurank.spaces import list_spaces
from taurank.trainables.training.recipe import Recipe

BASE = "name: t\nspace: mnist_blocks\ndata: digits\n"


def problems(text: str) -> list[str]:
    """Lines of the error, without the name of the file."""
    with pytest.raises(ExperimentError) as caught:
        parse_experiment(text, where="x.yaml")
    lines = str(caught.value).splitlines()
    assert all(line.startswith("x.yaml: ") for line in lines)
    return [line.removeprefix("x.yaml: ") for line in lines]


class TestShipped:
    def test_names(self):
        assert list_experiments() == ["nine-subnets", "nine-subnets-reference", "quickstart"]

    @pytest.mark.parametrize("name", list_experiments())
    def test_loads_under_its_own_name(self, name):
        found = load_experiment(name)
        assert found.name == name
        assert found.description

    @pytest.mark.parametrize("name", list_experiments())
    def test_comes_back_from_its_own_yaml(self, name):
        found = load_experiment(name)
        again = parse_experiment(found.to_yaml(), where="again.yaml")
        assert again == found
        assert again.to_yaml() == found.to_yaml()

    def test_quickstart_costs_at_most_a_tenth_and_ranks_48(self):
        found = load_experiment("quickstart")
        assert found.allowance.factor == 10
        assert found.candidates == 48


class TestAccepted:
    def test_defaults(self):
        found = parse_experiment(BASE, where="x.yaml")
        assert found.candidates == "all"
        assert found.recipe == Recipe()
        assert found.allowance.factor == 10.0
        assert found.baseline is None
        assert found.trainings is None

    def test_everything_spelled_out_comes_back(self):
        text = """
name: 1e5
description: "no: 1e-3, yes, null, 'ünïcode' and\\n two lines"
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 12
data: {name: cifar10, validation: 0.25, test: 1000, train: 5000, size: 16, seed: 3, evaluate_on: training}
recipe:
  epochs: 30
  learning_rate: 1e-4
  optimizer: adamw
  augmentation: {crop: 4, flip: true, cutout: 2}
budget: 2.5x
trainings:
  - {epochs: 3, scheduler: asha, budget_epochs: 12.5, seed: 7}
  - {epochs: 30, candidates: 3, scheduler: {name: penguin, options: {window: 5}}}
supernets:
  - sampler: {name: epsilon-greedy, options: {epsilon: 0.1}}
    epochs: 4
    learning_rate: 5e-2
    batch_norm: batch
    split_after: 0.5
    split_decision: 2
    contenders: {epochs: 2, share: 0.5, most: 4, learning_rate: 1e-2}
  - uniform
baseline: null
resources: {cpus_per_trial: 0.5, gpus_per_trial: auto, cpus: 2}
seed: 11
"""
        text = text.replace("name: 1e5", 'name: "1e5"')
        found = parse_experiment(text, where="x.yaml")
        assert found.name == "1e5"
        assert found.recipe.learning_rate == 1e-4
        assert found.supernets is not None
        assert found.supernets[0].learning_rate == 0.05
        assert found.baseline is None
        assert parse_experiment(found.to_yaml(), where="again.yaml") == found

    def test_stage_names(self):
        found = parse_experiment(
            BASE + "trainings: [{epochs: 3}, {epochs: 3, scheduler: asha}]\nsupernets: [{}]\n", where="x.yaml"
        )
        assert [spec.stage for spec in found.trainings or []] == ["training-3", "training-3:asha"]
        assert [spec.stage for spec in found.supernets or []] == ["supernet:uniform"]

    def test_anchors_and_merges(self):
        text = "name: t\nspace: mnist_blocks\ndata: digits\ntrainings: [&a {epochs: 3}, {<<: *a, scheduler: asha}]\n"
        assert len(parse_experiment(text, where="x.yaml").trainings or []) == 2

    def test_knowledge_by_its_path(self):
        found = parse_experiment(BASE + "knowledge: [runs/a, {from: old.csv, metric: top1}]", where="x.yaml")
        assert isinstance(found.knowledge, list)
        assert [(spec.source, spec.metric) for spec in found.knowledge] == [("runs/a", None), ("old.csv", "top1")]
        assert parse_experiment(found.to_yaml(), where="again.yaml") == found
        one = parse_experiment(BASE + "knowledge: published", where="x.yaml")
        assert isinstance(one.knowledge, list)
        assert [spec.source for spec in one.knowledge] == ["published"]

    @pytest.mark.parametrize(("text", "meant"), [("", "auto"), ("auto", "auto"), ("null", None), ("[]", None)])
    def test_knowledge_that_is_found_or_none(self, text: str, meant: str | None):
        section = f"knowledge: {text}" if text else ""
        assert parse_experiment(BASE + section, where="x.yaml").knowledge == meant

    def test_made_in_python(self):
        assert Experiment(name="t", space="mnist_blocks", data="digits").space.make().size == 9


SECTIONS = "epochs, batch_size, optimizer"
MISSING = ("learning_rate", "weight_decay", "warmup", "label_smoothing", "clip_gradient_norm")

MISTAKES = {
    # Keys: unknown ones, by the place they stand at.
    "at the top": ("budgte: 3x", ["budgte: unknown key; did you mean 'budget'?"]),
    "in a nested model": (
        "resources: {gpus_per_trail: 1}",
        ["resources.gpus_per_trail: unknown key; did you mean 'gpus_per_trial'?"],
    ),
    "in the recipe": ("recipe: {epoch: 3}", ["recipe.epoch: unknown key; did you mean 'epochs'?"]),
    "in the augmentation": (
        "recipe: {augmentation: {flipp: true}}",
        ["recipe.augmentation.flipp: unknown key; did you mean 'flip'?"],
    ),
    "in a list, and not missing too": (
        "trainings: [{epoch: 3}]",
        ["trainings.0.epoch: unknown key; did you mean 'epochs'?"],
    ),
    "in a section that is another's": (
        "learning_rate: 0.1",
        ["learning_rate: unknown key; did you mean 'recipe.learning_rate'?"],
    ),
    "like nothing": (
        "resources: {zzz: 1}",
        [
            "resources.zzz: unknown key; known keys: cpus_per_trial, "
            "gpus_per_trial, cpus, gpus, checkpoint_gigabytes, hang_minutes"
        ],
    ),
    "a key that is a type": ("baseline: {int: 1}", ["baseline.int: unknown key; known keys: seeds, candidates"]),
    "a key that is a number": ("3: 4", [r"3: unknown key; known keys: name, .*"]),
    # Values: of another type.
    "text for a number": ("recipe: {epochs: many}", ['recipe.epochs: has to be a whole number, not "many"']),
    "a number in quotes": ("trainings: [{epochs: '3'}]", ['trainings.0.epochs: has to be a whole number, not "3"']),
    "yes for a number": ("trainings: [{epochs: yes}]", ["trainings.0.epochs: has to be a whole number, not true"]),
    "half a seed": ("seed: 1.5", ["seed: has to be a whole number, not 1.5"]),
    "nothing": ("seed: ", ["seed: has to be a whole number, not null"]),
    "infinite": (
        "trainings: [{epochs: 3, budget_epochs: .inf}]",
        ["trainings.0.budget_epochs: .* a finite .*"],
    ),
    "a word for a switch": (
        "recipe: {augmentation: {flip: 5}}",
        ["recipe.augmentation.flip: has to be true or false, not 5"],
    ),
    "a mapping for a list": ("trainings: {epochs: 3}", ['trainings: has to be a list, not {"epochs": 3}']),
    "a number for a section": ("recipe: 3", [rf"recipe: has to be keys and values \({SECTIONS}.*\), not 3"]),
    "no such recipe": (
        "recipe: imagenet-91",
        ["recipe: unknown recipe 'imagenet-91'; known: .*; did you mean 'imagenet-90'[?]"],
    ),
    "no such recipe, with more": (
        "recipe: {name: sgd, epochs: few}",
        ["recipe.name: unknown recipe 'sgd'; known: cifar-200, imagenet-90, .*"],
    ),
    "a bad value beside a recipe by name": (
        "recipe: {name: imagenet-90, augmentation: {magnitude: 31}}",
        ["recipe.augmentation.magnitude: magnitude is 31; it has to be a whole number from 0 to 30"],
    ),
    "a key of no recipe": (
        "recipe: {name: imagenet-90, mixupp: 1}",
        ["recipe.mixupp: unknown key; did you mean 'mixup'?"],
    ),
    "steps that go back": (
        "recipe: {schedule: steps, step_epochs: [6, 3]}",
        [r"recipe.step_epochs: step_epochs is \[6.0, 3.0\]; give a length in epochs, or a list of ascending .*"],
    ),
    "families without a recipe": (
        "families: {cnn: imagenet-91, transformer: {name: imagenet-vit, mixupp: 1}, bare_cnn: {optimizer: sgd}}",
        [
            "families.cnn: unknown recipe 'imagenet-91'; .*",
            "families.transformer.mixupp: unknown key; did you mean 'mixup'?",
            *(f"families.bare_cnn: {key} is missing; it has no default" for key in MISSING),
        ],
    ),
    "a key of no augmentation of a family": (
        "families: {cnn: {name: imagenet-90, augmentation: {flipp: true}}}",
        ["families.cnn.augmentation.flipp: unknown key; did you mean 'flip'?"],
    ),
    "a value beside whole recipes": (
        "recipe: {momentum: 0.8}\nfamilies: {cnn: imagenet-90}",
        ["recipe.momentum: each family has its own value; .*"],
    ),
    "more GPUs than a training uses": (
        "resources: {gpus_per_trial: 2.0}",
        ["resources.gpus_per_trial: 2 GPUs for a trial, but a training here uses one, .*"],
    ),
    "a number in a list of sections": (
        "trainings: [5]",
        [r"trainings.0: has to be keys and values \(epochs.*\), not 5"],
    ),
    "a switch for a section": (
        "baseline: false",
        [r"baseline: has to be keys and values \(seeds, candidates\) or null, not false"],
    ),
    "a number for a list of them": ("baseline: {seeds: 1}", ["baseline.seeds: has to be a list, not 1"]),
    "text in a list of numbers": ("baseline: {seeds: [a]}", ['baseline.seeds.0: has to be a whole number, not "a"']),
    "knowledge of a misspelt relation": (
        "knowledge: [{from: runs/a, relation: samekind}]",
        ["knowledge.0.relation: has to be 'same-kind', 'other' or 'short', not \"samekind\".*"],
    ),
    "knowledge by another key": (
        "knowledge: [{from: runs/a, file: b.csv}]",
        ["knowledge.0.file: unknown key; known keys: from, metric, relation, fidelity, lower_is_better"],
    ),
    "knowledge from nowhere": ("knowledge: [{metric: top1}]", ["knowledge.0.from: is missing.*"]),
    "a number for knowledge": ("knowledge: 5", [r"knowledge: has to be 'auto' or keys and values \(from.*\).*, not 5"]),
    "a share of long trainings": (
        "knowledge: [{from: a.csv, fidelity: 0.1}]",
        ["knowledge.0.fidelity: fidelity is the share of full training of short trainings; .*"],
    ),
    "a metric of published accuracies": (
        "knowledge: [{from: published, metric: loss}]",
        ["knowledge.0: published accuracies have no other metric .*"],
    ),
    # Values: out of range.
    "too small": ("trainings: [{epochs: 0}]", ["trainings.0.epochs: has to be at least 1, not 0"]),
    "not above zero": ("supernets: [{learning_rate: 0}]", ["supernets.0.learning_rate: has to be above 0, not 0"]),
    "too big": (
        "supernets: [{contenders: {share: 2}}]",
        ["supernets.0.contenders.share: has to be at most 1, not 2"],
    ),
    "checked by the recipe": ("recipe: {epochs: 0}", ["recipe.epochs: epochs is 0; it has to be .*"]),
    "checked by the augmentation": (
        "recipe: {augmentation: {crop: -1}}",
        ["recipe.augmentation.crop: crop is -1; it has to be .*"],
    ),
    "a negative seed": ("baseline: {seeds: [-1]}", ["baseline.seeds.0: has to be at least 0, not -1"]),
    "no baseline seed": ("baseline: {seeds: []}", [r"baseline.seeds: seeds are \[\]; give at least one.*"]),
    "a baseline seed twice": (
        "baseline: {seeds: [1, 1]}",
        [r"baseline.seeds: seeds are \[1, 1\]; .* without repeats .*"],
    ),
    "a share above one": ("resources: {cpus_per_trial: 1.5}", ["resources.cpus_per_trial: 1.5 is not a share .*"]),
    "no CPU at all": ("resources: {cpus_per_trial: 0}", ["resources.cpus_per_trial: 0 CPUs would start all .*"]),
    "a budget in words": ("budget: ten", ["budget: ten is no budget: write 10x.*"]),
    "a budget below one": ("budget: 0.5x", ["budget: 0.5x is more than full training of all candidates.*"]),
    # Words that are not known.
    "a word out of two": (
        "recipe: {optimizer: adam}",
        ["recipe.optimizer: has to be 'sgd', 'adamw', 'rmsprop' or 'lamb', not \"adam\"; did you mean 'adamw'?"],
    ),
    "a scheduler": (
        "trainings: [{epochs: 3, scheduler: ahsa}]",
        [r"trainings.0.scheduler: unknown scheduler 'ahsa'; known: none, full, .*; did you mean 'asha'\?"],
    ),
    "a scheduler's option": (
        "trainings: [{epochs: 3, scheduler: {name: ray-asha, options: {grace_perio: 1}}}]",
        [r"trainings.0.scheduler.options: unknown option 'grace_perio' .*; did you mean 'grace_period'\?"],
    ),
    "a scheduler's option out of range": (
        "trainings: [{epochs: 3, scheduler: {name: ray-asha, options: {grace_period: 10}}}]",
        ["trainings.0.scheduler.options: grace_period must lie between 1 and schedule_epochs 3, got 10"],
    ),
    "an option of the wrong type of a scheduler of Ray's": (
        "trainings: [{epochs: 3, scheduler: {name: ray-asha, options: {grace_period: long}}}]",
        [r"trainings.0.scheduler.options: 'ray-asha' cannot take .*: a value is of the wrong type"],
    ),
    "a scheduler's option of the wrong type": (
        "trainings: [{epochs: 3, scheduler: {name: penguin, options: {window: wide}}}]",
        ["trainings.0.scheduler.options: window must be a whole number of at least 1, got 'wide'"],
    ),
    # Alternatives: one line, not one for each.
    "neither all, a number nor a list": (
        "candidates: al",
        ["candidates: has to be 'all' or a whole number or a list, not \"al\"; did you mean 'all'?"],
    ),
    "a list of something else": (
        "candidates: [1, 2]",
        ["candidates.0: has to be text, not 1", "candidates.1: has to be text, not 2"],
    ),
    "too few": ("candidates: 1", ["candidates: has to be at least 2, not 1"]),
    "more than there are": ("candidates: 20", ["candidates: 20 are more than the 9 of mnist_blocks"]),
    "some or all": ("trainings: [{epochs: 3, candidates: some}]", [r"trainings.0.candidates: has to be 'all' or a .*"]),
    "a number or auto": (
        "resources: {gpus_per_trial: none}",
        ["resources.gpus_per_trial: has to be a number or 'auto', not \"none\""],
    ),
    # What does not fit together.
    "one candidate": ("candidates: ['1,1']", ["candidates: lists 1; an order needs at least 2"]),
    "a candidate twice": ("candidates: ['1,1', '1,2', ' 1,1']", ["candidates.2: ' 1,1' is listed twice"]),
    "no such candidate": ("candidates: ['1,1', '9,9']", ["candidates.1: .*'9'; allowed are 1, 2, 3"]),
    "a stage twice": ("trainings: [{epochs: 3}, {epochs: 3}]", ["trainings.1: training-3 is listed twice; .*"]),
    "longer than full training": (
        "trainings: [{epochs: 30}]",
        [r"trainings.0.epochs: 30 is longer than full training \(recipe.epochs: 20\)"],
    ),
    "the truth as evidence": (
        "trainings: [{epochs: 3, seed: 1}]\nbaseline: {}",
        ["trainings.0.seed: seed 1 is reserved for the baseline (baseline.seeds); use another seed for evidence"],
    ),
    "all at once": (
        "trainings: [{epochs: 30}, {epochs: 3, seed: 1}]\ncandidates: ['1,1']\nbaseline: {}",
        ["trainings.0.epochs: .*", "trainings.1.seed: .*", "candidates: .*"],
    ),
    # YAML.
    "a key twice": ("budget: 3x\nbudget: 4x", ["line 5: key 'budget' is given twice"]),
    "a nested key twice": ("recipe:\n  epochs: 3\n  epochs: 4", ["line 6: key 'epochs' is given twice"]),
    "an open bracket": ("recipe: {epochs: 3", ["line 5: expected ',' or '}', .*"]),
    "a tab": ("\trecipe: 3", ["line 4: found character .* that cannot start any token"]),
    "a python object": ("recipe: !!python/object:os.system {}", ["line 4: could not determine a constructor .*"]),
    "a control character": ("description: \x00", ["unacceptable character .*"]),
    "itself": ("trainings: &x [*x]", ["line 4: a part of it contains itself"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_line_for_each_problem(mistake):
    text, expected = MISTAKES[mistake]
    found = problems(BASE + text + "\n")
    for line in found:
        # Nothing of the library that checks: its phrases, its types, its addresses.
        assert not re.search(r"Input should|pydantic|https?:|ExperimentSpec|instance of|\bctx\b|<class", line)
    assert len(found) == len(expected)
    for line, pattern in zip(found, expected, strict=True):
        assert line == pattern or re.fullmatch(pattern, line), line


class TestWhere:
    def test_required_keys(self):
        assert problems("budget: 3x\n") == [
            "name: is missing; it has no default",
            "space: is missing; it has no default",
            "data: is missing; it has no default",
        ]

    def test_the_name_has_to_name_a_folder(self):
        assert problems(BASE.replace("name: t", "name: a b/c")) == [
            "name: 'a b/c' names the folder of the run: use up to 100 letters, digits, '-', '_' and '.'"
        ]

    def test_space(self):
        assert problems(BASE.replace("mnist_blocks", "mnist_block")) == [
            f"space: 'mnist_block' is unknown (did you mean 'mnist_blocks'?); there are {', '.join(list_spaces())}"
        ]

    @pytest.mark.parametrize(
        ("options", "line"),
        [
            ("{widht: 4}", "option 'widht' is unknown (did you mean 'width'?)"),
            ("{width: -3}", "width: -3 is not a whole number of at least 1"),
            ("{width: wide}", "width: 'wide' is not a whole number of at least 1"),
            ("[4]", "has to be keys and values, not [4]"),
        ],
    )
    def test_space_options(self, options, line):
        (found,) = problems(BASE.replace("mnist_blocks", f"{{name: nasbench201, options: {options}}}"))
        assert found.startswith("space.options: ")
        assert line in found

    def test_data(self):
        text = BASE.replace("data: digits", "data: {name: digit, validation: -1, test: 1.5, train: all, size: 2}")
        assert problems(text) == [
            "data.name: unknown data set 'digit'; "
            "there are cifar10, cifar100, digits, fashion-mnist, mnist, svhn, "
            "and folder:PATH, imagenet:PATH, packed:PATH, npz:PATH; did you mean 'digits'?",
            "data.validation: -1 is neither a share of the images (0.2) nor a number of images (1000)",
            "data.test: 1.5 is neither a share of the images (0.2) nor a number of images (1000)",
            'data.train: has to be a number, not "all"',
            "data.size: has to be at least 4, not 2",
        ]

    def test_data_by_its_name(self):
        (found,) = problems(BASE.replace("digits", "cifar"))
        assert found.startswith("data: unknown data set 'cifar'")
        assert found.endswith("did you mean 'cifar10'?")

    def test_everything_that_is_wrong_at_once(self):
        text = (
            "nam: t\nspace: nasbench21\ndata: {name: digits, size: big}\nbudget: ten\n"
            "recipe: {epochs: few, augmentaton: {}}\ntrainings: [{epochs: 3, scheduler: ashaa}, {epoch: 4}]\n"
        )
        found = problems(text)
        assert sorted(line.split(":")[0] for line in found) == [
            "budget",
            "data.size",
            "nam",
            "recipe.augmentaton",
            "recipe.epochs",
            "space",
            "trainings.0.scheduler",
            "trainings.1.epoch",
        ]

    def test_checking_a_scheduler_prints_nothing(self, capfd, caplog):
        parse_experiment(BASE + "trainings: [{epochs: 9, scheduler: ray-hyperband}]\n", where="x.yaml")
        assert capfd.readouterr().err == ""
        assert not caplog.records


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "found"),
        [("", "nothing"), ("- a\n", "a list"), ("hello\n", "a single value"), ("3\n", "a single value")],
    )
    def test_not_a_mapping(self, text, found):
        assert problems(text) == [f"expected keys and values (name, space, data ...), found {found}"]

    def test_missing(self, tmp_path):
        with pytest.raises(ExperimentError, match=r"nope\.yaml cannot be read: No such file or directory$"):
            load_experiment(str(tmp_path / "nope.yaml"))

    def test_missing_but_shipped(self, tmp_path):
        with pytest.raises(ExperimentError, match="did you mean 'quickstart', which comes with taurank"):
            load_experiment(str(tmp_path / "quickstart.yaml"))

    def test_a_folder(self, tmp_path):
        folder = tmp_path / "folder.yaml"
        folder.mkdir()
        with pytest.raises(ExperimentError, match="cannot be read: Is a directory"):
            load_experiment(str(folder))

    def test_not_text(self, tmp_path):
        file = tmp_path / "picture.yaml"
        file.write_bytes(b"\xff\xd8\xff")
        with pytest.raises(ExperimentError, match=r"picture\.yaml cannot be read: it is not UTF-8 text"):
            load_experiment(str(file))

    @pytest.mark.parametrize("name", ["quickstrat", "nine-subnet"])
    def test_unknown_name(self, name):
        with pytest.raises(ExperimentError, match=r"is neither a YAML file nor .* \(nine-.*\); did you mean '"):
            load_experiment(name)

    @pytest.mark.parametrize("name", ["", "x" * 5000])
    def test_impossible_name(self, name):
        with pytest.raises(ExperimentError):
            load_experiment(name)

    def test_by_path(self, tmp_path):
        file = tmp_path / "mine"
        file.write_text(BASE)
        assert load_experiment(str(file)).name == "t"
        assert load_experiment(str(Path(file))).recipe.epochs == 20


class TestRanker:
    def test_options_come_back(self):
        found = parse_experiment(f"{BASE}ranker: {{models: [pairwise], aggregation: borda}}\n", where="x.yaml")
        assert (found.ranker.models, found.ranker.aggregation) == (("pairwise",), "borda")
        assert parse_experiment(found.to_yaml(), where="again.yaml").ranker == found.ranker

    def test_mistakes_are_all_named(self):
        model, aggregation, key = problems(f"{BASE}ranker: {{models: [extra-tree], aggregation: best, foo: 1}}\n")
        assert model.startswith("ranker.models.0: has to be 'gaussian-process'")
        assert model.endswith("not \"extra-tree\"; did you mean 'extra-trees'?")
        assert aggregation.startswith("ranker.aggregation: has to be 'normal-scores'")
        assert key == "ranker.foo: unknown key; known keys: models, aggregation, training_loss, one_design, failed"


def test_a_search_by_name_resizes_the_images() -> None:
    found, text = experiment_of_search("nasbench201", "digits", size=16)
    assert found.data.size == parse_experiment(text, where="y").data.size == 16
    assert "size" not in experiment_of_search("nasbench201", "digits")[1]
