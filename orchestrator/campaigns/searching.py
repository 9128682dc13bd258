"""A search from its first proposal to its report: proposals are trained, then all candidates are ranked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from taurank.orchestrator.campaigns.prunings import prune, prunes, pruning_stage
from taurank.orchestrator.campaigns.search_set_up import make_proposals, spec_of
from taurank.orchestrator.campaigns.search_supernet import (
    check_constraints,
    is_trained,
    learned_scores,
    search_supernet,
)
from taurank.orchestrator.candidates import Say, Screen, add_size, keep_latencies
from taurank.orchestrator.cluster import check_room_for_trials
from taurank.orchestrator.evidence import CLASSES, IMAGES, RANKING
from taurank.orchestrator.experiment import Experiment, ImageCounts, SearchSpec
from taurank.orchestrator.knowledge import gather_knowledge, knowledge_line, resolved_knowledge, write_known
from taurank.orchestrator.report import RunReport, report_run
from taurank.orchestrator.runs import (
    RGB,
    TABLE_FILE,
    Run,
    first_log,
    make_folder,
    note_large_batch,
    run_session,
    write_experiment,
)
from taurank.orchestrator.search import STAGE, Searcher, SearchError, final_list, note_unseen, proposed_codes
from taurank.orchestrator.session import StagePlan
from taurank.orchestrator.stages import Stage, StageRunner
from taurank.orchestrator.text import Console, print_line
from taurank.trainables.data import ImageData


def create_search(
    experiment: Experiment, parent: Path, data: ImageData, *, address: str | None = None, say: Say = print
) -> Run:
    """Makes the folder of a search and writes the experiment into it; nothing is proposed yet.

    Args:
        experiment: what is run.
        parent: where the folder is made.
        data: its images.
        address: of the cluster; None for a local one.
        say: receives progress messages.

    Raises:
        RunError: the folder cannot be written.
        KnowledgeError: knowledge that the experiment names cannot be used.
        SearchError: no architecture keeps the constraints on size, as far as was tried.
        ClusterError: the cluster cannot be joined, or no node has room for a trial.
    """
    note_large_batch(experiment, data, say)
    check_room_for_trials(address, experiment.resources)
    space = experiment.space.make()
    bounds = [bound for bound in experiment.bounds if bound.measure != "latency"]
    check_constraints(space, Screen(space, bounds, data, say=say) if bounds else None, experiment.seed)
    resolved = experiment.model_copy(
        update={
            # A path on the command line is relative to the current directory.
            "data": experiment.data.relative_to(Path.cwd()),
            "proxies": None,
            "trainings": [],
            "supernets": [],
            "baseline": None,
        }
    )
    known = gather_knowledge(resolved, (), parent, natural=data.input_shape[0] == RGB)
    resolved = resolved.model_copy(update={"knowledge": resolved_knowledge(experiment, known)})
    folder = make_folder(parent, experiment.name)
    write_known(known, folder)
    log = first_log(folder)
    write_experiment(resolved, folder)
    return Run(folder, resolved, (), log)


def run_search(
    run: Run, data: ImageData, *, console: Console, address: str | None = None, dashboard: bool = False
) -> RunReport:
    """Runs what the log of a search lacks, and reports. The same call starts and resumes.

    Raises:
        RunInterruptedError: the user asked it to end; call again to resume.
        ExperimentError, SearchError, ClusterError, RunError, StorageError, EvidenceError: it cannot run, in one line.
    """
    experiment, log, spec = run.experiment, run.log, spec_of(run.experiment)
    with run_session(run) as session:
        log.note(IMAGES, json.dumps(asdict(ImageCounts.of(data))))
        log.note(CLASSES, str(len(data.classes)))
        epochs = spec.epochs or experiment.recipe.epochs
        space, supernet = experiment.space.make(), search_supernet(run)
        _print_plan(console, run, data, spec, epochs, supernet)
        plan = [StagePlan(STAGE, spec.evaluations, float(spec.evaluations * epochs))]
        if supernet is not None:
            plan.insert(0, StagePlan(supernet.title, 1, supernet.cost))
        if prunes(run):
            prunings = pruning_stage(run, data, range(spec.evaluations))
            plan.insert(0, StagePlan(prunings.title, len(prunings.specs), prunings.cost))
            networks = f"{prunings.schedule_epochs} untrained networks each"
            print_line(console, f"{spec.evaluations} prunings come first, which measure {networks}")
        planned = sum(stage.epochs for stage in plan)
        session.planned(plan, budget_epochs=planned, doing="starting Ray")
        if log.has_ended(RANKING):
            print_line(console, "nothing left to run")
            return report_run(run, console)
        names: dict[str, str] = {}
        with session.on_ray(
            data, console=console, address=address, dashboard=dashboard, total_epochs=planned, names=names
        ) as on_ray:
            display = on_ray.display
            display.doing("restoring the searcher from the log")
            runner = StageRunner(run, on_ray, data)
            latencies = keep_latencies(
                experiment, data, on_ray.cluster, log=log, file=run.folder / TABLE_FILE, say=display.say
            )
            screen = Screen(space, experiment.bounds, data, latencies, display.say)
            constraints = screen if experiment.bounds or space.foreign else None
            scores = None
            if supernet is not None:
                if not is_trained(log, supernet):
                    check_constraints(space, screen if experiment.bounds else None, experiment.seed)
                runner.run(supernet)
                scores = learned_scores(log, supernet, space)
            proposals = make_proposals(
                run,
                data,
                screen=screen,
                latencies=latencies,
                results=runner.shared_results(trials=spec.evaluations),
                names=names,
                scores=scores,
                prunings=prune(run, data, runner.run, constraints=constraints) if prunes(run) else None,
            )
            if not log.has_ended(STAGE):
                runner.search(proposals, epochs=epochs, spare=lambda: latencies.cores if latencies else 0.0)
            if proposals.searcher.ended:
                display.say(f"the search ended after {len(proposals.specs)} proposals: {proposals.searcher.ended}")
            display.doing("selecting the best predicted candidates")
            proposals.tell()
            note_unseen(log, best_unseen(proposals.searcher, experiment))
            run = run.searched()
            for code in run.candidates:
                add_size(log, experiment, code, data, screen.sizes)
                if latencies is not None:
                    latencies.book(code)
            ranking = on_ray.rank(run)
            display.doing("writing the report")
        return report_run(run, console, ranking=ranking)


def best_unseen(searcher: Searcher, experiment: Experiment) -> list[str]:
    """Codes of the best predicted architectures without a training, best first; they satisfy the constraints.

    Raises:
        SearchError: no training is complete.
    """
    if not searcher.scored:
        raise SearchError(f"all {len(searcher.observations)} trainings failed; taurank why FOLDER says how")
    unseen = spec_of(experiment).unseen
    ending = final_list(searcher, full_epochs=experiment.recipe.epochs, unseen=unseen)
    table = ending.ranking.table
    return [str(code) for code, known in zip(table["architecture"], ending.looked_at, strict=True) if not known]


def _print_plan(
    console: Console, run: Run, data: ImageData, spec: SearchSpec, epochs: int, supernet: Stage | None
) -> None:
    experiment = run.experiment
    known = len(proposed_codes(run.log))
    size = experiment.space.make().size
    of = "" if size is None else f" of {size:,}"
    lines = [
        f"taurank searches {experiment.space.name} on {experiment.data.name} ({len(data.train)} training, "
        f"{len(data.validation)} validation images, {len(data.classes)} classes) by {spec.method}",
        f"{spec.evaluations} architectures{of} are trained for {epochs} of {experiment.recipe.epochs} epochs"
        + (f"; {known} of them are proposed" if known else ""),
    ]
    if supernet is not None:
        state = "has been trained" if is_trained(run.log, supernet) else "is trained first"
        lines.append(f"a supernet of the whole space {state}: {supernet.title}, {supernet.cost:,.0f} epochs")
    if experiment.constraints:
        lines.append("proposals satisfy " + ", ".join(experiment.constraints))
    before = knowledge_line(run.knowledge, run.candidates)
    lines += [before] if before else []
    lines.append(f"folder: {run.folder}")
    for line in lines:
        print_line(console, line)
