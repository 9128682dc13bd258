"""A run from its first row to its report: stages under a budget, the ranking, then the truth and the score."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pandas as pd
import ray
from rich.console import Console

from orchestrator.baseline_sample import draw_baseline
from orchestrator.candidates import SIZE, book_candidates, choose_candidates, has_ended, measure_sizes
from orchestrator.checkpoints import CheckpointStore
from orchestrator.cluster import Cluster, Slot, check_shared, connect, measure_peak_memory, plan_slot
from orchestrator.display import Display
from orchestrator.evidence import BASELINE, EvidenceLog
from orchestrator.experiment import Experiment, ExperimentError, ProxySpec, parse_experiment
from orchestrator.hardware_spec import ObjectiveSpec
from orchestrator.interruption import Interruption
from orchestrator.latency_runs import Say, book_latencies, open_meter
from orchestrator.less_data import StageImages
from orchestrator.metrics import run_metrics, told_to
from orchestrator.narrowing import book_narrowing, narrowed_space
from orchestrator.objectives import ObjectiveError
from orchestrator.plan import check_budget, default_proxies, default_stages
from orchestrator.pretext_check import check_task
from orchestrator.proposals import STAGE, proposed_codes, unseen_codes
from orchestrator.proxy_evidence import void_lines, void_scores
from orchestrator.ranker import Ranking
from orchestrator.ranking_lines import ranking_lines
from orchestrator.report import (
    front_line,
    hardware_lines,
    objective_line,
    print_columns,
    print_hardware,
    print_plan,
    print_ranking,
    print_score,
    print_trust,
    print_void,
    search_lines,
    write_page,
)
from orchestrator.rounds import Problem, chosen_before, rank_log, run_rounds
from orchestrator.run_lock import RunHeldError, hold_run
from orchestrator.run_log import RAY_LOG, RunLog
from orchestrator.run_state import RunState, StagePlan, StatusFile
from orchestrator.scheduling import check_policy
from orchestrator.scoring import Score, ScoringError, Truth, baseline_truth, score_ranking
from orchestrator.scoring.objective import score_objective
from orchestrator.shared_results import FOLDER, SharedResults, images_of, taken_over_line
from orchestrator.stage_runs import goes_on, run_stage
from orchestrator.stages import Stage, baseline_stage, proxy_stage, training_stage
from orchestrator.storage import check_room, storage_failures
from orchestrator.supernet_runs import SupernetRun, trained_for
from orchestrator.supernet_spec import SupernetSpec
from orchestrator.tradeoff import FRONT_FILE, check_objective, known_cost, make_front, with_objective
from orchestrator.training_spec import TrainingSpec
from orchestrator.trust import SupernetTrust, supernet_trust
from orchestrator.whole_files import replaced
from spaces import Architecture, SearchSpace
from trainables.data import ImageData
from trainables.data.digest import digest_images
from trainables.data.subsets import smaller_side
from trainables.proxies import ProxyBatch, draw_batch

EXPERIMENT_FILE = "experiment.yaml"
LOG_FILE = "evidence.sqlite"
TABLE_FILE = "latency.json"
"""Latencies by part, where the candidates' were summed: another run may take it as its ``latency.table``."""
RANKING = "ranking"
"""Stage of the log that stands for the ranking before the baseline."""
MADE = "made"
"""What the log notes first: when the run was made."""
PLAN, OURS = "plan", "automatic"
"""What the log notes of a run whose stages were not asked for: its plan may change with what is found."""
PLAN_CHANGED = "plan changed"
"""What the log notes of a run to whose stages others were added: they are asked for since."""
GIGABYTE = 1e9


class RunError(RuntimeError):
    """A run folder that cannot be used; one line with the way out."""


