"""Importers: files of recorded trainings, each kind recognised by what is in it, to one table."""

from taurank.trainables.table.importers.csv_map import import_csv
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.registry import import_table, in_space, is_recognised, list_importers
from taurank.trainables.table.importers.results import FINAL_RESULTS, import_results, is_results

__all__ = [
    "FINAL_RESULTS",
    "Importer",
    "import_csv",
    "import_results",
    "import_table",
    "in_space",
    "is_recognised",
    "is_results",
    "list_importers",
]
