"""A run from its first row to its report: stages under a budget, the ranking, then the truth and the score."""

from __future__ import annotations

import ray
from rich.console import Console

from taurank.orchestrator.candidates import has_ended, measure_sizes
from taurank.orchestrator.cluster import Cluster, measure_peak_memory, plan_slot
from taurank.orchestrator.evidence import BASELINE, EvidenceLog
from taurank.orchestrator.experiment import ExperimentError, ProxySpec, TrainingSpec
from taurank.orchestrator.planning import chosen_before, run_rounds
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report import print_plan, report_run
from taurank.orchestrator.runs import RANKING, Run, run_session
from taurank.orchestrator.scoring import draw_baseline
from taurank.orchestrator.session import StagePlan
from taurank.orchestrator.stages import (
    Setting,
    Stage,
    StageImages,
    SupernetRun,
    baseline_stage,
    check_budget,
    check_policy,
    check_task,
    goes_on,
    images_of,
    proxy_stage,
    run_stage,
    trained_for,
    training_stage,
)
from taurank.spaces import Architecture, SearchSpace
from taurank.trainables.data import ImageData, digest_images, smaller_side
from taurank.trainables.proxies import ProxyBatch, draw_batch


def run_campaign(
    run: Run,
    data: ImageData,
    *,
    console: Console,
    address: str | None = None,
    dashboard: bool = False,
    with_baseline: bool = True,
) -> Ranking:
    """Runs what the log lacks: stages, ranking, baseline, score. The same call starts and resumes.

    Raises:
        RunInterruptedError: the user wants it to end; call again to go on.
        ExperimentError, ClusterError, RunError, StorageError, EvidenceError: it cannot run, in one line.
    """
    experiment, log = run.experiment, run.log
    with run_session(run) as session:
        space = experiment.space.make()
        seeds = experiment.baseline.seeds if experiment.baseline and with_baseline else ()
        proxies, supernets = _proxies(run, data), _supernets(run, data)
        cheap = [*(stage for stage, _ in proxies), *(stage for one in supernets for stage in one.planned)]
        stages = [*cheap, *_planned_trainings(run, data)]
        cost, budget = check_budget(experiment, stages, run.candidates)
        baseline = _planned_baseline(run) if seeds else None
        print_plan(console, experiment, data, stages, baseline, cost, budget, run)
        plan = [StagePlan(stage.title, len(stage.specs), stage.cost) for stage in (*stages, baseline) if stage]
        session.planned(plan, budget_epochs=budget, doing="sizes are measured, Ray starts")
        measure_sizes(log, experiment, run.candidates, data)

        total = cost + (baseline.cost if baseline else 0.0)
        ended = has_ended(log, RANKING) and (baseline is None or has_ended(log, BASELINE))
        if ended and not _thaws(run):
            console.print("nothing left to run", highlight=False)
            return report_run(run, console)
        with session.on_ray(
            data, console=console, address=address, dashboard=dashboard, total_epochs=total, names=run.names
        ) as on_ray:
            cluster, display = on_ray.cluster, on_ray.display
            images = ray.put(data)
            memory = _peak_memory(run, space, data, images, cluster)

            digest = digest_images(data) if experiment.share_results else ""
            checkpoints = run.checkpoints([stage for one in supernets for stage in one.planned])

            def launch(
                stage: Stage,
                reference: ray.ObjectRef = images,
                weights: ray.ObjectRef | None = None,
                digest: str = digest,
            ) -> None:
                if _is_done(log, stage):
                    display.skip_stage(stage.title, epochs=stage.cost, spent=stage.spent(log))
                    return
                slot = plan_slot(cluster, experiment.resources, trials=len(stage.specs), peak_memory=memory)
                setting = Setting(
                    run=run.folder,
                    log=log,
                    slot=slot,
                    slots=lambda: cluster.now().places(slot),
                    display=display,
                    interruption=session.interruption,
                    checkpoints=checkpoints,
                    images=data.file,
                    patience=experiment.resources.patience,
                )
                results = run.shared_results(digest, slot) if experiment.share_results else None
                run_stage(stage, setting, data=reference, weights=weights, results=results)

            less = StageImages(data, images, experiment, run.folder, log)

            def train(spec: TrainingSpec, codes: list[str]) -> None:
                stage = training_stage(experiment, spec, codes, run.folder)
                slot = plan_slot(cluster, experiment.resources, trials=1, peak_memory=memory)
                judge = run.candidates[0]
                shown = images if _is_done(log, stage) else less.for_stage(spec, judge, slot)
                launch(stage, shown, digest=images_of(digest, spec, judge))

            for stage, batch in proxies:
                launch(stage, ray.put(batch))
            for supernet in supernets:
                supernet.run_with(log, lambda stage, weights: launch(stage, weights=weights))
            display.doing("the ranker selects candidates")
            run_rounds(
                run.ranker,
                experiment.trainings or [],
                launch=train,
                budget_epochs=budget - sum(stage.cost for stage in cheap),
                adaptive=run.is_split_by_us,
            )
            display.doing("the ranking is made")
            # Written before the first baseline training: the order cannot have seen the truth.
            ranking = on_ray.rank(run)
            if baseline:
                launch(_drawn_baseline(run, ranking))
            display.doing("the report is written")
        return report_run(run, console)