@dataclass(frozen=True)
class Run:
    """A run folder: its experiment, with the candidates spelled out, and its log."""

    folder: Path
    experiment: Experiment
    candidates: tuple[str, ...]
    log: EvidenceLog

    @staticmethod
    def create(
        experiment: Experiment, parent: Path, data: ImageData, *, address: str | None = None, say: Say = print
    ) -> Run:
        """Makes the folder ``<name>-<time>`` below ``parent`` and writes the resolved experiment into it.

        Args:
            experiment: what is run.
            parent: where the folder is made.
            data: its images: what proxies cost depends on how many there are.
            address: of the cluster where latencies are measured, if any are; None for a local one.
            say: told about that.

        Raises:
            RunError: the folder cannot be written.
            ExperimentError: more candidates asked for than the space has or than keep the constraints, or models that
                cannot take the images.
            ClusterError: latencies cannot be measured.
        """
        with open_meter(experiment, data, address=address, say=say) as meter:
            narrowed = None
            if experiment.narrow is not None and meter is not None:
                narrowed = narrowed_space(experiment, data, meter, say=say)
            chosen = choose_candidates(experiment, data, meter, within=narrowed, say=say)
            candidates = chosen.codes
            if meter is not None:
                say(f"latencies of {len(candidates):,} candidates ...")
                meter.measure(candidates)
                check_objective(experiment.objective, [meter.found[code].milliseconds for code in candidates])
        # A path that came from the command line is relative to where that was typed.
        images = experiment.data.relative_to(Path.cwd())
        resolved = experiment.model_copy(update={"candidates": list(candidates), "data": images, "narrow": None})
        trainings, supernets = experiment.trainings, experiment.supernets
        train_images = len(data.train)
        proxies = default_proxies(experiment, train_images=train_images, values=math.prod(data.input_shape))
        if trainings is None and supernets is None:
            proxy_epochs = 0.0 if proxies is None else len(candidates) * proxies.epochs(train_images)
            scoring = SupernetSpec().score_cost(train_images=train_images, validation_images=len(data.validation))
            trainings, supernets = default_stages(
                experiment, len(candidates), proxy_epochs=proxy_epochs, scoring_epochs=scoring
            )
        resolved = resolved.model_copy(
            update={"proxies": proxies, "trainings": trainings or [], "supernets": supernets or []}
        )
        folder = make_folder(parent, experiment.name)
        log = EvidenceLog(folder / LOG_FILE)
        log.note(MADE, f"{datetime.now():%Y-%m-%d %H:%M:%S}")
        if experiment.trainings is None and experiment.supernets is None:
            log.note(PLAN, OURS)
        book_candidates(log, resolved, chosen)
        if narrowed is not None:
            book_narrowing(log, experiment, narrowed)
        if meter is not None:
            book_latencies(log, meter, candidates)
            if meter.table is not None:
                meter.table.save(folder / TABLE_FILE)
        try:
            # The last one: a folder without it is that of no run.
            with replaced(folder / EXPERIMENT_FILE) as file:
                file.write_text(resolved.to_yaml(), encoding="utf-8")
        except OSError as error:
            raise RunError(f"cannot write to {parent}: {error.strerror}; give another folder with --out") from None
        return Run(folder, resolved, candidates, log)

    @staticmethod
    def open(folder: Path) -> Run:
        """Opens the folder of an earlier run.

        Raises:
            RunError: it is not one.
        """
        folder = folder.resolve()
        file = folder / EXPERIMENT_FILE
        if not file.is_file() or not (folder / LOG_FILE).is_file():
            raise RunError(f"{folder} is not the folder of a run: it needs {EXPERIMENT_FILE} and {LOG_FILE}")
        experiment = parse_experiment(file.read_text(encoding="utf-8"), where=str(file))
        if experiment.search is not None:
            return Run(folder, experiment, (), EvidenceLog(folder / LOG_FILE)).searched()
        if not isinstance(experiment.candidates, list):
            raise RunError(f"{file} does not list its candidates; runs write them there, put them back")
        return Run(folder, experiment, tuple(experiment.candidates), EvidenceLog(folder / LOG_FILE))

    def searched(self) -> Run:
        """The run of a search with the candidates that its log has now: its proposals, and the best of the others."""
        return replace(self, candidates=(*proposed_codes(self.log), *unseen_codes(self.log)))

    @property
    def is_split_by_us(self) -> bool:
        """Whether the stages were not asked for, so that they may change with what is found."""
        return self.log.noted(PLAN) == OURS and self.log.noted(PLAN_CHANGED) is None

    @property
    def farewell(self) -> str:
        """What an interrupted run says last."""
        return f"interrupted; everything finished is kept. Go on with: taurank resume {self.folder}"

    @property
    def names(self) -> dict[str, str]:
        """Short names of the candidates, by code."""
        space = self.experiment.space.make()
        return {code: space.short(Architecture(space.name, code)) for code in self.candidates}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second process from working on the run at the same time.

        Raises:
            RunError: another one does.
        """
        try:
            with hold_run(self.folder):
                yield
        except RunHeldError as error:
            raise RunError(str(error)) from None

    @cached_property
    def problem(self) -> Problem:
        """What the ranker is given beside the log."""
        space = self.experiment.space.make()
        features = [space.features(Architecture(space.name, code)) for code in self.candidates]
        encoding = pd.DataFrame(features, index=list(self.candidates), columns=list(space.feature_names), dtype=float)
        experiment, options = self.experiment, self.experiment.ranker
        if experiment.families is not None:
            options = replace(options, training_loss=False)
        return Problem(self.candidates, encoding, experiment.recipe.epochs, experiment.seed, options, self.names)

    def shared_results(self, images: str, slot: Slot) -> SharedResults:
        """Where runs of one folder share their trainings on the images of a digest."""
        return SharedResults(self.folder.parent / FOLDER, images, "cuda" if slot.gpus else "cpu")

    def checkpoints(self, supernets: Iterable[Stage]) -> CheckpointStore:
        """Where the trainings keep their states, those of these supernets for good."""
        needed = [Path(spec.checkpoint) for stage in supernets if stage.keeps_states for spec in stage.specs]
        most = self.experiment.resources.checkpoint_gigabytes * GIGABYTE
        return CheckpointStore(self.folder / "checkpoints", most, needed)

    def rank(self) -> Ranking:
        """The ranking from what is in the log now; the baseline is never looked at.

        That of a search has a column ``looked_at``: who was trained.

        Raises:
            RunError: a search that has looked at fewer than two.
        """
        baseline, spec = self.experiment.baseline, self.experiment.objective
        if len(self.candidates) < 2:
            raise RunError(f"{self.folder} has looked at {len(self.candidates)}, and an order needs 2; resume it first")
        ranking = rank_log(self.problem, self.log, truth_seeds=len(baseline.seeds) if baseline else 1)
        if self.experiment.search is not None:
            trained = ranking.table["architecture"].isin(proposed_codes(self.log))
            ranking = replace(ranking, table=ranking.table.assign(looked_at=trained))
        return ranking if spec is None else with_objective(ranking, spec, self.log.evidence())

    def score(self, ranking: Ranking, truth: Truth | None = None) -> Score:
        """The ranking against ``truth``, by default against the run's own baseline.

        Raises:
            ScoringError: there is none.
        """
        found = truth or baseline_truth(self.log, self.candidates)
        return score_ranking(ranking, found, self.log, self.candidates, full_epochs=self.experiment.recipe.epochs)

    def trust(self) -> list[SupernetTrust]:
        """How far its supernets can be trusted, by what is in the log now."""
        rows = self.log.evidence()
        full_epochs = self.experiment.recipe.epochs
        return supernet_trust(rows[rows["stage"] != BASELINE], self.candidates, full_epochs=full_epochs)

    def _scored_objective(self, ranking: Ranking, spec: ObjectiveSpec, truth: Truth, evidence: pd.DataFrame) -> str:
        try:
            return objective_line(score_objective(ranking, spec, truth, evidence, self.candidates))
        except ObjectiveError as error:  # a truth of another kind, from a file: the ranking has its score all the same
            return str(error)

    def report(self, console: Console, truth: Truth | None = None, *, need_score: bool = False) -> Ranking:
        """Ranks from the log, prints the tables and writes ranking files and page.

        Raises:
            ScoringError: ``need_score`` and there is no truth.
        """
        ranking = self.rank()
        ranking.write(self.folder)
        score = None
        try:
            score = self.score(ranking, truth)
        except ScoringError:
            if need_score:
                raise
        rows = self.log.evidence()
        trust = self.trust()
        void = void_lines(void_scores(self.log), len(self.candidates))
        experiment = self.experiment
        evidence, full_epochs = rows[rows["stage"] != BASELINE], experiment.recipe.epochs
        print_ranking(console, ranking, score, evidence, self.names)
        print_trust(console, trust, full_epochs=full_epochs)
        print_void(console, void)
        taken_over = taken_over_line(self.log)
        if taken_over:
            _say(console, taken_over)
        if score is not None:
            print_columns(console, score, self.names)
            print_score(console, score)
            if experiment.objective is not None:
                _say(console, self._scored_objective(ranking, experiment.objective, score.truth, evidence))
        if experiment.search is not None:
            spent = self.log.spent_in(STAGE)[1]
            before = float(rows.loc[rows["stage"].str.startswith("supernet:"), "epochs"].sum())
            for line in search_lines(
                ranking, self.names, spent_epochs=spent, full_epochs=full_epochs, supernet_epochs=before
            ):
                _say(console, line)
        hardware = hardware_lines(experiment, self.log, self.candidates)
        print_hardware(console, hardware)
        tradeoff = None
        if len(evidence[evidence["source"] == SIZE]):
            tradeoff = make_front(ranking, evidence, known_cost(evidence))
            tradeoff.write(self.folder)
            _say(console, front_line(tradeoff, self.folder))
        page = write_page(
            self.folder / "report.html",
            experiment,
            ranking,
            score,
            rows,
            self.log.outcomes(),
            self.names,
            void,
            trust,
            tradeoff,
            hardware,
        )
        fronts = f"{FRONT_FILE}, " if tradeoff else ""
        console.print(
            f"written: ranking.csv, ranking.parquet, {fronts}{page.name}, {LOG_FILE} in {self.folder}", highlight=False
        )
        return ranking


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def make_folder(parent: Path, name: str) -> Path:
    """A new folder ``<name>-<time>`` for a run; of those made within one second all but the first have a number.

    Raises:
        RunError: it cannot be made.
    """
    name = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = _fresh(parent.resolve(), name)
        (folder / "checkpoints").mkdir()
    except OSError as error:
        raise RunError(f"cannot write to {parent}: {error.strerror}; give another folder with --out") from None
    return folder


def _fresh(parent: Path, name: str) -> Path:
    for number in range(1, 1000):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise RunError(f"{parent} has a thousand runs of this second; give another folder with --out")


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
    run_log, status = RunLog(run.folder), StatusFile(run.folder)
    with (
        storage_failures(run.folder, log),
        run.locked(),
        Interruption(run.farewell) as interruption,
        run_log.session(),
        log.followed_by(run_log),
    ):
        check_room(run.folder)
        space = experiment.space.make()
        seeds = experiment.baseline.seeds if experiment.baseline and with_baseline else ()
        proxies, supernets = _proxies(run, data), _supernets(run, data)
        cheap = [*(stage for stage, _ in proxies), *(stage for one in supernets for stage in one.planned)]
        stages = [*cheap, *_planned_trainings(run, data)]
        cost, budget = check_budget(experiment, stages, run.candidates)
        baseline = _planned_baseline(run) if seeds else None
        print_plan(console, experiment, data, stages, baseline, cost, budget, run)
        plan = [StagePlan(stage.title, len(stage.specs), stage.cost) for stage in (*stages, baseline) if stage]
        status.tell(RunState(doing="sizes are measured, Ray starts", stages=tuple(plan), budget_epochs=budget))
        measure_sizes(log, experiment, run.candidates, data)

        total = cost + (baseline.cost if baseline else 0.0)
        ended = has_ended(log, RANKING) and (baseline is None or has_ended(log, BASELINE))
        if ended and not _thaws(run):
            console.print("nothing left to run", highlight=False)
            return run.report(console)
        console.print("starting Ray ..." if address is None else f"joining Ray at {address} ...", highlight=False)
        with (
            connect(
                address, resources=experiment.resources, dashboard=dashboard, log_file=run.folder / RAY_LOG
            ) as cluster,
            run_metrics(run.folder.name, log) as metrics,
            Display(
                console,
                total_epochs=total,
                budget_epochs=budget,
                names=run.names,
                plan=plan,
                tell=told_to(status.tell, metrics.tell),
                run_log=run_log,
            ) as display,
        ):
            display.doing("the nodes are checked, the images go to Ray")
            interruption.install()  # Ray takes SIGTERM when it starts
            if cluster.dashboard:
                display.say(dashboard_line(cluster))
            if not cluster.local:
                check_shared(run.folder)
                if data.file is not None:
                    check_shared(data.file.parent, option="--cache")
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
                run_stage(
                    stage,
                    log=log,
                    data=reference,
                    slot=slot,
                    slots=lambda: cluster.now().places(slot),
                    run=run.folder,
                    display=display,
                    interruption=interruption,
                    weights=weights,
                    checkpoints=checkpoints,
                    images=data.file,
                    patience=experiment.resources.patience,
                    results=run.shared_results(digest, slot) if experiment.share_results else None,
                )

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
            display.doing("the ranker chooses who is trained")
            run_rounds(
                run.problem,
                experiment.trainings or [],
                log=log,
                launch=train,
                budget_epochs=budget - sum(stage.cost for stage in cheap),
                adaptive=run.is_split_by_us,
            )
            display.doing("the ranking is made")
            started = time.perf_counter()
            log.append_event(RANKING, "", "started")
            # Written before the first baseline training: the order cannot have seen the truth.
            ranking = run.rank()
            ranking.write(run.folder)
            for decision, reason in ranking_lines(ranking, run.trust()):
                run_log.line(RANKING, "", decision, reason)
            metrics.ranked(ranking.table["architecture"])
            log.append_event(RANKING, "", "ended", f"{time.perf_counter() - started:.2f} s")
            if baseline:
                launch(_drawn_baseline(run, ranking))
            display.doing("the report is written")
        return run.report(console)


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


def dashboard_line(cluster: Cluster) -> str:
    """Where the dashboard is, for people."""
    where = "" if cluster.local else " on the head node"
    token = " (it asks for the token: run `ray get-auth-token`)" if os.environ.get("RAY_AUTH_MODE") == "token" else ""
    return f"Ray dashboard{where}: {cluster.dashboard}/#/actors{token}"
