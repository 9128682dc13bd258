"""What is read as knowledge from runs, tables, CSVs and published accuracies, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taurank.orchestrator.evidence import BASELINE, CLASSES, TEST_ACCURACY
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.experiment.knowledge import KnowledgeSpec
from taurank.orchestrator.knowledge.known import KnowledgeError, Known
from taurank.orchestrator.knowledge.reading import known_of
from taurank.spaces import get_space
from taurank.trainables.table import TableInfo, write_table
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded import RecordedTable
from taurank.trainables.table.rows import Rows

SPACE = "{name: nasbench201, options: {width: 4, cells_per_stage: 1}}"
ZOO = "[torchvision:resnet18, torchvision:resnet34, torchvision:vgg11, torchvision:alexnet, torchvision:squeezenet1_0]"


def target(data: str = "svhn", space: str = SPACE, **more: object) -> Experiment:
    keys = "".join(f"{key}: {value}\n" for key, value in more.items())
    return parse_experiment(f"name: new\nspace: {space}\ndata: {data}\n{keys}", where="new.yaml")


def spec_of(source: object, **more: Any) -> KnowledgeSpec:
    return KnowledgeSpec.model_validate({"from": str(source)} | more)


def read(source: object, codes: Sequence[str], experiment: Experiment | None = None, **more: Any) -> Known:
    return known_of(spec_of(source, **more), experiment or target(), codes)


def write_csv(folder: Path, *lines: str) -> Path:
    file = folder / "old.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_a_run_with_a_baseline_is_known_by_its_test_accuracies(run_folder: Path, codes: tuple[str, ...]):
    known = read(run_folder, codes)
    rows = EvidenceLog(run_folder / "evidence.sqlite").evidence()
    tested = rows[(rows["stage"] == BASELINE) & (rows["metric"] == TEST_ACCURACY)]
    assert known.source.values == pytest.approx(dict(tested.groupby("architecture")["value"].mean()))
    assert (known.source.relation, known.source.fidelity, known.what) == ("same-kind", 1.0, "test accuracy on digits")


def test_a_training_at_chance_is_not_known(run_folder: Path, codes: tuple[str, ...]):
    log = EvidenceLog(run_folder / "evidence.sqlite")
    log.connection.execute(
        "UPDATE evidence SET value = 0.104 WHERE stage = ? AND architecture = ?", (BASELINE, codes[3])
    )
    log.connection.commit()
    assert len(read(run_folder, codes).source.values) == 24, "of older runs the number of classes is not known"
    log.note(CLASSES, "10")
    log.close()
    assert read(run_folder, codes).source.values.keys() == set(codes) - {codes[3]}


def test_a_run_without_one_is_known_by_its_short_trainings(run_folder: Path, codes: tuple[str, ...]):
    """Three full trainings of 24 candidates say too little; all have two of forty epochs."""
    log = EvidenceLog(run_folder / "evidence.sqlite")
    log.connection.execute("DELETE FROM evidence WHERE stage = ?", (BASELINE,))
    log.connection.commit()
    log.close()
    known = read(run_folder, codes)
    assert (known.source.relation, known.source.fidelity, len(known.source.values)) == ("short", 2 / 40, 24)


def test_full_trainings_of_half_are_what_is_known(tmp_path: Path, experiment: Experiment, codes: Sequence[str]):
    log, metric = EvidenceLog(tmp_path / "evidence.sqlite"), "validation_accuracy"
    for index, code in enumerate(codes[:8]):
        short, full = (
            Evidence(f"training-{epochs}", f"{epochs}/{code}", code, "training", epochs, epochs, 0, metric, value)
            for epochs, value in ((2, 0.1 + index / 100), (40, 0.5 + index / 100))
        )
        log.append([short, full] if index < 4 else [short])
    log.close()
    (tmp_path / "experiment.yaml").write_text(experiment.to_yaml(), encoding="utf-8")
    finals = read(tmp_path, codes)
    assert finals.source.values == {code: 0.5 + index / 100 for index, code in enumerate(codes[:4])}
    assert read(tmp_path, codes, relation="short").source.fidelity == 2 / 40


def test_trainings_that_a_policy_stopped_are_read_at_the_same_epoch(
    tmp_path: Path, experiment: Experiment, codes: Sequence[str]
):
    """Those that were stopped early are worse here at every epoch, but the last values would say more than that."""
    log, stage = EvidenceLog(tmp_path / "evidence.sqlite"), "training-40:asha"
    for index, code in enumerate(codes[:20]):
        reached = 40 if index < 5 else 2 if index < 19 else 1
        log.append(
            Evidence(stage, code, code, "training", epoch, 40, 0, "validation_accuracy", epoch / 100 - index / 1000)
            for epoch in range(1, reached + 1)
        )
    log.close()
    (tmp_path / "experiment.yaml").write_text(experiment.to_yaml(), encoding="utf-8")
    known = read(tmp_path, codes, relation="short")
    assert known.source.values == pytest.approx({code: 0.02 - index / 1000 for index, code in enumerate(codes[:19])})
    assert known.source.fidelity == 2 / 40


def test_the_same_data_and_recipe_are_evidence(run_folder: Path, experiment: Experiment, codes: tuple[str, ...]):
    with pytest.raises(KnowledgeError, match=r"same data and recipe: its trainings are evidence.*share_results"):
        read(run_folder, codes, experiment)


def test_test_images_of_the_same_data_are_never_read(run_folder: Path, experiment: Experiment, codes: tuple[str, ...]):
    """Another recipe on the same data: the baseline of the run was scored on the very test images of the new one."""
    longer = experiment.model_copy(update={"recipe": experiment.recipe.of_length(80)})
    known = read(run_folder, codes, longer)
    assert known.source.relation == "short"
    assert "test" not in known.what


def recorded(space: str = "nasbench201", data: str = "cifar10", schedules: Sequence[int] = (200,)) -> RecordedTable:
    drawn = get_space("nasbench201").sample(6, np.random.default_rng(3))
    rows = Rows([architecture.code for architecture in drawn])
    for length in schedules:
        for seed in (0, 1):
            values = np.arange(6) / 10 + seed / 100 + length / 1000
            losses = {"validation_accuracy": values, "validation_loss": -values + 2}
            rows.add("training", losses, epoch=length, schedule_epochs=length, seed=seed)
    return RecordedTable(TableInfo(space, data, describe_all(rows.metrics)), rows.frame())


def test_a_table_is_known_by_the_mean_of_its_longest_trainings(tmp_path: Path):
    table = recorded(schedules=(12, 200))
    write_table(table, tmp_path / "c10.parquet")
    known = read(tmp_path / "c10.parquet", table.architectures)
    assert list(known.source.values.values()) == pytest.approx(np.arange(6) / 10 + 0.205)
    assert (known.source.name, known.source.relation) == ("c10", "other")
    short = read(tmp_path / "c10.parquet", table.architectures, relation="short")
    assert list(short.source.values.values()) == pytest.approx(np.arange(6) / 10 + 0.017)
    assert short.source.fidelity == 12 / 200


def test_a_lower_loss_is_better(tmp_path: Path):
    table = recorded()
    write_table(table, tmp_path / "c10.parquet")
    known = read(tmp_path / "c10.parquet", table.architectures, metric="validation_loss")
    values = list(known.source.values.values())
    assert values == sorted(values)
    assert known.lower_is_better
    for metric, lower in (("validation_loss", False), ("validation_accuracy", True)):
        with pytest.raises(KnowledgeError, match=f"is better of {metric}, whose name has a fixed meaning"):
            read(tmp_path / "c10.parquet", table.architectures, metric=metric, lower_is_better=lower)


def test_a_table_of_the_same_data_is_named_as_such(tmp_path: Path):
    """Its recipe is not known, so it may be knowledge; the user has asked for it."""
    table = recorded(data="cifar10")
    write_table(table, tmp_path / "t.parquet")
    assert "the data set of this run" in read(tmp_path / "t.parquet", table.architectures, target("cifar10")).line([])
    assert "the data set" not in read(tmp_path / "t.parquet", table.architectures).line([])


def test_a_table_of_another_space_is_refused(tmp_path: Path, codes: tuple[str, ...]):
    write_table(recorded(space="darts"), tmp_path / "t.parquet")
    with pytest.raises(KnowledgeError, match="is of space darts, not of nasbench201"):
        read(tmp_path / "t.parquet", codes)


def test_a_csv_is_read_in_any_spelling_of_the_space(tmp_path: Path, codes: tuple[str, ...]):
    space = get_space("nasbench201")
    shorts = [space.short(space.parse(code)) for code in codes]
    file = write_csv(tmp_path, "Model,err", *(f"{name},{place}" for place, name in enumerate(shorts[:5])), "foreign,7")
    known = read(file, codes)
    assert known.source.values == {code: -place for place, code in enumerate(codes[:5])}
    assert known.line(codes) == "old (err of 5 of 24 candidates; other; 1 other row left out)"


@pytest.mark.parametrize(
    ("lines", "more", "problem"),
    [
        (["name,acc"], {}, "has no rows beside its header"),
        (["what,acc", "{0},1"], {}, "has no column of architectures: call it architecture"),
        (["arch,acc", "{0},1", "{1},2", "{2},3"], {}, "acc of 3 fully trained architectures; 4 are needed"),
        (["arch,acc", "{0},1", "{1},x", "{2},3"], {}, "row 2: acc 'x' is not a number"),
        (["arch,acc", "{0},1", "{1},2", "{0},3"], {}, "row 3: .* is in row 1, too; leave one"),
        (["arch,acc", "{0},1", "{1},2", "{2},3", "{0s},4"], {}, "are the same architecture; leave one"),
        (["arch,acc", *(f"net{i},{i}" for i in range(5))], {}, "has no architecture of nasbench201: 'net0'"),
        (
            ["arch,acc,top5", *(f"{{{i}}},{i},{i}" for i in range(5))],
            {},
            "several numbers .* as metric: acc, top5",
        ),
        (["arch,acc", *(f"{{{i}}},{i}" for i in range(5))], {"metric": "acg"}, "has no column 'acg'; it has acc"),
        (["arch,it", *(f"{{{i}}},{i}" for i in range(5))], {}, "does not say which end is better; add lower_is_better"),
        (["arch,acc", *(f"{{{i}}},{i}" for i in range(5))], {"relation": "short"}, "add fidelity: 0.05"),
    ],
)
def test_mistakes_in_a_csv(
    tmp_path: Path, codes: tuple[str, ...], lines: list[str], more: dict[str, Any], problem: str
):
    space = get_space("nasbench201")
    texts = {str(place): code for place, code in enumerate(codes)} | {"0s": space.short(space.parse(codes[0]))}
    for place, text in texts.items():
        lines = [line.replace(f"{{{place}}}", text) for line in lines]
    with pytest.raises(KnowledgeError, match=problem) as caught:
        read(write_csv(tmp_path, *lines), codes, **more)
    assert "\n" not in str(caught.value)


def test_few_common_architectures_are_enough_only_to_predict_from(tmp_path: Path, codes: tuple[str, ...]):
    drawn = get_space("nasbench201").sample(60, np.random.default_rng(9))
    others = [one.code for one in drawn if one.code not in codes]
    file = write_csv(tmp_path, "arch,acc", *(f"{code},{place}" for place, code in enumerate(others[:29])))
    with pytest.raises(KnowledgeError, match=r"knows 0 of the 24 candidates and 29 others; 4 candidates .* or 30 arch"):
        read(file, codes)
    file = write_csv(tmp_path, "arch,acc", *(f"{code},{place}" for place, code in enumerate(others[:30])))
    assert len(read(file, codes).source.values) == 30


def test_published_accuracies_are_for_models_by_name(codes: tuple[str, ...]):
    zoo = target(space="zoo", candidates=ZOO)
    models = zoo.listed()[0]
    known = read("published", [*models, "my_nets:make"], zoo)
    assert known.source.values["torchvision:resnet34"] > known.source.values["torchvision:resnet18"]
    assert known.source.relation == "same-kind"
    assert known_of(spec_of("published"), zoo, models, natural=False).source.relation == "other"
    assert "5 of 6 candidates" in known.line([*models, "my_nets:make"])
    with pytest.raises(KnowledgeError, match="published accuracies are of models by name, not of nasbench201"):
        read("published", codes)


def test_names_in_a_csv_are_never_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "harm.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    zoo = target(space="zoo", candidates=ZOO)
    models = zoo.listed()[0]
    bare = [code.partition(":")[2] for code in models]
    file = write_csv(tmp_path, "model,top1", "harm:make,1", *(f"{name},{place}" for place, name in enumerate(bare)))
    assert set(read(file, models, zoo).source.values) == set(models)


def test_a_name_of_two_libraries_is_refused(tmp_path: Path):
    models = ["timm:resnet18", "torchvision:resnet18", "a:b", "a:c"]
    file = write_csv(tmp_path, "model,top1", "resnet18,0", "x,1", "y,2", "z,3")
    with pytest.raises(KnowledgeError, match=r"may be timm:resnet18 or torchvision:resnet18; write one"):
        read(file, models, target(space="zoo", candidates=ZOO))


def test_no_such_file_or_run(tmp_path: Path, codes: tuple[str, ...]):
    with pytest.raises(KnowledgeError, match=r"nowhere: no such file or folder"):
        read(tmp_path / "nowhere", codes)
    with pytest.raises(KnowledgeError, match=r"is not the folder of a run: it needs experiment.yaml and"):
        read(tmp_path, codes)
