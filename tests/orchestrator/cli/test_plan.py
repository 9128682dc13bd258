"""`taurank plan` as a user meets it."""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from taurank.orchestrator.campaigns import ahead
from taurank.orchestrator.candidates import MeasuredPace
from taurank.orchestrator.cluster import Slot
from taurank.orchestrator.evidence import DEFAULT_PLAN, PLAN
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment
from taurank.orchestrator.experiment.file import load_experiment, parse_experiment
from taurank.orchestrator.planning import PlanError, PlanRequest, Setting, forecast, look_ahead
from taurank.orchestrator.report import print_plan
from taurank.orchestrator.report.figures import predicted
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.runs.image_loading import load_images
from taurank.orchestrator.stages.stage import training_stage
from taurank.orchestrator.stages.supernet_runs import SupernetRun
from taurank.trainables.table import RecordedTable, write_table
from taurank.trainables.training import EpochTime

Taurank = Callable[..., tuple[int, str, str]]
OPTIONS = ("--space", "nasbench201", "--data", "cifar10", "--candidates", 300, "--epochs", 200)
CELLS, SHORT_CELLS = Setting("nasbench201", "cifar10", 200), Setting("nasbench201", "digits", 40)


@pytest.fixture
def plan(taurank: Taurank) -> Taurank:
    """Runs `taurank plan`."""
    return partial(taurank, "plan")


@pytest.fixture
def run_folder(finished_log: EvidenceLog, codes: Sequence[str], experiment: Experiment, tmp_path: Path) -> Path:
    """The folder of a finished run that named its stages: 24 x 2 epochs and 2 x 40 of a full 24 x 40."""
    folder = tmp_path / "run"
    finished_log.close()
    shutil.copytree(finished_log.path.parent, folder)
    resolved = experiment.model_copy(update={"candidates": list(codes), "supernets": []})
    (folder / "experiment.yaml").write_text(resolved.to_yaml(), encoding="utf-8")
    return folder


@pytest.fixture
def file(table: RecordedTable, tmp_path: Path) -> Path:
    path = tmp_path / "made-up.parquet"
    write_table(table, path)
    return path


