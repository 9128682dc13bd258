"""`taurank proxies`: scores of untrained networks without a run."""

from taurank.orchestrator.proxy_scores.printing import print_proxies, print_scores
from taurank.orchestrator.proxy_scores.score_file import ScoreFile
from taurank.orchestrator.proxy_scores.scoring import (
    ProxyRequestError,
    Request,
    read_candidates,
    read_images,
    read_names,
    read_options,
    score_missing,
)

__all__ = [
    "ProxyRequestError",
    "Request",
    "ScoreFile",
    "print_proxies",
    "print_scores",
    "read_candidates",
    "read_images",
    "read_names",
    "read_options",
    "score_missing",
]
