"""Which knowledge a run finds by itself, and that a run keeps what it had."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from taurank.orchestrator.evidence import ENDED, RANKING
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.knowledge.gathering import gather_knowledge, resolved_knowledge
from taurank.orchestrator.knowledge.known import KNOWLEDGE_FILE, KnowledgeError, read_known, write_known
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.text import read_yaml, write_yaml

NO_EPOCHS = "{space: {name: nasbench201}, data: {name: x}, recipe: {epochs: 0}}"


@pytest.fixture
def past(run_folder: Path) -> Path:
    """A run that has come to its ranking, alone in its folder of runs."""
    log = EvidenceLog(run_folder / "evidence.sqlite")
    log.append_event(RANKING, "", ENDED, "")
    log.close()
    runs = run_folder.parent / "runs"
    runs.mkdir()
    return run_folder.rename(runs / "first")


def change(folder: Path, **keys: object) -> None:
    file = folder / "experiment.yaml"
    file.write_text(write_yaml(read_yaml(file.read_text()) | keys))


def on(experiment: Experiment, data: str) -> Experiment:
    return experiment.model_copy(update={"data": experiment.data.model_copy(update={"name": data})})


def names(experiment: Experiment, codes: Sequence[str], folder: Path) -> list[str]:
    return [known.source.name for known in gather_knowledge(experiment, codes, folder)]


def test_auto_takes_finished_runs_of_the_same_space_on_other_data(
    past: Path, experiment: Experiment, codes: tuple[str, ...]
):
    assert names(on(experiment, "svhn"), codes, past.parent) == ["first"]
    assert names(experiment, codes, past.parent) == [], "the same data is evidence, not knowledge"
    change(past, data={"name": "mnist"})
    assert names(experiment, codes, past.parent) == ["first"]
    change(past, space={"name": "nasbench201", "options": {"width": 8}})
    assert names(experiment, codes, past.parent) == [], "another width is another space"


def test_auto_takes_no_run_that_is_not_finished(past: Path, experiment: Experiment, codes: tuple[str, ...]):
    log = EvidenceLog(past / "evidence.sqlite")
    log.connection.execute("DELETE FROM events WHERE stage = ?", (RANKING,))
    log.connection.commit()
    log.close()
    assert names(on(experiment, "svhn"), codes, past.parent) == []


def test_auto_takes_the_best_run_of_each_data_set(past: Path, experiment: Experiment, codes: tuple[str, ...]):
    for name, data, kept in (("second", "digits", 10), ("third", "mnist", 24)):
        folder = past.parent / name
        shutil.copytree(past, folder)
        change(folder, data={"name": data})
        log = EvidenceLog(folder / "evidence.sqlite")
        marks = ", ".join("?" * (24 - kept))
        log.connection.execute(f"DELETE FROM evidence WHERE architecture IN ({marks})", codes[kept:])
        log.connection.commit()
        log.close()
    assert sorted(names(on(experiment, "svhn"), codes, past.parent)) == ["first", "third"]


def test_auto_passes_over_what_cannot_be_read(past: Path, experiment: Experiment, codes: tuple[str, ...]):
    for name, text in (("broken", ":"), ("list", "[1, 2]"), ("no-space", "data: {name: x}"), ("no-epochs", NO_EPOCHS)):
        (past.parent / name).mkdir()
        (past.parent / name / "experiment.yaml").write_text(text)
        (past.parent / name / "evidence.sqlite").write_text("no log")
    shutil.copytree(past, past.parent / "no-log")
    (past.parent / "no-log" / "evidence.sqlite").write_text("no log")
    assert names(on(experiment, "svhn"), codes, past.parent) == ["first"]
    assert names(on(experiment, "svhn"), codes, past.parent / "nothing-here") == []


def test_null_takes_nothing_and_a_named_source_that_fails_is_an_error(
    past: Path, experiment: Experiment, codes: tuple[str, ...]
):
    none = on(experiment, "svhn").model_copy(update={"knowledge": None})
    assert names(none, codes, past.parent) == []
    text = on(experiment, "svhn").to_yaml().replace("knowledge: auto", f"knowledge: [{past / 'nowhere'}]")
    with pytest.raises(KnowledgeError, match="no such file"):
        names(parse_experiment(text, where="x"), codes, past.parent)


def test_auto_takes_published_accuracies_of_models_by_name(tmp_path: Path):
    models = [*(f"torchvision:{name}" for name in ("resnet18", "vgg11", "alexnet", "resnet34")), "my_nets:make"]
    zoo = parse_experiment("name: z\nspace: zoo\ndata: svhn\ncandidates: ['torchvision:resnet*']", where="z")
    assert names(zoo, models, tmp_path) == ["published"]
    assert names(zoo, ["my_nets:make", "my_nets:other"], tmp_path) == [], "nothing is known of own code"


def test_two_sources_of_one_name_are_told_apart(past: Path, experiment: Experiment, codes: tuple[str, ...]):
    text = on(experiment, "svhn").to_yaml().replace("knowledge: auto", f"knowledge: [{past}, {past}]")
    assert names(parse_experiment(text, where="x"), codes, past.parent) == ["first", "first (2)"]


@pytest.fixture
def informed(past: Path, experiment: Experiment, codes: tuple[str, ...]) -> Run:
    """A run on other data with knowledge of the first."""
    folder = past.parent / "second"
    other = on(experiment, "svhn")
    known = gather_knowledge(other, codes, past.parent)
    shutil.copytree(past, folder)
    resolved = other.model_copy(update={"candidates": list(codes), "knowledge": resolved_knowledge(other, known)})
    (folder / "experiment.yaml").write_text(resolved.to_yaml())
    write_known(known, folder)
    return Run.open(folder)


def test_a_run_ranks_by_its_own_copy(informed: Run, past: Path):
    before = informed.rank()
    assert [(use.name, use.known) for use in before.knowledge] == [("first", 24)]
    assert before.knowledge[0].reason
    shutil.rmtree(past)
    again = Run.open(informed.folder).rank()
    assert again.table.equals(before.table)
    assert (again.samples == before.samples).all()


def test_a_lost_or_damaged_copy_is_one_line(informed: Run):
    file = informed.folder / KNOWLEDGE_FILE
    whole = file.read_text()
    for broken in (
        whole[: len(whole) // 2],
        whole.replace('"first"', "3, 3"),
        whole.replace("same-kind", "samekind"),
        "[]",
    ):
        file.write_text(broken)
        with pytest.raises(KnowledgeError, match=rf"{KNOWLEDGE_FILE} cannot be read"):
            Run.open(informed.folder).rank()
    file.unlink()
    with pytest.raises(KnowledgeError, match="put it back, or write knowledge: null"):
        Run.open(informed.folder).rank()


def test_a_copy_is_read_as_it_was_written(informed: Run, tmp_path: Path):
    known = read_known(informed.folder)
    write_known(known, tmp_path)
    assert read_known(tmp_path) == known
    write_known((), tmp_path)
    assert not (tmp_path / KNOWLEDGE_FILE).exists()


def test_a_run_older_than_knowledge_has_none(past: Path):
    file = past / "experiment.yaml"
    content = read_yaml(file.read_text())
    del content["knowledge"]
    file.write_text(write_yaml(content))
    assert Run.open(past).knowledge == ()
    assert Run.open(past).rank().knowledge == ()


def test_rank_why_and_plan_say_what_was_known(informed: Run, taurank: Callable[..., tuple[int, str, str]]):
    code, out, err = taurank("rank", informed.folder, columns=200)
    assert code == 0, err
    assert "knowledge first (same-kind, 24 of 24 candidates known): weight " in out + err
    page = (informed.folder / "report.html").read_text()
    assert "What was known before" in page
    assert "first (same-kind, 24 of 24 candidates known)" in page
    code, out, err = taurank("why", informed.candidates[0], "--run", informed.folder, columns=200)
    assert "knowledge first: test accuracy on digits: 0.9" in out, err
    code, out, err = taurank("plan", informed.folder, "--budget", "10x", columns=300)
    assert "note: knowledge: first (test accuracy on digits of 24 of 24 candidates; same-kind); it costs nothing" in out


def test_plan_says_what_a_file_would_know(
    past: Path,
    experiment: Experiment,
    codes: tuple[str, ...],
    taurank: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(past.parent.parent)
    listed = on(experiment, "svhn").model_copy(update={"candidates": list(codes)})
    file = Path("new.yaml")
    file.write_text(listed.to_yaml())
    code, out, err = taurank("plan", file, columns=300)
    assert code == 0, err
    assert "knowledge: first (test accuracy on digits of 24 of 24 candidates; same-kind); it costs nothing" in out
    assert "the predicted tau does not count it" in out
    file.write_text(listed.to_yaml().replace("knowledge: auto", "knowledge: null"))
    assert "knowledge" not in taurank("plan", file, columns=300)[1]
    file.write_text(listed.to_yaml().replace("knowledge: auto", "knowledge: [nowhere.csv]"))
    code, _, err = taurank("plan", file)
    assert (code, err.count("\n")) == (2, 1)
    assert "nowhere.csv: no such file or folder" in err
