"""Table of the candidates of the zoo with family and size, printed before anything is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from taurank.orchestrator.evidence import LEFT_OUT, SIZE, EvidenceLog
from taurank.orchestrator.experiment import Experiment
from taurank.orchestrator.text import MiddleElided, print_line
from taurank.spaces import Architecture
from taurank.trainables.training import Recipe

SHOWN = 40
"""Maximal number of rows on the terminal; ``experiment.yaml`` of the run lists all candidates."""


@dataclass(frozen=True)
class Row:
    """A model: family, the image size used if models differ in it, its size; or why it has no size."""

    code: str
    family: str = ""
    images: str = ""
    parameters: float = 0.0
    flops: float = 0.0
    depth: float | None = None
    problem: str = ""


def print_models(console: Console, rows: Sequence[Row], *, most: int | None = None) -> None:
    """Prints one line per model, up to ``most``, and problems below."""
    fitting = [row for row in rows if not row.problem]
    table = Table(box=None, pad_edge=False)
    table.add_column("model")
    table.add_column("family", no_wrap=True)
    sized = any(row.images for row in fitting)
    if sized:
        table.add_column("images", justify="right", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("MFLOPs", justify="right", no_wrap=True)
    deep = any(row.depth is not None for row in fitting)
    if deep:
        table.add_column("depth", justify="right", no_wrap=True)
    for row in fitting[:most]:
        images = [row.images] if sized else []
        depth = ["" if row.depth is None else f"{row.depth:.0f}"] if deep else []
        sizes = (f"{row.parameters:,.0f}", f"{row.flops / 1e6:,.1f}", *depth)
        table.add_row(MiddleElided(row.code), row.family, *images, *sizes)
    if fitting:
        console.print(table)
    if most is not None and len(fitting) > most:
        print_line(console, f"... and {len(fitting) - most} more")
    for row in rows:
        if row.problem:
            print_line(console, f"skipped: {row.problem}")


def print_candidates(console: Console, experiment: Experiment, log: EvidenceLog, codes: Sequence[str]) -> None:
    """Prints the candidates of a run over the zoo and the skipped models; nothing for other spaces."""
    space = experiment.space.make()
    if not space.foreign:
        return
    evidence = log.evidence()
    sizes = evidence[evidence["stage"] == SIZE]
    values = dict(zip(zip(sizes["architecture"], sizes["metric"], strict=True), sizes["value"], strict=True))
    rows = [
        Row(
            code,
            space.family(Architecture(space.name, code)),
            parameters=values[code, "parameters"],
            flops=values[code, "flops"],
            depth=values.get((code, "depth")),
        )
        for code in codes
    ]
    events = log.events()
    out = events[(events["stage"] == SIZE) & (events["event"] == LEFT_OUT)]
    rows += [Row(code, problem=reason) for code, reason in zip(out["trial"], out["reason"], strict=True)]
    print_models(console, rows, most=SHOWN)


def print_recipes(console: Console, experiment: Experiment, codes: Sequence[str]) -> None:
    """One line with the recipe of each family among the candidates."""
    if experiment.families is None:
        return
    space = experiment.space.make()
    families = Counter(space.family(Architecture(space.name, code)) for code in codes)
    for family, count in families.most_common():
        recipe = experiment.families.recipe(experiment.recipe, family)
        print_line(console, f"recipe of {family} ({count}): {_recipe_text(recipe)}")


def _recipe_text(recipe: Recipe) -> str:
    clip = "" if recipe.clip_gradient_norm is None else f", gradients clipped at {recipe.clip_gradient_norm:g}"
    policy = "" if recipe.augmentation.policy == "none" else f", {recipe.augmentation.policy}"
    mixed = "".join(f", {name} {getattr(recipe, name):g}" for name in ("mixup", "cutmix") if getattr(recipe, name))
    return (
        f"{recipe.optimizer}, learning rate {recipe.peak_learning_rate:.3g}, weight decay {recipe.weight_decay:g}, "
        f"warm-up {recipe.warmup_epochs:.3g} epochs, label smoothing {recipe.label_smoothing:g}{clip}{policy}{mixed}"
    )
