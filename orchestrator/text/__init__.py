"""Text input and output: YAML, one-line problems, names, numbers, and files that are replaced atomically."""

from taurank.orchestrator.text.console import Console, MiddleElided, make_console, print_line, progress_bar
from taurank.orchestrator.text.naming import find_candidate
from taurank.orchestrator.text.problems import ProblemsError, hint, problem_lines
from taurank.orchestrator.text.text_cells import CsvError, read_text_cells
from taurank.orchestrator.text.whole_files import replaced
from taurank.orchestrator.text.wording import PLAIN_LINE_SECONDS, as_json, counted, duration
from taurank.orchestrator.text.yaml import YamlError, read_yaml, write_yaml

__all__ = [
    "PLAIN_LINE_SECONDS",
    "Console",
    "CsvError",
    "MiddleElided",
    "ProblemsError",
    "YamlError",
    "as_json",
    "counted",
    "duration",
    "find_candidate",
    "hint",
    "make_console",
    "print_line",
    "problem_lines",
    "progress_bar",
    "read_text_cells",
    "read_yaml",
    "replaced",
    "write_yaml",
]
