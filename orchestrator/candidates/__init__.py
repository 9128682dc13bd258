"""Candidates: selection, screening by constraints, latencies, narrowed spaces."""

from taurank.orchestrator.candidates.candidates import (
    add_size,
    book_candidates,
    book_sizes,
    choose_candidates,
    measure_sizes,
)
from taurank.orchestrator.candidates.latencies import (
    Meter,
    Say,
    book_latencies,
    logged_conditions,
    open_meter,
    resume_meter,
)
from taurank.orchestrator.candidates.narrowing import (
    book_narrowing,
    check_size,
    logged_narrowing,
    narrowed_space,
    narrowing_line,
)
from taurank.orchestrator.candidates.paces import MeasuredPace, flops_of, measure_paces, time_candidates
from taurank.orchestrator.candidates.screening import Measured, Screen
from taurank.orchestrator.candidates.search_latencies import KeptLatencies, keep_latencies
from taurank.orchestrator.candidates.speeds import SpeedError, StatedPaces, stated_paces

__all__ = [
    "KeptLatencies",
    "Measured",
    "MeasuredPace",
    "Meter",
    "Say",
    "Screen",
    "SpeedError",
    "StatedPaces",
    "add_size",
    "book_candidates",
    "book_latencies",
    "book_narrowing",
    "book_sizes",
    "check_size",
    "choose_candidates",
    "flops_of",
    "keep_latencies",
    "logged_conditions",
    "logged_narrowing",
    "measure_paces",
    "measure_sizes",
    "narrowed_space",
    "narrowing_line",
    "open_meter",
    "resume_meter",
    "stated_paces",
    "time_candidates",
]
