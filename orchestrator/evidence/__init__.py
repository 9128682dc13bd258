"""The append-only log of everything that was measured, and the words that stand in it."""

from taurank.orchestrator.evidence.log import (
    BASELINE,
    EXTENDED,
    FINAL_EVENTS,
    FROZEN,
    PROXIES,
    TAKEN,
    VALIDATION_IMAGES,
    Evidence,
    EvidenceLog,
)
from taurank.orchestrator.evidence.summary import LogSummary, StageRows, bookings, opened_to_read, summarize

__all__ = [
    "BASELINE",
    "EXTENDED",
    "FINAL_EVENTS",
    "FROZEN",
    "PROXIES",
    "TAKEN",
    "VALIDATION_IMAGES",
    "Evidence",
    "EvidenceLog",
    "LogSummary",
    "StageRows",
    "bookings",
    "opened_to_read",
    "summarize",
]
