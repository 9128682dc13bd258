"""`taurank proxies`: scores of untrained networks without a run."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.proxy_scores.listing import print_proxies
    from taurank.orchestrator.proxy_scores.printing import print_scores
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

__getattr__ = lazy_names(__name__)
