"""Runs, ranks and reports: the experiment, its stages, the evidence log, the ranker and the command line."""

import taurank.orchestrator.ray_environment  # noqa: F401  (before any import of ray)
