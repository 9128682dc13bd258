"""The experiment file: reading, defaults, and validation of the whole file before anything is spent."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.experiment.budget import Budget, BudgetError, read_budget, read_factor
    from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
    from taurank.orchestrator.experiment.file import (
        load_experiment,
        parse_experiment,
        read_knowledge,
        with_baseline,
        with_knowledge,
        with_loggers,
    )
    from taurank.orchestrator.experiment.from_options import (
        BUDGET,
        EPOCHS,
        ModelsError,
        SearchCommandError,
        experiment_of_models,
        experiment_of_search,
        load_with_test,
        split_names,
        write_models,
    )
    from taurank.orchestrator.experiment.hardware import LatencySpec, ObjectiveSpec
    from taurank.orchestrator.experiment.knowledge import PUBLISHED, KnowledgeSpec, KnowledgeSpecs
    from taurank.orchestrator.experiment.listing import experiment_description, list_experiments
    from taurank.orchestrator.experiment.own_training import MetricSpec
    from taurank.orchestrator.experiment.parts import (
        ASSUMED_TRAIN,
        BaselineSpec,
        DataSpec,
        ImageCounts,
        ProxySpec,
        ResourceSpec,
    )
    from taurank.orchestrator.experiment.search import (
        MEASURED_BY_IMAGES,
        PRUNING_IMAGES,
        SAMPLERS,
        SearchSpec,
        SupernetSearchOptions,
        searcher_options,
    )
    from taurank.orchestrator.experiment.supernets import SupernetSpec
    from taurank.orchestrator.experiment.trainings import SchedulerSpec, TrainingSpec

__all__ = [
    "ASSUMED_TRAIN",
    "BUDGET",
    "EPOCHS",
    "MEASURED_BY_IMAGES",
    "PRUNING_IMAGES",
    "PUBLISHED",
    "SAMPLERS",
    "BaselineSpec",
    "Budget",
    "BudgetError",
    "DataSpec",
    "Experiment",
    "ExperimentError",
    "ImageCounts",
    "KnowledgeSpec",
    "KnowledgeSpecs",
    "LatencySpec",
    "MetricSpec",
    "ModelsError",
    "ObjectiveSpec",
    "ProxySpec",
    "ResourceSpec",
    "SchedulerSpec",
    "SearchCommandError",
    "SearchSpec",
    "SupernetSearchOptions",
    "SupernetSpec",
    "TrainingSpec",
    "experiment_description",
    "experiment_of_models",
    "experiment_of_search",
    "list_experiments",
    "load_experiment",
    "load_with_test",
    "parse_experiment",
    "read_budget",
    "read_factor",
    "read_knowledge",
    "searcher_options",
    "split_names",
    "with_baseline",
    "with_knowledge",
    "with_loggers",
    "write_models",
]

__getattr__ = lazy_names(__name__)
