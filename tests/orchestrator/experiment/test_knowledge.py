"""The knowledge of an experiment as the command line and the file name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from taurank.orchestrator.experiment.experiment import ExperimentError
from taurank.orchestrator.experiment.file import load_experiment, parse_experiment, read_knowledge, with_knowledge
from taurank.orchestrator.experiment.from_options import experiment_of_models, experiment_of_search
from taurank.orchestrator.experiment.knowledge import KnowledgeSpec

BASE = "name: x\nspace: nasbench201\ndata: digits\n"


def read(*texts: str) -> list[dict[str, object]]:
    found = read_knowledge(texts)
    assert isinstance(found, list)
    return [spec.model_dump(by_alias=True, exclude_none=True) for spec in found]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sources_by_commas_and_repeated(here: Path):
    assert read("runs/a, published", "/b.parquet") == [
        {"from": f"{here}/runs/a"},
        {"from": "published"},
        {"from": "/b.parquet"},
    ]


def test_settings_of_a_source(here: Path):
    text = "odd:name.csv:metric=top1:relation=short:fidelity=0.05:lower_is_better=false"
    expected = {"metric": "top1", "relation": "short", "fidelity": 0.05, "lower_is_better": False}
    assert read(text) == [{"from": f"{here}/odd:name.csv"} | expected]


def test_a_relation_as_in_a_replay(here: Path):
    assert read("a.parquet=same-kind:metric=loss, b=c.csv") == [
        {"from": f"{here}/a.parquet", "metric": "loss", "relation": "same-kind"},
        {"from": f"{here}/b=c.csv"},
    ]


def test_none_and_auto_stand_alone():
    assert read_knowledge(["none"]) is None
    assert read_knowledge(["auto"]) == "auto"
    for texts in (["none,runs/a"], ["runs/a", "auto"]):
        with pytest.raises(ExperimentError, match=r"^--knowledge: (none|auto) stands alone"):
            read_knowledge(texts)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a:relation=samekind", "--knowledge.0.relation: has to be 'same-kind', 'other' or 'short'"),
        ("a:metrik=x", "--knowledge.0.metrik: unknown key; did you mean 'metric'"),
        ("a:relation=short:fidelity=x", '--knowledge.0.fidelity: has to be a number, not "x"'),
        ("a:relation=short:fidelity=2", "--knowledge.0.fidelity: has to be at most 1, not 2"),
        ("a:lower_is_better=yes", '--knowledge.0.lower_is_better: has to be true or false, not "yes"'),
        ("a,:metric=x", "--knowledge.1.from: "),
    ],
)
def test_mistakes(text: str, problem: str):
    with pytest.raises(ExperimentError) as caught:
        read_knowledge([text])
    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


def test_a_path_is_relative_to_the_file_or_to_where_it_was_typed(here: Path):
    (here / "sub").mkdir()
    (here / "sub" / "x.yaml").write_text(BASE + "knowledge: [old.csv]")
    loaded = load_experiment("sub/x.yaml")
    assert loaded.knowledge == [KnowledgeSpec.model_validate({"from": f"{here}/sub/old.csv"})]
    typed = with_knowledge(loaded, ["old.csv"])
    assert typed.knowledge == [KnowledgeSpec.model_validate({"from": f"{here}/old.csv"})]
    assert with_knowledge(loaded, ["none"]).knowledge is None


def test_a_file_of_options_has_it(here: Path):
    """The file works in any folder; without the option it has no such key, and the default holds."""
    models = ["torchvision:resnet18", "torchvision:resnet34"]
    found, text = experiment_of_models(models, "digits", size=32, knowledge=["old.csv:metric=top1"])
    assert found.knowledge == parse_experiment(text, where="y").knowledge
    assert f"from: {here}/old.csv" in text
    assert "knowledge" not in experiment_of_models(models, "digits", size=32)[1]
    found, text = experiment_of_search("nasbench201", "digits", knowledge=["none"])
    assert found.knowledge is None
    assert "knowledge: null" in text
