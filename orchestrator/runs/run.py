"""A run: a folder with an experiment and an evidence log."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from taurank.orchestrator.evidence import (
    BASELINE,
    DEFAULT_PLAN,
    IMAGES,
    PLAN,
    PLAN_CHANGED,
    EvidenceLog,
    opened_to_read,
)
from taurank.orchestrator.experiment import Experiment, ImageCounts, parse_experiment
from taurank.orchestrator.knowledge import Known, is_predictable, read_known
from taurank.orchestrator.planning import LogRanker, Pace, Problem, Purse, logged_pace, speed_up
from taurank.orchestrator.ranker import Ranking, SupernetTrust, supernet_trust
from taurank.orchestrator.scoring import Score, Truth, baseline_truth, score_ranking, with_objective
from taurank.orchestrator.search import proposed_codes, unseen_codes
from taurank.orchestrator.session import RunHeldError, hold_run, holder_of
from taurank.spaces import Architecture

EXPERIMENT_FILE = "experiment.yaml"
LOG_FILE = "evidence.sqlite"
_log = logging.getLogger(__name__)
TABLE_FILE = "latency.json"
"""Latencies of parts, if latencies are sums; usable as ``latency.table`` of another run."""


class RunError(RuntimeError):
    """An unusable run folder; one line with the way out."""


@dataclass(frozen=True)
class Run:
    """A run folder: its experiment, with the candidates spelled out, and its log."""

    folder: Path
    experiment: Experiment
    candidates: tuple[str, ...]
    log: EvidenceLog

    @staticmethod
    def open(folder: Path, log: EvidenceLog | None = None) -> Run:
        """Opens the folder of an earlier run.

        Args:
            folder: of the run.
            log: a copy of its log to read instead; None for the log itself.

        Raises:
            RunError: it is not one, or its log is that of another.
            EvidenceError: its log is empty, or no log.
        """
        folder = folder.resolve()
        _log.info("the run is read from %s", folder)
        file = folder / EXPERIMENT_FILE
        if not file.is_file() or not (folder / LOG_FILE).is_file():
            raise RunError(f"{folder} is not the folder of a run: it needs {EXPERIMENT_FILE} and {LOG_FILE}")
        experiment = parse_experiment(file.read_text(encoding="utf-8"), where=str(file))
        log = log or EvidenceLog(folder / LOG_FILE)
        if experiment.search is not None:
            return Run(folder, experiment, (), log).searched()
        if not isinstance(experiment.candidates, list):
            raise RunError(f"{file} does not list its candidates; runs write them there, put them back")
        logged = log.all_architectures()
        if logged and logged.isdisjoint(experiment.candidates):
            raise RunError(
                f"{log.path} is the log of another run: none of the {len(experiment.candidates)} candidates of {file} "
                "is in it; put the right one back"
            )
        return Run(folder, experiment, tuple(experiment.candidates), log)

    @staticmethod
    @contextmanager
    def snapshot(folder: Path) -> Iterator[Run]:
        """The run as its log is now, for reading only: the folder is not written to, whatever works on it.

        Raises:
            RunError, EvidenceError: see `open`.
        """
        if not (folder / LOG_FILE).is_file():
            raise RunError(f"{folder} is not the folder of a run: it needs {EXPERIMENT_FILE} and {LOG_FILE}")
        holder = holder_of(folder)
        with (
            opened_to_read(folder / LOG_FILE, elsewhere=holder is not None and not holder.is_here) as connection,
            TemporaryDirectory(prefix="taurank-") as copies,
        ):
            copy = Path(copies) / LOG_FILE
            with closing(sqlite3.connect(copy)) as target:
                connection.backup(target)
            run = Run.open(folder, EvidenceLog(copy))
            try:
                yield run
            finally:
                run.log.close()

    def searched(self) -> Run:
        """The run of a search with the candidates in its log: its proposals, and the best predicted others."""
        return replace(self, candidates=(*proposed_codes(self.log), *unseen_codes(self.log)))

    @property
    def noted_images(self) -> ImageCounts | None:
        """Numbers of images from the log; None if they are not logged."""
        noted = self.log.noted(IMAGES)
        return None if noted is None else ImageCounts(**json.loads(noted))

    @property
    def images(self) -> ImageCounts:
        """Numbers of images from the log, or else the expected ones."""
        return self.noted_images or self.experiment.data.expected_counts

    @property
    def has_default_plan(self) -> bool:
        """Whether the stages are the default ones, which may change with the evidence."""
        return self.log.noted(PLAN) == DEFAULT_PLAN and self.log.noted(PLAN_CHANGED) is None

    @property
    def resume_hint(self) -> str:
        """The last message of an interrupted run."""
        return f"interrupted; everything finished is kept. Go on with: taurank resume {self.folder}"

    @property
    def purse(self) -> Purse | None:
        """What is left of a budget in time; None for one in epochs."""
        budget = self.experiment.allowance
        return Purse(budget, self.log, self.candidates, self.experiment.recipe.epochs) if budget.is_time else None

    @property
    def pace(self) -> Pace | None:
        """The seconds of an epoch of each candidate; None if they were not measured."""
        return logged_pace(self.log, self.candidates)

    @property
    def speed_up(self) -> float:
        """The budget as a factor, how many times cheaper than full training of all candidates."""
        return speed_up(self.experiment, self.pace)

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
    def knowledge(self) -> tuple[Known, ...]:
        """What was known when the run was made, from the run's own copy.

        Raises:
            KnowledgeError: the copy is missing or damaged.
        """
        # Runs that are older than knowledge have no such section, and so the default of new ones.
        return read_known(self.folder) if isinstance(self.experiment.knowledge, list) else ()

    @cached_property
    def problem(self) -> Problem:
        """The input of the ranker besides the log."""
        encoding = self._encoding(self.candidates)
        experiment = self.experiment
        # Of the training on the fewest classes: the accuracies of all others are farther from chance and less noisy.
        fewest = min((spec.subset.class_share for spec in experiment.trainings or ()), default=1.0)
        looked_at = None if self.noted_images is None else self.noted_images.of_some_classes(fewest)
        return Problem(
            self.candidates,
            encoding,
            experiment.recipe.epochs,
            experiment.seed,
            experiment.ranker_options,
            images=None if looked_at is None else looked_at.validation,
            classes=None if looked_at is None else looked_at.classes,
            names=self.names,
            knowledge=tuple(known.source for known in self.knowledge),
            knowledge_encoding=self._known_encoding(),
            metric=experiment.ranked_metric,
        )

    def _encoding(self, codes: Sequence[str]) -> pd.DataFrame:
        """Numeric description of architectures, (codes, features)."""
        space = self.experiment.space.make()
        features = [space.features(Architecture(space.name, code)) for code in codes]
        return pd.DataFrame(features, index=list(codes), columns=list(space.feature_names), dtype=float)

    def _known_encoding(self) -> pd.DataFrame | None:
        """The same of known architectures that are no candidates; None where all candidates are known by themselves."""
        candidates, sources = set(self.candidates), [known.source.values.keys() for known in self.knowledge]
        if not is_predictable(self.experiment) or all(candidates <= values for values in sources):
            return None
        others = sorted({code for values in sources for code in values} - candidates)
        return self._encoding(others) if others else None

    @cached_property
    def ranker(self) -> LogRanker:
        """The ranker on the run's log."""
        return LogRanker(self.problem, self.log)

    def rank(self) -> Ranking:
        """The ranking from the current log; baseline rows are never used.

        The ranking of a search has a column ``looked_at``: whether the architecture was trained.

        Raises:
            RunError: a search has trained fewer than two architectures, or the log has no rows.
        """
        baseline, spec = self.experiment.baseline, self.experiment.objective
        if len(self.candidates) < 2:
            raise RunError(
                f"{self.folder} has {len(self.candidates)} candidates; a ranking needs 2, so resume it first"
            )
        if not self.log.all_architectures():
            raise RunError(f"{self.log.path} has no evidence yet, so there is nothing to rank by; resume the run first")
        ranking = self.ranker.ranking(truth_seeds=len(baseline.seeds) if baseline else 1)
        if self.experiment.search is not None:
            trained = ranking.table["architecture"].isin(proposed_codes(self.log))
            ranking = replace(ranking, table=ranking.table.assign(looked_at=trained))
        return ranking if spec is None else with_objective(ranking, spec, self.log.evidence())

    def score(self, ranking: Ranking, truth: Truth | None = None) -> Score:
        """The ranking against ``truth``, by default against the run's own baseline.

        Raises:
            ScoringError: there is none.
        """
        metric = self.experiment.ranked_metric
        return score_ranking(
            ranking,
            truth or baseline_truth(self.log, self.candidates, metric),
            self.log,
            self.candidates,
            full_epochs=self.experiment.recipe.epochs,
            metric=metric,
        )

    def trust(self) -> list[SupernetTrust]:
        """How far its supernets can be trusted, from the current log."""
        rows = self.log.evidence()
        full_epochs = self.experiment.recipe.epochs
        return supernet_trust(rows[rows["stage"] != BASELINE], self.candidates, full_epochs=full_epochs)
