"""Recorded trainings: one table format, the importers that fill it, and what a table answers."""

from trainables.table.format import Metric, TableError, TableInfo
from trainables.table.parquet import read_table, write_table
from trainables.table.recorded import RecordedTable

__all__ = ["Metric", "RecordedTable", "TableError", "TableInfo", "read_table", "write_table"]
