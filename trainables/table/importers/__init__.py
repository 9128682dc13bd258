"""Importers: files of recorded trainings, each kind recognised by what is in it, to one table."""

from taurank.trainables.table.importers.csv_map import import_csv
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.registry import import_table, in_space, list_importers

__all__ = ["Importer", "import_csv", "import_table", "in_space", "list_importers"]