class TestOptions:
    def test_split_cost_hours_tau_and_neighbours(self, plan: Taurank) -> None:
        code, out, err = plan(*OPTIONS, "--budget", "10x", "--epoch-seconds", 12)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0] == (
            "300 candidates of nasbench201; full training is 200 epochs each, 60,000 in all; "
            "budget: 10x cheaper, 6,000.0 epochs"
        )
        # Two proxies take 1.5 steps each on 64 of 50,000 images. 35 % of what is left of 30 trainings' worth is 174 of
        # 12 epochs; 19 of 200 fit in the rest, and a supernet of 84 in what is left, with its scores of 12,500 images.
        assert lines[2].split() == ["proxies", "all", "1.2", "0.0%", "0.0038"]
        assert lines[3].split() == ["supernet:uniform", "1", "84", "110.0", "0.2%", "0.37"]
        assert lines[4].split() == ["short", "trainings", "174", "12", "2,088.0", "3.5%", "6.96"]
        assert lines[5].split() == ["full", "trainings", "19", "200", "3,800.0", "6.3%", "12.67"]
        assert lines[6].split() == ["total", "5,999.2", "10.0%", "20.00"]
        expected = forecast(CELLS, 300, 10, proxies=True)
        assert lines[7] == f"predicted tau: {predicted(expected)}"
        budgets = [line.split()[0] for line in lines[10:16]]
        assert budgets == ["2x", "5x", "10x", "20x", "50x", "100x"]
        assert expected.basis == "replays of nasbench201 on cifar10"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            # Four epochs of each are a fifth of 20; of the other 36 epochs a full training takes 20.
            (
                ("--candidates", 6, "--epochs", 20, "--budget", "2x"),
                "16.0 of 60.0 epochs are left over: a full training takes 20, short trainings are not made longer than "
                "20% of that",
            ),
            # One epoch of each, and 0.2 epochs of proxies.
            (
                ("--candidates", 30, "--epochs", 20, "--budget", "13x"),
                "16.0 of 46.2 epochs are left over: a full training takes 20, an epoch more for each short training 30",
            ),
            (
                ("--candidates", 6, "--epochs", 20, "--budget", "1h", "--epoch-seconds", 60),
                "16.0 of 60.0 epochs are left over: a full training takes 20, short trainings are not made longer than "
                "20% of that; the run trains fast candidates to the end with them",
            ),
            (("--candidates", 6, "--epochs", 20, "--budget", "4h", "--epoch-seconds", 60), ""),
            (("--candidates", 30, "--epochs", 20, "--budget", "20x"), ""),
        ],
    )
    def test_what_a_plan_leaves_over_has_its_reason(self, plan: Taurank, arguments: Any, said: str) -> None:
        code, out, _ = plan(*arguments)
        assert code == 0
        assert [line for line in out.splitlines() if "left over" in line] == ([said] if said else [])

    def test_a_tau_finds_its_budget(self, plan: Taurank) -> None:
        code, out, _ = plan(*OPTIONS, "--tau", 0.8, "--json")
        assert code == 0
        found = json.loads(out)["plan"]
        assert found["predicted_tau"] >= 0.8
        assert forecast(CELLS, 300, found["budget"] + 0.2, proxies=True).tau < 0.8
        assert found["hours"] is None
        assert found["epochs"] <= 60_000 / found["budget"]

    def test_only_some_lengths(self, plan: Taurank) -> None:
        _, out, _ = plan(*OPTIONS, "--budget", "10x", "--schedules", "25, 200", "--json")
        assert {spec["epochs"] for spec in json.loads(out)["plan"]["trainings"]} == {25, 200}

    def test_a_space_of_ones_own_has_a_wider_interval(self, plan: Taurank) -> None:
        _, own, _ = plan(*OPTIONS[4:], "--budget", "10x", "--json")
        _, known, _ = plan(*OPTIONS, "--budget", "10x", "--json")
        own, known = json.loads(own), json.loads(known)
        assert own["space"] is None
        assert "none of this space and length" in own["basis"]
        assert own["plan"]["high"] - own["plan"]["low"] > known["plan"]["high"] - known["plan"]["low"]
        assert own["plan"]["trainings"] == known["plan"]["trainings"]

    def test_what_is_left_goes_to_a_supernet(self, plan: Taurank) -> None:
        options = ("--space", "mnist_blocks", "--candidates", 9, "--epochs", 90, "--budget", "4x")
        _, out, _ = plan(*options)
        assert "supernet:uniform" in out
        _, out, _ = plan(*options, "--json")
        found = json.loads(out)["plan"]
        assert len(found["supernets"]) == 1
        assert found["epochs"] <= 9 * 90 / 4


class TestSupernetPrice:
    """What a supernet costs is said alike by the plan of a file, the plan of a run, and the stages of the run."""

    TEXT = "name: priced\nspace: mnist_blocks\ncandidates: 9\nrecipe: {epochs: 90}\nproxies: null\n"

    @pytest.mark.parametrize(
        "supernet",
        ["{}", "{batch_norm: batch}", "{calibration_images: 64, contenders: {epochs: 3, most: 5, share: 0.5}}"],
    )
    @pytest.mark.parametrize("split", ["train: 600, validation: 300", "validation: 0.4", "evaluate_on: training"])
    def test_of_a_run(self, split: str, supernet: str, plan: Taurank, tmp_path: Path) -> None:
        text = f"{self.TEXT}data: {{name: digits, test: 0.2, {split}}}\ntrainings: []\nsupernets: [{supernet}]\n"
        experiment = parse_experiment(text, where="test")
        images = load_images(experiment.data, root=None, download=False)
        run = create_run(experiment, tmp_path, images)
        (spec,) = run.experiment.supernets or []
        supernets = SupernetRun(run.experiment, spec, run.candidates, run.candidates, run.folder, images)
        _, out, _ = plan(run.folder, "--json")
        assert json.loads(out)["plan"]["epochs"] == pytest.approx(sum(stage.cost for stage in supernets.planned))

    def test_of_a_split_of_ours(self, plan: Taurank, tmp_path: Path) -> None:
        file = tmp_path / "asked.yaml"
        data = "{name: digits, train: 600, validation: 600, test: 0.2}"
        file.write_text(f"{self.TEXT}budget: 4x\ndata: {data}\n", encoding="utf-8")
        experiment = load_experiment(str(file))
        run = create_run(experiment, tmp_path, load_images(experiment.data, root=None, download=False))
        (spec,) = run.experiment.supernets or []
        found = [json.loads(plan(what, "--json")[1])["plan"] for what in (file, run.folder)]
        assert found[0] == found[1]
        assert [one["epochs"] for one in found[0]["supernets"]] == [spec.epochs]


