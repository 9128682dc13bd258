"""Recorded trainings: one table format, the importers that fill it, and what a table answers."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.trainables.table.format import (
        COLUMNS,
        IDENTITY,
        TRAINING_SOURCE,
        Direction,
        Metric,
        TableError,
        TableInfo,
    )
    from taurank.trainables.table.metrics import describe_all, direction_of, is_accuracy, is_fixed
    from taurank.trainables.table.parquet import read_table, write_table
    from taurank.trainables.table.recorded import RecordedTable
    from taurank.trainables.table.recorded_training import METRIC, RecordedStep, RecordedTraining
    from taurank.trainables.table.summary import Part, Truth, possible_truths, summarise, truth_metrics

__all__ = [
    "COLUMNS",
    "IDENTITY",
    "METRIC",
    "TRAINING_SOURCE",
    "Direction",
    "Metric",
    "Part",
    "RecordedStep",
    "RecordedTable",
    "RecordedTraining",
    "TableError",
    "TableInfo",
    "Truth",
    "describe_all",
    "direction_of",
    "is_accuracy",
    "is_fixed",
    "possible_truths",
    "read_table",
    "summarise",
    "truth_metrics",
    "write_table",
]

__getattr__ = lazy_names(__name__)
