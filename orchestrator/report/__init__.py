"""Reports of a run: tables for the terminal and one HTML page."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.report.candidates import Row, print_candidates, print_models, print_recipes
    from taurank.orchestrator.report.comparison import Comparison, compare_runs, print_comparison
    from taurank.orchestrator.report.explanation import Explanation, Training, TrainingStage
    from taurank.orchestrator.report.hardware import (
        front_line,
        hardware_lines,
        objective_line,
        print_front,
        print_hardware,
    )
    from taurank.orchestrator.report.outlook import outlook_document, print_outlook
    from taurank.orchestrator.report.own_results import (
        next_document,
        own_ranking_document,
        print_next,
        print_own_ranking,
        write_own_page,
        write_own_ranking,
    )
    from taurank.orchestrator.report.page import Content, render_page, write_page
    from taurank.orchestrator.report.pages import render
    from taurank.orchestrator.report.plots import ShownFigure, interval_figure
    from taurank.orchestrator.report.run import RunReport, report_run
    from taurank.orchestrator.report.run_page import run_content
    from taurank.orchestrator.report.searched import search_lines
    from taurank.orchestrator.report.serving import ADDRESS, LivePage, ServeError, make_server
    from taurank.orchestrator.report.tables import print_columns, print_plan, print_ranking, print_score, print_void
    from taurank.orchestrator.report.trust import print_trust
    from taurank.orchestrator.report.why import explain

__all__ = [
    "ADDRESS",
    "Comparison",
    "Content",
    "Explanation",
    "LivePage",
    "Row",
    "RunReport",
    "ServeError",
    "ShownFigure",
    "Training",
    "TrainingStage",
    "compare_runs",
    "explain",
    "front_line",
    "hardware_lines",
    "interval_figure",
    "make_server",
    "next_document",
    "objective_line",
    "outlook_document",
    "own_ranking_document",
    "print_candidates",
    "print_columns",
    "print_comparison",
    "print_front",
    "print_hardware",
    "print_models",
    "print_next",
    "print_outlook",
    "print_own_ranking",
    "print_plan",
    "print_ranking",
    "print_recipes",
    "print_score",
    "print_trust",
    "print_void",
    "render",
    "render_page",
    "report_run",
    "run_content",
    "search_lines",
    "write_own_page",
    "write_own_ranking",
    "write_page",
]

__getattr__ = lazy_names(__name__)