class TestExperiments:
    def test_by_name(self, plan: Taurank) -> None:
        code, out, err = plan("quickstart")
        assert (code, err) == (0, "")
        assert out.startswith(
            "48 candidates of small_convnets; full training is 120 epochs each, 5,760 in all; budget: 10x"
        )
        assert "note:" not in out
        # 48 x 2 x 1.5 steps on 32 of 400 images, which have 64 numbers each.
        assert ["proxies", "all", "11.5", "0.2%"] in [line.split() for line in out.splitlines()]

    def test_all_candidates_and_stages_of_its_own(self, plan: Taurank) -> None:
        code, out, _ = plan("nine-subnets")
        assert code == 0
        assert out.startswith("9 candidates of mnist_blocks; ")
        assert "supernet:epsilon-greedy" in out
        assert "note: the experiment defines its stages itself" in out

    def test_another_budget_is_split_anew(self, plan: Taurank) -> None:
        _, out, _ = plan("nine-subnets", "--budget", "1x")
        assert "supernet:epsilon-greedy" not in out
        assert "note:" not in out
        assert "budget: 1x, full training of all" in out

    @pytest.mark.parametrize(
        ("more", "begins"),
        [
            ("narrow: {}", "note: narrow: "),
            ("constraints: latency <= 5ms", "note: latencies are measured"),
            ("constraints: params <= 5M", None),
        ],
    )
    def test_what_the_device_takes_is_named(self, more: str, begins: str | None, plan: Taurank, tmp_path: Path) -> None:
        file = tmp_path / "device.yaml"
        file.write_text(f"name: device\nspace: nasbench201\ncandidates: 30\ndata: digits\n{more}\n")
        code, out, err = plan(file)
        assert (code, err) == (0, "")
        notes = [line for line in out.splitlines() if line.startswith("note: ") and "latenc" in line]
        assert [note.startswith(begins) for note in notes] == [True] if begins else notes == []


