"""What a run tells: tables and one page."""

from orchestrator.report.candidates import print_candidates, print_models, print_recipes
from orchestrator.report.hardware import front_line, hardware_lines, objective_line, print_front, print_hardware
from orchestrator.report.page import write_page
from orchestrator.report.searched import search_lines
from orchestrator.report.tables import print_columns, print_plan, print_ranking, print_score, print_void
from orchestrator.report.trust import print_trust

__all__ = [
    "front_line",
    "hardware_lines",
    "objective_line",
    "print_candidates",
    "print_columns",
    "print_front",
    "print_hardware",
    "print_models",
    "print_plan",
    "print_ranking",
    "print_recipes",
    "print_score",
    "print_trust",
    "print_void",
    "search_lines",
    "write_page",
]
