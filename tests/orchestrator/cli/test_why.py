"""`taurank why` as a user meets it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from taurank.orchestrator.cli.why import sparkline
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment
from taurank.spaces import Architecture, get_space

Taurank = Callable[..., tuple[int, str, str]]


def short(code: str) -> str:
    return get_space("nasbench201").short(Architecture("nasbench201", code))


@pytest.fixture
def ranked(run_folder: Path, taurank: Taurank) -> Path:
    """A finished run with its ranking."""
    taurank("rank", run_folder)
    return run_folder


def test_a_finished_run(taurank: Taurank, ranked: Path, codes: tuple[str, ...]) -> None:
    code, out, err = taurank("why", short(codes[6]), "--run", ranked)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{short(codes[6])}  {codes[6]}"
    assert lines[1].startswith("rank ")
    assert " of 24, 90 % interval " in lines[1]
    assert lines[2].startswith("predicted final accuracy ")
    assert "nearest rivals, by the ranking:" in lines
    assert sum("that this candidate is better" in line for line in lines) == 5
    assert f"training-2/{codes[6]}/seed 0: complete, 2 of 2 epochs" in lines
    assert f"training-40/{codes[6]}/seed 0: complete, 40 of 40 epochs" in lines
    assert f"baseline/{codes[6]}/seed 2 (baseline, not evidence): complete, 40 of 40 epochs" in lines
    assert any(line.startswith("  parameters: ") and "weight" in line for line in lines)
    assert lines[-1] == "cost of all its evidence: 42.0 epochs, 4.2 s"


def test_the_same_by_code_trial_and_beginning(taurank: Taurank, ranked: Path, codes: tuple[str, ...]) -> None:
    _, expected, _ = taurank("why", codes[6], "--run", ranked)
    assert taurank("why", f"training-2/{codes[6]}/seed 0", "--run", ranked)[1] == expected
    assert taurank("why", codes[6][:-1], "--run", ranked)[1] == expected


def test_before_there_is_a_ranking(taurank: Taurank, run_folder: Path, codes: tuple[str, ...]) -> None:
    code, out, _ = taurank("why", codes[0], "--run", run_folder)
    assert code == 0
    assert out.splitlines()[1] == "no ranking yet"
    assert "nearest rivals, by the forecast of training-2:" in out


def test_what_proxies_say(taurank: Taurank, ranked: Path, codes: tuple[str, ...]) -> None:
    log = EvidenceLog(ranked / "evidence.sqlite")
    for name, value in (("snip", math.nan), ("ntk_condition", 3.5)):
        log.append([Evidence("proxies", f"{name}/0", codes[0], f"proxy:{name}", 0, 0, 0, "score", value)])
    log.append_event("proxies", "snip/0", "void", "the batch has no labels")
    log.close()
    _, out, _ = taurank("why", codes[0], "--run", ranked)
    assert "  proxy:snip score: void: the batch has no labels, weight " in out
    assert "  proxy:ntk_condition score: 3.5, place 1 of 1 from the lowest" in out
    _, out, _ = taurank("rank", ranked)
    assert "proxy:snip: void for 1 of 24 candidates: the batch has no labels" in out
    assert "void for 1 of 24 candidates: the batch has no labels" in (ranked / "report.html").read_text()


def test_a_run_that_was_cut_off_at_once(
    taurank: Taurank, make_log: Callable[..., EvidenceLog], codes: tuple[str, ...], experiment: Experiment
) -> None:
    log = make_log(trainings=False, seeds=())
    resolved = experiment.model_copy(update={"candidates": list(codes)})
    (log.path.parent / "experiment.yaml").write_text(resolved.to_yaml(), encoding="utf-8")
    code, out, _ = taurank("why", codes[0], "--run", log.path.parent)
    assert code == 0
    assert "not trained so far" in out
    assert "no ranking yet" in out


def test_nothing_is_written(taurank: Taurank, ranked: Path, codes: tuple[str, ...]) -> None:
    before = {path.name: path.read_bytes() for path in ranked.iterdir() if path.suffix in (".csv", ".yaml", ".html")}
    log = EvidenceLog(ranked / "evidence.sqlite")
    count = len(log.evidence()), len(log.events())
    log.close()
    taurank("why", codes[0], "--run", ranked)
    assert {path.name: path.read_bytes() for path in ranked.iterdir() if path.name in before} == before
    assert (len(log.evidence()), len(log.events())) == count


def test_json(taurank: Taurank, ranked: Path, codes: tuple[str, ...]) -> None:
    code, out, err = taurank("why", codes[0], "--run", ranked, "--json")
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert content["architecture"] == codes[0]
    assert content["standing"]["of"] == 24
    assert len(content["rivals"]) == 5
    first = content["trainings"][0]
    assert first["epochs"] == [1, 2]
    assert first["forecast"]["of"] == 24
    assert first["decisions"][0]["event"] == "completed"
    assert content["other_evidence"][0]["metric"] == "parameters"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("n-nn-nnx", "is none of the 24 candidates of the run"),
        ("training-2/", "give the whole name"),
        ("|", "and 16 more; give the whole name"),
    ],
)
def test_a_name_of_nobody_or_of_several(name: str, message: str, taurank: Taurank, run_folder: Path) -> None:
    code, out, err = taurank("why", name, "--run", run_folder)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("taurank: ")
    assert err.count("\n") == 1


def test_no_run(taurank: Taurank, tmp_path: Path, run_folder: Path) -> None:
    code, _, err = taurank("why", "x", "--run", tmp_path / "nowhere")
    assert code == 2
    assert "is not the folder of a run" in err
    shutil.copy(run_folder / "experiment.yaml", run_folder / "evidence.sqlite")
    code, _, err = taurank("why", "x", "--run", run_folder)
    assert code == 2
    assert "cannot be used as an evidence log" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ((0.0, 1.0), "▁█"),
        ((1.0, 0.0, 0.5), "█▁▅"),
        ((0.3, 0.3), "▁▁"),
        ((0.1, float("nan"), 0.2), "▁x█"),
        (tuple(float(n) for n in range(8)), "▁▂▃▄▅▆▇█"),
        ((), ""),
    ],
)
def test_sparklines(values: tuple[float, ...], bars: str) -> None:
    assert sparkline(values) == bars


def test_a_long_curve_fits_on_a_line() -> None:
    assert len(sparkline(tuple(float(n) for n in range(200)))) == 50