def _proxies(run: Run, data: ImageData) -> list[tuple[Stage, ProxyBatch]]:
    """The stage of the proxies with its images, if there is one: what a run buys is spelled out when it is made."""
    spec = run.experiment.proxies
    if not isinstance(spec, ProxySpec):
        return []
    stage = proxy_stage(run.experiment, spec, run.candidates, run.folder, train_images=len(data.train))
    return [(stage, draw_batch(data, images=spec.batch_images, seed=spec.seed))]


def _supernets(run: Run, data: ImageData) -> list[SupernetRun]:
    return [
        SupernetRun(
            run.experiment, spec, run.candidates, run.candidates[: trained_for(run.log, spec)], run.folder, data
        )
        for spec in run.experiment.supernets or []
    ]


def _planned_trainings(run: Run, data: ImageData) -> list[Stage]:
    """The trainings before it is known who is chosen: any so many cost the same."""
    planned = []
    for spec in run.experiment.trainings or []:
        if spec.candidates != "all" and spec.candidates > len(run.candidates):
            raise ExperimentError(
                f"trainings: {spec.stage} asks for {spec.candidates} candidates; there are {len(run.candidates)}"
            )
        count = len(run.candidates) if spec.candidates == "all" else spec.candidates
        try:
            check_policy(spec, count)
            smaller_side(data, spec.resolution)
            check_task(run.experiment, spec, run.candidates[0], data)
        except ValueError as error:
            raise ExperimentError(f"trainings: {spec.stage}: {error}") from None
        planned.append(training_stage(run.experiment, spec, run.candidates[:count], run.folder))
    return planned


def _planned_baseline(run: Run) -> Stage:
    """The baseline before it is known who is drawn for it: any so many cost the same."""
    spec = run.experiment.baseline
    assert spec is not None
    if spec.candidates != "all" and spec.candidates > len(run.candidates):
        raise ExperimentError(f"baseline: candidates: asks for {spec.candidates}; there are {len(run.candidates)}")
    count = len(run.candidates) if spec.candidates == "all" else spec.candidates
    return baseline_stage(run.experiment, spec, run.candidates[:count], run.folder)


def _drawn_baseline(run: Run, ranking: Ranking) -> Stage:
    """The baseline of everybody, or of those drawn from the ranking."""
    spec, candidates = run.experiment.baseline, run.candidates
    assert spec is not None
    if spec.candidates == "all" or spec.candidates == len(candidates):
        return baseline_stage(run.experiment, spec, candidates, run.folder)
    order = [str(code) for code in ranking.table["architecture"]]
    sample = draw_baseline(run.log, order, spec.candidates, seed=run.experiment.seed)
    return baseline_stage(run.experiment, spec, list(sample.strata), run.folder)


def _is_done(log: EvidenceLog, stage: Stage) -> bool:
    """Whether all trials have ended: a stage that is gone on with has more of them, or more to spend, than it had."""
    outcomes = log.outcomes()
    ended = has_ended(log, stage.name) and all(spec.trial in outcomes for spec in stage.specs)
    return ended and not goes_on(stage, log)


def _thaws(run: Run) -> bool:
    """Whether a policy would go on with trainings that it had left waiting: its budget was raised since."""
    stages = [
        training_stage(run.experiment, spec, chosen_before(run.candidates, spec, run.log), run.folder)
        for spec in run.experiment.trainings or []
        if spec.scheduler.is_policy
    ]
    return any(goes_on(stage, run.log) for stage in stages)


def _peak_memory(
    run: Run, space: SearchSpace, data: ImageData, reference: ray.ObjectRef, cluster: Cluster
) -> float | None:
    if not cluster.gpus or run.experiment.resources.gpus_per_trial != "auto":
        return None
    rows = run.log.evidence()
    flops = rows[(rows["source"] == "size") & (rows["metric"] == "flops")].set_index("architecture")["value"]
    largest = Architecture(space.name, str(flops.idxmax()))
    recipe = run.experiment.recipe_of(largest.code)
    return measure_peak_memory(space, largest, recipe, reference, input_shape=data.input_shape)
