"""A run from its first row to its report: stages under a budget, the ranking, then the baseline and the score."""

from __future__ import annotations

from taurank.orchestrator.candidates import measure_sizes, time_candidates
from taurank.orchestrator.evidence import BASELINE, FLOPS, RANKING, TIMING, TRAINING
from taurank.orchestrator.experiment import Experiment, ProxySpec
from taurank.orchestrator.planning import chosen_before, run_rounds, timing_epochs
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report import RunReport, print_plan, report_run
from taurank.orchestrator.runs import RaySession, Run, plan_run, run_session
from taurank.orchestrator.scoring import draw_baseline
from taurank.orchestrator.session import StagePlan
from taurank.orchestrator.stages import (
    Stage,
    StageRunner,
    baseline_stage,
    can_continue,
    check_budget,
    trained_for,
    training_stage,
)
from taurank.orchestrator.text import Console, print_line
from taurank.trainables.data import ImageData
from taurank.trainables.proxies import ProxyBatch, draw_batch


def run_campaign(
    run: Run,
    data: ImageData,
    *,
    console: Console,
    address: str | None = None,
    dashboard: bool = False,
    with_baseline: bool = True,
) -> RunReport:
    """Runs what the log lacks: stages, ranking, baseline, score. The same call starts and resumes.

    Raises:
        RunInterruptedError: the user asked it to end; call again to resume.
        ExperimentError, ClusterError, RunError, StorageError, EvidenceError: it cannot run, in one line.
    """
    experiment, log = run.experiment, run.log
    with run_session(run) as session:
        planned = plan_run(
            experiment,
            run.candidates,
            data,
            run.folder,
            trained_for=lambda spec: trained_for(log, spec),
            with_baseline=with_baseline,
            pace=run.pace,
            begun=True,
        )
        stages, baseline = planned.evidence, planned.baseline
        cost, budget = check_budget(experiment, stages, run.candidates, pace=run.pace, begun=True)
        print_plan(console, experiment, data, stages, baseline, cost, budget, run)
        plan = [StagePlan(stage.title, len(stage.specs), stage.cost) for stage in (*stages, baseline) if stage]
        session.planned(plan, budget_epochs=budget, doing="measuring sizes, starting Ray")
        measure_sizes(log, experiment, run.candidates, data)

        total = cost + (baseline.cost if baseline else 0.0)
        ended = log.has_ended(RANKING) and (baseline is None or log.has_ended(BASELINE))
        if ended and not _can_resume_trainings(run):
            print_line(console, "nothing left to run")
            return report_run(run, console)
        with session.on_ray(
            data, console=console, address=address, dashboard=dashboard, total_epochs=total, names=run.names
        ) as on_ray:
            display = on_ray.display
            runner = StageRunner(run, on_ray, data, needed=planned.cheap)
            if planned.trainings and run.pace is None:
                _time_epochs(run, runner, on_ray, data, cost=cost, budget=budget)
            if timing_epochs(log):
                display.skip_stage(TIMING, epochs=0.0, spent=timing_epochs(log), how="a few batches each")
            if planned.proxies is not None:
                runner.run(planned.proxies, data=_proxy_batch(experiment, data))
            for supernet in planned.supernets:
                supernet.run_with(log, lambda stage, weights: runner.run(stage, weights=weights))
            display.doing("selecting candidates")
            timing = timing_epochs(log, run.pace if run.purse else None)
            run_rounds(
                run.ranker,
                experiment.trainings or [],
                launch=runner.train,
                budget_epochs=max(cost, budget - timing) - sum(stage.cost for stage in planned.cheap),
                adaptive=run.has_default_plan,
                purse=run.purse,
                say=display.say,
            )
            display.doing("ranking")
            # Written before the first baseline training: the order cannot depend on the reference.
            ranking = on_ray.rank(run)
            if baseline:
                runner.run(_drawn_baseline(run, ranking))
            display.doing("writing the report")
        return report_run(run, console, ranking=ranking)


SILENCE = 60.0
"""Seconds without an answer after which no more candidates are timed: a run in epochs does without."""


def _time_epochs(
    run: Run, runner: StageRunner, on_ray: RaySession, data: ImageData, *, cost: float, budget: float
) -> None:
    """Times an epoch of the candidates and states the hours, before the first stage; for a budget in epochs.

    It takes what the plan leaves over of the budget, and at most an epoch more. Own training code is not timed: its
    epochs cannot be cut short, and two of them would be trained for nothing. A candidate that cannot be timed is no
    reason to end a run.
    """
    experiment, log, display = run.experiment, run.log, on_ray.display
    rows = log.evidence()
    if experiment.trainable is not None or (rows["source"] == TRAINING).any():
        return
    flops = rows[rows["metric"] == FLOPS].groupby("architecture")["value"].last().to_dict()
    measured = time_candidates(
        experiment,
        run.candidates,
        data,
        on_ray.cluster,
        runner.slot(trials=len(run.candidates)),
        flops={str(code): float(value) for code, value in flops.items()},
        progress=lambda done, count: display.doing(f"timing an epoch of the candidates: {done} of {count}"),
        most_epochs=budget - cost + 1,
        silence=min(experiment.resources.patience or SILENCE, SILENCE),
    )
    if measured.has_any:
        measured.book(log)
        assert run.pace is not None
        most = (cost + timing_epochs(log)) / len(run.candidates)
        display.say(run.pace.in_words(experiment.recipe.epochs, most))


def _proxy_batch(experiment: Experiment, data: ImageData) -> ProxyBatch:
    spec = experiment.proxies
    assert isinstance(spec, ProxySpec)
    return draw_batch(data, images=spec.batch_images, seed=spec.seed)


def _drawn_baseline(run: Run, ranking: Ranking) -> Stage:
    """The baseline of all candidates, or of a sample drawn from the ranking."""
    spec, candidates = run.experiment.baseline, run.candidates
    assert spec is not None
    if spec.candidates == "all" or spec.candidates == len(candidates):
        return baseline_stage(run.experiment, spec, candidates, run.folder)
    order = [str(code) for code in ranking.table["architecture"]]
    sample = draw_baseline(run.log, order, spec.candidates, seed=run.experiment.seed)
    return baseline_stage(run.experiment, spec, list(sample.strata), run.folder)


def _can_resume_trainings(run: Run) -> bool:
    """Whether a policy would resume paused trainings, for example because its budget was raised."""
    stages = [
        training_stage(run.experiment, spec, chosen_before(run.candidates, spec, run.log), run.folder)
        for spec in run.experiment.trainings or []
        if spec.scheduler.is_policy
    ]
    return any(can_continue(stage, run.log) for stage in stages)
