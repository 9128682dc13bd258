"""Decisions of a policy in the evidence log: events with their reasons, and predictions as rows."""

from __future__ import annotations

import math

from taurank.orchestrator.evidence import (
    CHECKPOINT_DROPPED,
    CHECKPOINT_NOT_WRITTEN,
    COMPLETED,
    FAILED,
    FROZEN,
    PAUSED,
    PREDICTED,
    PREDICTED_SD,
    RESUMED,
    STARTED,
    STOPPED,
)
from taurank.schedulers.policies import Curve, Decision, Step

DROPPED_EVENT = (CHECKPOINT_DROPPED, "no room on disk (resources.checkpoint_gigabytes); it starts over if resumed")


def unsaved_event(reason: str) -> tuple[str, str]:
    """Event and reason of a trial whose state could not be saved; logged once per stage."""
    return CHECKPOINT_NOT_WRITTEN, f"{reason}; if its worker is lost, the epochs since are repeated"


def sent_event(step: Step, *, again: bool) -> tuple[str, str]:
    """Event and reason of a trial that starts or (``again``) resumes."""
    return RESUMED if again else STARTED, f"to epoch {step.until}: {step.reason}"


def paused_event(curve: Curve, decision: Decision) -> tuple[str, str]:
    """Event and reason of a paused trial, which keeps its checkpoint."""
    return PAUSED, f"{decision.reason}; {_spared(curve, decision)}"


def ended_event(curve: Curve, decision: Decision | None, policy_reason: str) -> tuple[str, str]:
    """Final event and reason of a trial; a paused one is frozen, with the reason why the policy is done."""
    if curve.state == "finished":
        return COMPLETED, ""
    if curve.state == "failed":
        return FAILED, decision.reason if decision else ""
    if curve.state == "stopped":
        return STOPPED, f"{decision.reason if decision else ''}; {_spared(curve, decision)}"
    return FROZEN, f"{policy_reason}; {_spared(curve, decision)}"


def predicted_values(curve: Curve, decision: Decision | None) -> dict[str, float]:
    """Predicted final accuracy of a stopped or paused trial and, if known, its standard deviation, by metric."""
    if decision is None or curve.state not in ("paused", "stopped") or not math.isfinite(decision.prediction):
        return {}
    values = {PREDICTED: decision.prediction}
    return values | ({PREDICTED_SD: decision.sd} if math.isfinite(decision.sd) else {})


def _spared(curve: Curve, decision: Decision | None) -> str:
    saved = f", {decision.saved_epochs:g} epochs saved" if decision is not None else ""
    return (f"after epoch {curve.last_epoch}" if curve.epochs else "not started") + saved