class TestRuns:
    def test_where_it_stands_and_where_it_ends(self, plan: Taurank, run_folder: Path) -> None:
        code, out, err = plan(run_folder)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        # 24 x 2 + 2 x 40 epochs of 960.
        assert lines[1] == "spent so far: 168.0 epochs, 17.5% of full training"
        assert lines[2].startswith("expected tau now: ")
        assert "uncalibrated; replays that spent as much: " in lines[2]
        assert "predicted tau at the end: " in out
        assert "corrected by what this run's uncalibrated ranking expects of itself" in out
        assert "note: the experiment defines its stages itself" in out
        # An epoch took .1 s as booked: 128 of them are 12.8 s.
        assert "hours on one device" in out
        # 168 of them are 16.8 s.
        assert [line.split()[-1] for line in lines if line.startswith("total ")] == ["0.0047"]
        # Its own and the larger ones.
        assert [line.split()[0] for line in lines if line.split()[:1] in (["2x"], ["5x"], ["10x"], ["20x"])] == [
            "2x",
            "5x",
            "10x",
        ]

    def test_json(self, plan: Taurank, run_folder: Path) -> None:
        _, out, _ = plan(run_folder, "--json")
        content = json.loads(out)
        progress = content["progress"]
        assert progress["spent_epochs"] == 168.0
        assert content["epoch_seconds"] == pytest.approx(0.1)
        # Between the forecast and what the ranking expects, on the scale of artanh.
        moved = math.atanh(content["plan"]["predicted_tau"]) - math.atanh(forecast(SHORT_CELLS, 24, 10).tau)
        difference = math.atanh(progress["expected_tau"]) - math.atanh(progress["forecast"]["predicted_tau"])
        assert 0 < moved / difference < 1

    def test_before_anything_is_spent(
        self, plan: Taurank, make_log: Callable[..., EvidenceLog], codes: Sequence[str], experiment: Experiment
    ) -> None:
        log = make_log(trainings=False, seeds=())
        log.note(PLAN, DEFAULT_PLAN)
        log.close()
        resolved = experiment.model_copy(update={"candidates": list(codes), "supernets": []})
        (log.path.parent / "experiment.yaml").write_text(resolved.to_yaml(), encoding="utf-8")
        code, out, _ = plan(log.path.parent)
        assert code == 0
        assert "spent so far: nothing" in out
        assert "note:" not in out
        assert f"predicted tau at the end: {predicted(forecast(SHORT_CELLS, 24, 10))}" in out

    def test_a_tau_is_looked_for_in_corrected_forecasts(self, plan: Taurank, run_folder: Path) -> None:
        _, out, _ = plan(run_folder, "--json")
        wanted = json.loads(out)["plan"]["predicted_tau"]
        _, out, _ = plan(run_folder, "--tau", wanted - 1e-9, "--json")
        found = json.loads(out)["plan"]
        assert found["predicted_tau"] >= wanted - 1e-9
        assert found["budget"] >= 10

    def test_nothing_in_the_folder_changes(self, plan: Taurank, run_folder: Path) -> None:
        before = {file.name for file in run_folder.iterdir()}
        plan(run_folder)
        after = {file.name for file in run_folder.iterdir()}
        assert {name for name in after if not name.startswith("evidence.sqlite-")} <= before


class TestOwnTable:
    def test_replays_it(self, plan: Taurank, file: Path) -> None:
        table = ("--table", file, "--candidates", 12, "--truth", "seeds 1,2", "--draws", 2)
        code, out, err = plan(*table, "--budget", "3x", "--json")
        assert code == 0
        assert "replaying" in err
        content = json.loads(out)
        assert content["space"] == "made-up"
        assert content["basis"] == "replays of made-up on nothing"
        assert content["epoch_seconds"] == pytest.approx(2.0)
        (row,) = content["replays"]
        assert (row["space"], row["n"], row["budget"], row["draws"]) == ("made-up", 12, 3.0, 2)
        assert content["plan"]["epochs"] <= 40
        taus = [option["predicted_tau"] for option in content["neighbours"]]
        assert [option["budget"] for option in content["neighbours"]][:3] == [2.0, 3.0, 5.0]
        assert taus == sorted(taus, reverse=True)


def test_a_run_says_it_before_it_starts(tmp_path: Path) -> None:
    experiment = load_experiment("quickstart")
    data = load_images(experiment.data, root=None, download=False)
    run = create_run(experiment, tmp_path, data)
    stages = [
        training_stage(run.experiment, spec, run.candidates, run.folder) for spec in run.experiment.trainings or []
    ]
    written = io.StringIO()
    print_plan(Console(file=written, width=300), run.experiment, data, stages, None, 245.8, 288.0, run)
    expected = forecast(Setting("small_convnets", experiment.data.name, experiment.recipe.epochs), 48, 10)
    assert f"predicted tau: {predicted(expected)}" in written.getvalue().splitlines()


