"""Runs from Python: started, opened, resumed, ranked and scored."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from taurank.orchestrator.api.rankings import Ranking
from taurank.orchestrator.api.words import in_python
from taurank.orchestrator.experiment import (
    BUDGET,
    EPOCHS,
    Experiment,
    load_experiment,
    with_baseline,
    with_knowledge,
    with_loggers,
)
from taurank.orchestrator.text import make_console

if TYPE_CHECKING:
    from taurank.orchestrator import ranker
    from taurank.orchestrator.report import RunReport
    from taurank.orchestrator.runs import Run as RunFolder
    from taurank.orchestrator.scoring import Score

PathLike = str | os.PathLike[str]
TrainingCode = str | Callable[..., Any]


class Run:
    """A run: its folder, its evidence, its ranking. Made by `taurank.run`, `rank_models` and `open_run`.

    Attributes:
        folder: with ``experiment.yaml``, the evidence, the ranking and the report.
    """

    def __init__(self, opened: RunFolder) -> None:
        self._opened = opened
        self.folder: Path = opened.folder

    @classmethod
    def _reported(cls, report: RunReport) -> Run:
        found = cls(report.run)
        found.ranking = found._shown(report.ranking)
        return found

    @property
    def experiment(self) -> Experiment:
        """The experiment, with all of its candidates and stages spelled out."""
        return self._opened.experiment

    @property
    def candidates(self) -> tuple[str, ...]:
        """Codes of the candidates."""
        return self._opened.candidates

    @cached_property
    def ranking(self) -> Ranking:
        """The ranking from the evidence of the run.

        Raises:
            RunError: there is no evidence yet, or fewer than two candidates.
        """
        return self._shown(self._opened.rank())

    def _shown(self, posterior: ranker.Ranking) -> Ranking:
        return Ranking(posterior, self._opened.names, metric=self._opened.experiment.ranked_metric.title)

    def evidence(self) -> pd.DataFrame:
        """Every number that was measured, one row each, in the order of the log.

        Columns: ``time`` (seconds since 1970), ``stage``, ``trial``, ``architecture``, ``source``, ``epoch``,
        ``schedule_epochs``, ``seed``, ``metric``, ``value`` (accuracies in [0, 1], losses in nats, NaN if missing),
        ``seconds`` and ``epochs`` of cost, ``epoch_share``. Rows of the stage ``baseline`` are no evidence: the ranking
        is scored against them.
        """
        return self._opened.log.evidence()

    @in_python
    def score(
        self, baseline: PathLike | None = None, *, lower_is_better: bool | None = None, quiet: bool = True
    ) -> Score:
        """Scores the ranking against full training, and writes the report.

        Args:
            baseline: the reference: folder of another run, table of recorded trainings (.parquet), or CSV with the
                columns architecture and value; None for the baseline of the run.
            lower_is_better: which end of ``baseline`` is better; None: what the name of its column says, else higher.
            quiet: whether nothing is printed.

        Returns:
            Object with ``tau``, ``low``, ``high`` and ``n`` (see `kendall_tau`), the same of each source alone in
            ``sources``, the ``ceiling`` and the ``speed_up``.

        Raises:
            ScoringError: there is no reference, or it is of other candidates.
        """
        from taurank.orchestrator.campaigns import score_again

        source = None if baseline is None else Path(baseline)
        report = score_again(self._opened, make_console(quiet=quiet), baseline=source, lower_is_better=lower_is_better)
        assert report.score is not None
        return report.score

    @in_python
    def resume(
        self,
        *,
        quiet: bool = False,
        data_dir: PathLike | None = None,
        download: bool = False,
        cache: PathLike | None = None,
        address: str | None = None,
        dashboard: bool = False,
        baseline: bool = True,
        trainable: TrainingCode | None = None,
    ) -> Run:
        """Runs what an interrupted run lacks; finished work is not repeated.

        Args:
            quiet: whether nothing is printed.
            data_dir: folder of the data sets; None for that of the first start.
            download: whether a data set that is missing may be fetched.
            cache: folder of the decoded images; None for the user's own.
            address: of a Ray cluster to join; None for a local Ray, or the one that is initialised already.
            dashboard: whether a local Ray starts its dashboard.
            baseline: whether the baseline of the experiment is trained, if it has one.
            trainable: the own training code of the run once more, if it was given as an object of a script or notebook.

        Returns:
            The run with its new ranking; this object stays as it was.

        Raises:
            RunInterruptedError: Ctrl-C, which is a KeyboardInterrupt; everything finished is kept.
            RunError, ClusterError, ...: it cannot run, in one line.
        """
        from taurank.orchestrator.campaigns import Place, resume_run

        opened = self._opened
        if trainable is not None:
            opened = replace(opened, experiment=load_experiment(opened.experiment, trainable=_name_of(trainable)))
        place = Place(
            data_dir=_path(data_dir), download=download, cache=_path(cache), address=address, dashboard=dashboard
        )
        report = resume_run(opened, place, make_console(quiet=quiet), with_baseline=baseline, quiet=quiet)
        return Run._reported(report)

    def __repr__(self) -> str:
        return f"<Run {self.folder}>"


@in_python
def run(
    experiment_or_path: Experiment | PathLike | Mapping[str, Any],
    *,
    quiet: bool = False,
    out: PathLike = "runs",
    data_dir: PathLike | None = None,
    download: bool = False,
    cache: PathLike | None = None,
    address: str | None = None,
    dashboard: bool = False,
    baseline: bool | None = None,
    knowledge: Sequence[str] = (),
    trainable: TrainingCode | None = None,
    loggers: Sequence[str] = (),
) -> Run:
    """Ranks the candidates of an experiment, or searches, as `taurank run` does; returns when it has ended.

    If this process is connected to Ray, that cluster is used and stays connected; otherwise a local Ray is started, and
    ended with the run.

    Args:
        experiment_or_path: an experiment, its YAML file, the name of one that comes with taurank, or its content.
        quiet: whether nothing is printed; else progress and results are.
        out: folder in which the run folder is created.
        data_dir: folder of the published data sets; None for ``$TAURANK_DATA``, else ``./data``.
        download: whether a data set that is missing may be fetched.
        cache: folder of the decoded images; None for the user's own.
        address: of a Ray cluster to join, ``host:port``; None for a local Ray.
        dashboard: whether a local Ray starts its dashboard.
        baseline: whether all candidates are trained to the end, to score the ranking; None: as the experiment says.
        knowledge: results of the same architectures on other data, each as ``taurank run --knowledge`` takes it;
            empty: as the experiment says.
        trainable: training code of your own for candidates of any kind: a generator
            ``train(candidate, *, epochs, seed, device, checkpoint)`` that yields a dict of metrics per epoch, a class
            with ``step``, ``state_dict`` and ``load_state_dict``, or ``package.module:name`` of one
            (docs/how-to/own-training.md); None: as the experiment says.
        loggers: Ray's, beside those of the experiment: ``tensorboard``, ``csv``, ``json``, ``mlflow``, ``wandb``.

    Raises:
        ExperimentError: an experiment that cannot be run; all problems at once, before anything is spent.
        RunInterruptedError: Ctrl-C, which is a KeyboardInterrupt; everything finished is kept, and
            ``taurank.open_run(folder).resume()`` continues.
        DataError, RunError, ClusterError, ...: it cannot run, in one line.

    Example:
        >>> import taurank
        >>> run = taurank.run("quickstart")                                        # doctest: +SKIP
        >>> run.ranking.to_frame().head()                                          # doctest: +SKIP
    """
    from taurank.orchestrator.campaigns import Place, experiment_images, start_run

    own = None if trainable is None else _name_of(trainable)
    experiment = load_experiment(experiment_or_path, trainable=own)
    if baseline and experiment.search is None:
        experiment = with_baseline(experiment, where=experiment.name)
    if knowledge:
        experiment = with_knowledge(experiment, list(knowledge))
    experiment = with_loggers(experiment, loggers)
    place = Place(Path(out), _path(data_dir), download, _path(cache), address, dashboard)
    images = experiment_images(experiment, place, quiet=quiet)
    report = start_run(experiment, images, place, make_console(quiet=quiet), with_baseline=baseline is not False)
    return Run._reported(report)


@in_python
def rank_models(
    models: Sequence[str],
    data: str,
    *,
    epochs: int = EPOCHS,
    budget: str | float = BUDGET,
    baseline: bool = False,
    size: int | None = None,
    constraints: Sequence[str] = (),
    knowledge: Sequence[str] = (),
    quiet: bool = False,
    out: PathLike = "runs",
    data_dir: PathLike | None = None,
    download: bool = False,
    cache: PathLike | None = None,
    address: str | None = None,
    dashboard: bool = False,
) -> Run:
    """Ranks untrained models by name on images, as `taurank run --models` does.

    Args:
        models: names and patterns: ``timm:resnet18``, ``timm:convnext*``, ``torchvision:resnet18``, and
            ``my_module:make`` for a function of one's own that takes the number of classes.
        data: a data set, such as ``cifar10``, or images: ``folder:PATH``, ``npz:PATH``.
        epochs: of full training.
        budget: how many times cheaper than full training of all.
        baseline: whether all are trained to the end as well, to score the ranking.
        size: side to which images are resized, in pixels; None for that of the data set.
        constraints: bounds that models have to satisfy, such as ``params <= 5e6``, ``latency <= 20ms``.
        knowledge: see `run`; empty: finished runs in ``out`` and published accuracies.
        quiet: see `run`, as for the arguments below.
        out: see `run`.
        data_dir: see `run`.
        download: see `run`.
        cache: see `run`.
        address: see `run`.
        dashboard: see `run`.

    Raises:
        ExperimentError, ModelsError: a model, the data, the budget or a constraint is invalid; one line each.
        RunInterruptedError, DataError, RunError, ClusterError: see `run`.

    Example:
        >>> import taurank
        >>> run = taurank.rank_models(                                             # doctest: +SKIP
        ...     ["timm:resnet18", "my_nets:make"], data="folder:photos", epochs=20, budget="10x")
    """
    from taurank.orchestrator.campaigns import Place, load_models, start_run

    place = Place(Path(out), _path(data_dir), download, _path(cache), address, dashboard)
    experiment, _, images = load_models(
        [models] if isinstance(models, str) else list(models),
        data,
        place,
        size=size,
        epochs=epochs,
        budget=str(budget),
        baseline=baseline,
        constraints=constraints,
        knowledge=knowledge,
        quiet=quiet,
    )
    report = start_run(experiment, images, place, make_console(quiet=quiet))
    return Run._reported(report)


@in_python
def open_run(folder: PathLike) -> Run:
    """Opens the folder of an earlier run; nothing is trained.

    Args:
        folder: of the run, as `taurank.run` and `taurank run` leave it.

    Raises:
        RunError, EvidenceError: it is not the folder of a run; one line.

    Example:
        >>> import taurank
        >>> run = taurank.open_run("runs/cells-20260101-120000")                   # doctest: +SKIP
        >>> run.resume().ranking.expected_tau                                      # doctest: +SKIP
    """
    from taurank.orchestrator.runs import Run as RunFolder

    return Run(RunFolder.open(Path(folder)))


def score(
    run: Run | PathLike,
    baseline: PathLike | None = None,
    *,
    lower_is_better: bool | None = None,
    quiet: bool = True,
) -> Score:
    """Scores the ranking of a run against full training, as `taurank score` does.

    Args:
        run: a run, or its folder.
        baseline: see `Run.score`, as for the arguments below.
        lower_is_better: see `Run.score`.
        quiet: see `Run.score`.

    Raises:
        RunError, ScoringError: not a run, or there is no reference for it; one line.

    Example:
        >>> import taurank
        >>> taurank.score("runs/cells-20260101-120000", "truth.csv").tau           # doctest: +SKIP
    """
    opened = run if isinstance(run, Run) else open_run(run)
    return opened.score(baseline, lower_is_better=lower_is_better, quiet=quiet)


def _name_of(trainable: TrainingCode) -> str:
    from taurank.trainables.own import give_own_code

    return give_own_code(trainable)


def _path(given: PathLike | None) -> Path | None:
    return None if given is None else Path(given)
