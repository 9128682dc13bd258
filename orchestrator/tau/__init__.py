"""Measures of rank agreement: tau with its interval, related measures, and the ceiling."""

from taurank.orchestrator.tau.agreement import Agreement, AgreementError, Coefficient, agreement, tau_b
from taurank.orchestrator.tau.ceiling import Ceiling, ceiling
from taurank.orchestrator.tau.measures import partial_of, partial_tau, weighted_tau
from taurank.orchestrator.tau.sample import PER_STRATUM, estimate_tau, stratified_sample
from taurank.orchestrator.tau.top import tau_of_true_top, top_membership, top_overlap, top_regret

__all__ = [
    "PER_STRATUM",
    "Agreement",
    "AgreementError",
    "Ceiling",
    "Coefficient",
    "agreement",
    "ceiling",
    "estimate_tau",
    "partial_of",
    "partial_tau",
    "stratified_sample",
    "tau_b",
    "tau_of_true_top",
    "top_membership",
    "top_overlap",
    "top_regret",
    "weighted_tau",
]
