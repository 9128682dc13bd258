"""A mistake in a file is reported before torch and Ray are imported, which takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from taurank.orchestrator import cli
for words in sys.argv[1].split(";"):
    sys.argv = ["taurank", *words.split()]
    try:
        cli.main()
    except SystemExit as ended:
        print(ended.code or 0, [name for name in ("torch", "torchvision", "ray") if name in sys.modules])
"""
GOOD = "name: t\nspace: nasbench201\ndata: digits\ncandidates: 8\n"
MISTAKES = {
    "syntax": ("name: [\n", "line 2"),
    "a key twice": (GOOD + "name: u\n", "name"),
    "unknown key": (GOOD + "epocs: 3\n", "epocs: unknown key"),
    "wrong type": (GOOD + "seed: many\n", "seed: has to be a whole number"),
    "space": (GOOD.replace("nasbench201", "nasbench21"), "'nasbench21' is unknown"),
    "option of a space": (GOOD.replace("nasbench201", "{name: nasbench201, options: {wide: 4}}"), "'wide' is unknown"),
    "data set": (GOOD.replace("digits", "digit"), "unknown data set 'digit'"),
    "candidate": (GOOD.replace("candidates: 8", "candidates: [a, b]"), "candidates.0"),
    "recipe": (GOOD + "recipe: {optimizer: adam}\n", "recipe.optimizer"),
    "family": (GOOD + "families: {cnn: {optimizer: adam}}\n", "families.cnn"),
    "proxy": (GOOD + "proxies: [jacob]\n", "unknown proxy 'jacob'"),
    "task": (GOOD + "trainings: [{epochs: 2, task: rotate}]\n", "unknown task 'rotate'"),
    "scheduler": (GOOD + "trainings: [{epochs: 2, scheduler: ash}]\n", "unknown scheduler 'ash'"),
    "option of a scheduler": (
        GOOD + "trainings: [{epochs: 2, scheduler: {name: ray-asha, options: {reduction_factor: 1}}}]\n",
        "reduction_factor must be a finite number above 1",
    ),
    "option of a policy": (
        GOOD + "trainings: [{epochs: 2, scheduler: {name: asha, options: {grace: 1}}}]\n",
        "unknown option 'grace'",
    ),
    "subset": (GOOD + "trainings: [{epochs: 2, subset: {share: 0.5, by: luck}}]\n", "trainings.0.subset.by"),
    "sampler": (GOOD + "supernets: [unifrom]\n", "unknown sampler 'unifrom'"),
    "option of a sampler": (
        GOOD + "supernets: [{sampler: {name: ucb, options: {bonus: 1}}}]\n",
        "unknown option 'bonus'",
    ),
    "searcher": (GOOD.replace("candidates: 8\n", "") + "search: randm\n", "unknown searcher 'randm'"),
    "constraint": (GOOD + "constraints: [params < 5]\n", "constraints"),
    "narrow": (GOOD + "narrow: {capacity: depth}\n", "narrow.capacity"),
    "ranker": (GOOD + "ranker: {models: [forest]}\n", "ranker.models"),
}
"""A file for each kind of mistake, and what is printed."""


def lines_of(words: list[str], *, cwd: Path = ROOT) -> tuple[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PROGRAM}", ";".join(words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr, done.stdout.splitlines()


def test_a_mistake_in_a_file_needs_neither_torch_nor_ray(tmp_path: Path) -> None:
    for number, (text, _) in enumerate(MISTAKES.values()):
        (tmp_path / f"{number}.yaml").write_text(text)
    files = [f"run {number}.yaml" for number in range(len(MISTAKES))]
    err, out = lines_of([*files, "search 0.yaml", "plan 0.yaml"], cwd=tmp_path)
    assert out == ["2 []"] * (len(MISTAKES) + 2), dict(zip(MISTAKES, out, strict=False))
    for number, (name, (_, message)) in enumerate(MISTAKES.items()):
        own = [line for line in err.splitlines() if line.startswith(f"taurank: {number}.yaml: ")]
        assert any(message in line for line in own), (name, own, message)


@pytest.mark.parametrize("options", ["--data nowhere", "--data digits --budget fast", "--data digits --constraint x"])
def test_mistakes_in_options(options: str) -> None:
    _, out = lines_of([f"run --models my:a,my:b {options}"])
    assert out == ["2 []"]


def test_what_is_asked_often_needs_neither_torch_nor_ray(tmp_path: Path) -> None:
    helps = [f"{command} --help" for command in ("", "run", "search", "plan", "resume", "extend", "rank", "score")]
    helps += [f"{command} -h" for command in ("front", "status", "why", "replay", "models", "table", "table show")]
    asked = [*helps, "--version", "experiments", "spaces", "proxies", "proxies --json", f"status {tmp_path}"]
    _, out = lines_of(asked)
    codes = [line for line in out if line.endswith("[]") and line[0].isdecimal()]
    assert codes == ["0 []"] * (len(asked) - 1) + ["2 []"]