def test_hours_of_a_budget_in_time(plan: Taurank) -> None:
    code, out, _ = plan(*OPTIONS, "--budget", "30 gpu-hours", "--epoch-seconds", 10)
    assert code == 0
    assert "full training of all would take" in out
    # As many are trained as the budget pays for, so that it is the bound.
    assert "the evidence at most 30 gpu-hours\n" in out
    assert "budget: 30 gpu-hours, 10,800.0 epochs of the average candidate\n" in out


OWN = """
name: own
trainable: tests.orchestrator.campaigns.own_runs:train
metric: {name: val_loss, mode: min}
candidates: [{width: 1}, {width: 2}, {width: 3}, {width: 4}]
recipe: {epochs: 10}
budget: 5x
"""


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces the workers: an epoch takes 6 seconds, the measurement of each candidate 2 epochs; keeps the budgets."""
    asked: list[str] = []

    def measure(experiment: Experiment, codes: Sequence[str], *_: object, **__: object) -> MeasuredPace:
        asked.append(str(experiment.budget))
        return MeasuredPace(Slot(1.0), 2, dict.fromkeys(codes, EpochTime(6.0, 12.0, 2.0)))

    monkeypatch.setattr(ahead, "measure_paces", measure)
    return asked


def test_own_code_is_timed(plan: Taurank, timed: list[str], tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    code, out, _ = plan(tmp_path / "own.yaml", "--measure")
    assert code == 0
    assert "budget: 5x cheaper, 8.0 epochs\n" in out
    assert "an epoch takes 6 core seconds (6 to 6); " in out
    assert "full training of all would take 2:00 min" in out
    code, out, _ = plan(tmp_path / "own.yaml", "--budget", "100s")
    assert timed == ["5x", "100s"]
    # 33.3 epochs, of which the measurement takes 8.
    assert "budget: 100s, 33.3 epochs of the average candidate\n" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["timing", "8.0", "20.0%", "0.013"] in rows
    (total,) = (row for row in rows if row[:1] == ["total"])
    assert float(total[1]) <= 33.4


def test_a_budget_that_covers_full_training_is_planned_as_that(plan: Taurank, timed: list[str], tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    _, out, _ = plan(tmp_path / "own.yaml", "--budget", "1h")
    assert "budget: 1h, enough for full training of all\n" in out
    assert "short trainings" not in out
    assert ["full", "trainings", "4", "10", "40.0", "100.0%", "0.067"] in [line.split() for line in out.splitlines()]


MOBILE = """
name: mobile
space: zoo
candidates: ["torchvision:mnasnet0_5", "torchvision:squeezenet1_1"]
data: {name: "imagenet:nowhere", size: 224, validation: 50000}
recipe: imagenet-mobile
families: null
"""


def test_hours_of_a_device_and_of_images_that_are_not_here(plan: Taurank, tmp_path: Path) -> None:
    file = tmp_path / "mobile.yaml"
    file.write_text(MOBILE, encoding="utf-8")
    speeds = ("--speed", "torchvision:mnasnet0_5=2000", "--speed", "torchvision:squeezenet1_1=500")
    code, out, _ = plan(file, *speeds, "--budget", "200 gpu-hours")
    assert code == 0
    # (1,231,167 + 50,000 / 3) / 2000 and / 500 s; 350 epochs of both are 303 hours.
    assert "note: 1,231,167 training and 50,000 validation images are cut from the set as it was published" in out
    assert "note: hours are an estimate: 2 of 2 candidates have a stated speed\n" in out
    assert "an epoch takes 1,560 gpu seconds (624 to 2,496)" in out
    assert "full training of all would take 303 h 17 min (303 gpu-hours)" in out
    (total,) = (line.split() for line in out.splitlines() if line.startswith("total"))
    assert 50 < float(total[-1]) <= 200
    _, out, _ = plan(file, *speeds[:2])
    assert "1 of 2 candidates have a stated speed; the others are scaled by FLOPs" in out


@pytest.mark.parametrize("asked", [("--measure",), ("--budget", "30 gpu-hours")])
def test_without_images_the_way_out_is_a_speed(asked: tuple[str, ...], plan: Taurank, tmp_path: Path) -> None:
    file = tmp_path / "mobile.yaml"
    file.write_text(MOBILE, encoding="utf-8")
    code, _, err = plan(file, *asked)
    assert code == 2
    assert "there is no " in err
    assert err.rstrip().endswith("; or, to plan without the images, state a speed: --speed MODEL=IMAGES_PER_SECOND")


MISTAKES = [
    ((*OPTIONS, "--budget", "10x", "--measure"), "--measure times the candidates of an experiment: give a YAML file"),
    ((*OPTIONS,), "--budget or --tau is missing"),
    ((*OPTIONS, "--budget", "10x", "--tau", 0.8), "--budget and --tau: give one of the two"),
    ((*OPTIONS, "--budget", "0.5x"), "--budget: 0.5x is more than full training"),
    ((*OPTIONS, "--budget", "4 hours"), "--budget: 4 hours is no budget (perhaps 4h)"),
    ((*OPTIONS, "--budget", "4h"), "--budget: 4h needs the seconds of an epoch: give --epoch-seconds"),
    ((*OPTIONS, "--budget", "1s", "--epoch-seconds", 2), "budget: 1s is less than one epoch of the fastest"),
    ((*OPTIONS, "--tau", 1.2), "--tau: 1.2 is not a tau to reach"),
    (
        (*OPTIONS, "--tau", 0.99),
        "--tau: 0.99 is out of reach: full training of all candidates has a predicted tau of 0.9",
    ),
    (("--space", "nasbench21", *OPTIONS[4:], "--budget", "10x"), "did you mean 'nasbench201'?; omit it"),
    (("--epochs", 200, "--budget", "10x"), "--candidates is missing"),
    (("--candidates", 10, "--budget", "10x"), "--epochs is missing"),
    (("--candidates", 2, "--epochs", 1, "--budget", "100x"), "which pays for no training"),
    ((*OPTIONS, "--budget", "10x", "--schedules", "12,long"), "--schedules: '12,long' is not a list of lengths"),
    ((*OPTIONS, "--budget", "10x", "--epoch-seconds", 0), "--epoch-seconds: 0 is not the duration"),
    ((*OPTIONS, "--budget", "10x", "--truth", "test"), "use them with --table"),
    ((*OPTIONS, "--budget", "10x", "--speed", "a=1"), "--speed: only an experiment names its candidates and images"),
    (("quickstart", "--speed", "a=1", "--measure"), "--speed, --epoch-seconds and --measure: give one of them"),
    (("quickstart", "--speed", "nothing=1"), "nothing is no model: "),
    (("quickstart", "--epochs", 10), "--epochs: quickstart defines it"),
    (("quickstrat",), "did you mean 'quickstart'?"),
    (("/tmp",), "/tmp is not the folder of a run"),
    (("quickstart", "--table", "nothing.parquet"), "nothing.parquet"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[message[:30] for _, message in MISTAKES])
def test_a_mistake_gets_one_line(arguments: tuple[object, ...], message: str, plan: Taurank) -> None:
    code, _, err = plan(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("taurank: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--candidates", 1000, "--budget", "3x"), "--candidates: 1,000 asked, but the table has 30"),
        (("--candidates", 12, "--epochs", 20, "--budget", "3x"), "--table: its full trainings have 10 epochs"),
        (("--candidates", 12, "--space", "made-up", "--budget", "3x"), "--space: the table defines its space"),
        (("--candidates", 12, "--schedules", "10", "--budget", "3x"), "--schedules: a table has its own"),
    ],
)
def test_a_mistake_with_a_table(arguments: tuple[object, ...], message: str, plan: Taurank, file: Path) -> None:
    code, _, err = plan("--table", file, *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_a_budget_that_timing_uses_up_names_it() -> None:
    request = PlanRequest(Setting("", "", 4), 6, lambda _: None, timing=1.5)
    with pytest.raises(
        PlanError, match=r"is 2\.4 epochs \(1\.5 of them for timing the candidates\), which pays for no"
    ):
        look_ahead(request, budget=10.0)
