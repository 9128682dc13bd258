"""The command `taurank why`.

Imports are inside the function: torch and Ray take seconds to import, and --help should not.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taurank.orchestrator.cli.completion import complete_run
from taurank.orchestrator.cli.terminal import Document, make_console
from taurank.orchestrator.text import counted, print_line

if TYPE_CHECKING:
    from rich.console import Console

    from taurank.orchestrator.evidence import RankedMetric
    from taurank.orchestrator.report import Explanation, Training, TrainingStage
    from taurank.orchestrator.runs import Run

BARS = "▁▂▃▄▅▆▇█"
SPARKS = 60
"""Maximal number of bars of a curve; the bars of a longer curve are means over several epochs."""


def why(
    name: Annotated[
        str,
        typer.Argument(
            help="A candidate: its code, its short name, one of its trials, or a part of one that is unique.",
            show_default=False,
        ),
    ],
    run: Annotated[
        Path, typer.Option("--run", help="Folder of the run.", autocompletion=complete_run, show_default=False)
    ],
) -> Document:
    """Explain one candidate of a run: its curves with forecasts, each decision on it, its nearest rivals."""
    from taurank.orchestrator.report import explain
    from taurank.orchestrator.runs import Run
    from taurank.orchestrator.text import find_candidate

    opened = Run.open(run)
    stages, names = _begun_stages(opened), opened.names
    trials = {trial: code for stage in stages for trial, code in stage.trials.items()}
    code = find_candidate(name, names, trials)
    # Its samples are not in the files: it is computed again from the log.
    ranking = opened.rank() if (opened.folder / "ranking.csv").is_file() else None
    found = explain(
        opened.log,
        code,
        names=names,
        stages=stages,
        encoding=opened.problem.encoding,
        ranking=ranking,
        knowledge=opened.knowledge,
        metric=opened.experiment.ranked_metric,
    )
    print_explanation(make_console(), found)
    return asdict(found)


def _begun_stages(run: Run) -> list[TrainingStage]:
    """The training stages that have started: trials in the log, and trials that are still to start."""
    from taurank.orchestrator.evidence import BASELINE, PRETEXT
    from taurank.orchestrator.planning import choice_of, chosen_before, revised
    from taurank.orchestrator.report import TrainingStage
    from taurank.orchestrator.search import STAGE as SEARCH
    from taurank.orchestrator.stages import training_stage

    rows, begun = run.log.evidence(), set(run.log.events()["stage"])
    trained = (rows["source"] == "training") | rows["source"].str.startswith(PRETEXT)
    logged = rows[trained].drop_duplicates("trial").set_index("trial")
    recipe, stages = run.experiment.recipe, []
    for spec in revised(run.experiment.trainings or [], run.log):
        if spec.stage not in begun:
            continue
        trials = {str(t): str(code) for t, code in logged.loc[logged["stage"] == spec.stage, "architecture"].items()}
        waiting = set(chosen_before(run.candidates, spec, run.log)) - set(trials.values())
        planned = training_stage(run.experiment, spec, sorted(waiting), run.folder).specs
        trials |= {new.trial: new.architectures[0] for new in planned}
        drops = recipe.of_length(spec.epochs).drop_epochs
        stages.append(TrainingStage(spec.stage, spec.epochs, trials, choice_of(run.log, spec), drops))
    search = run.experiment.search
    if search is not None and SEARCH in begun:
        trials = {str(t): str(code) for t, code in logged.loc[logged["stage"] == SEARCH, "architecture"].items()}
        epochs = search.epochs or recipe.epochs
        drops = recipe.of_length(epochs).drop_epochs
        stages.append(TrainingStage(SEARCH, epochs, trials, f"proposed by {search.method}", drops))
    trials = {str(t): str(code) for t, code in logged.loc[logged["stage"] == BASELINE, "architecture"].items()}
    return [*stages, TrainingStage(BASELINE, recipe.epochs, trials, drops=recipe.drop_epochs)]


def print_explanation(console: Console, found: Explanation) -> None:
    """Prints the place, the rivals, a block for each training and a line for each other source."""
    print_line(
        console, found.architecture if found.name == found.architecture else f"{found.name}  {found.architecture}"
    )
    _print_standing(console, found)
    if found.rivals:
        by = "the ranking" if found.rivals_by == "ranking" else f"the forecast of {found.rivals_by}"
        print_line(console, f"\nnearest rivals, by {by}:")
        width = max(len(rival.name) for rival in found.rivals)
        for rival in found.rivals:
            better = f"{rival.probability:.0%} that this candidate is better"
            print_line(console, f"  {rival.place:>4}  {rival.name:<{width}}  {better}")
    if found.passed_over:
        print_line(console, "")
    for stage, choice in found.passed_over:
        print_line(console, f"{stage}: not selected" + (f" (selected: {choice})" if choice else ""))
    for training in found.trainings:
        print_line(console, "")
        _print_training(console, training, found.metric)
    if not found.trainings:
        print_line(console, "\nnot trained so far")
    if found.other_evidence:
        print_line(console, "\nother evidence:")
    for evidence in found.other_evidence:
        name = evidence.metric if evidence.source in ("size", "latency") else f"{evidence.source} {evidence.metric}"
        void = f"void: {evidence.reason}" if evidence.reason else "no value"
        value = f"{evidence.value:,.6g}" if math.isfinite(evidence.value) else void
        known = [f"sd {evidence.sd:.2g}"] if math.isfinite(evidence.sd) else []
        known += [f"path trained {evidence.updates:,.0f}x"] if math.isfinite(evidence.updates) else []
        doubt = f" ({', '.join(known)})" if known else ""
        end = "lowest" if evidence.lower_is_better else "highest"
        place = f", place {evidence.place} of {evidence.of} from the {end}" if evidence.place else ""
        weight = f", weight {evidence.weight:.2f} in the ranking" if math.isfinite(evidence.weight) else ""
        print_line(console, f"  {name}: {value}{doubt}{place}{weight}")
    print_line(console, f"\ncost of all its evidence: {found.cost_epochs:.1f} epochs, {found.cost_seconds:.1f} s")


def _print_standing(console: Console, found: Explanation) -> None:
    standing, shown = found.standing, found.metric.text
    if standing is None:
        print_line(console, "no ranking yet")
        return
    doubt = "" if standing.certainty == "calibrated" else f" ({standing.certainty})"
    print_line(
        console,
        f"rank {standing.rank} of {standing.of}, 90 % interval {standing.rank_low:.0f} to "
        f"{standing.rank_high:.0f}; probability of being best {standing.best_probability:.0%}{doubt}",
    )
    if standing.problem:
        print_line(console, standing.problem)
    if math.isfinite(standing.accuracy):
        print_line(
            console,
            f"predicted final {found.metric.final_title} {shown(standing.accuracy)} ({shown(standing.accuracy_low)} to "
            f"{shown(standing.accuracy_high)}), resting on {counted(standing.full_trainings, 'full training')}",
        )


def _print_training(console: Console, training: Training, metric: RankedMetric) -> None:
    last = training.epochs[-1] if training.epochs else 0
    role = "" if training.is_evidence else " (baseline, not evidence)"
    print_line(console, f"{training.trial}{role}: {training.state}, {last} of {training.schedule_epochs} epochs")
    known = [(value, epoch) for epoch, value in zip(training.epochs, training.accuracies, strict=True)
             if math.isfinite(value)]  # fmt: skip
    if known:
        best, at = max(known, key=lambda pair: (metric.rising(pair[0]), -pair[1]))
        print_line(console, f"  {sparkline(training.accuracies)}")
        first, latest = (f"{metric.text(training.accuracies[end])} at epoch {training.epochs[end]}" for end in (0, -1))
        print_line(console, f"  first {first}, best {metric.text(best)} at epoch {at}, last {latest}")
    if training.forecast is not None:
        final = training.forecast
        place = f"place {final.place} of {final.of} in its stage"
        if last >= training.schedule_epochs:
            print_line(console, f"  final {metric.text(final.accuracy)}, {place}")
        else:
            value = f"{metric.text(final.accuracy)} ({metric.text(final.low)} to {metric.text(final.high)})"
            print_line(console, f"  forecast for epoch {training.schedule_epochs}: {value}, {place}")
    print_line(
        console,
        f"  cost {training.cost_epochs:.1f} epochs, {training.cost_seconds:.1f} s; {training.saved_epochs} of "
        f"{training.schedule_epochs} epochs not trained",
    )
    for event in training.decisions:
        at_time = datetime.fromtimestamp(event.time).strftime("%Y-%m-%d %H:%M:%S")
        print_line(console, f"  {at_time}  {event.event:<9}  {event.reason}".rstrip())


def sparkline(values: tuple[float, ...]) -> str:
    """The curve as bars from its least to its greatest value; a point that is not finite is an x."""
    step = max(1, math.ceil(len(values) / SPARKS))
    parts = [values[start : start + step] for start in range(0, len(values), step)]
    means = [sum(part) / len(part) for part in parts]
    finite = [mean for mean in means if math.isfinite(mean)]
    least, spread = (min(finite), max(finite) - min(finite)) if finite else (0.0, 0.0)
    if spread == 0:
        return "".join(BARS[0] if math.isfinite(mean) else "x" for mean in means)
    return "".join(
        BARS[round((mean - least) / spread * (len(BARS) - 1))] if math.isfinite(mean) else "x" for mean in means
    )
