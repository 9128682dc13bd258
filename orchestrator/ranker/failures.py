"""Trainings that failed, and the candidates about which they leave nothing to say.

A training has failed when its last accuracy is missing: its loss became NaN, memory ran out, its worker was lost. What
it measured before does not stand for its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from taurank.orchestrator.evidence import PRETEXT

UNKNOWN = "no accuracy is recorded"
"""Reason of a failure that the log gives none for."""


@dataclass(frozen=True)
class Failures:
    """Failed trainings by candidate.

    Attributes:
        problems: what its row says, by code: ``failed: reason`` where no training came to a result, else ``STAGE
            failed: reason``. Candidates without a failed training are absent.
        entirely: candidates all of whose trainings failed.
        undecided: these, and candidates whose longest trainings failed: nothing is known of the end of full training.
    """

    problems: dict[str, str]
    entirely: frozenset[str]
    undecided: frozenset[str]


def find_failures(evidence: pd.DataFrame, candidates: Sequence[str], reasons: Mapping[str, str]) -> Failures:
    """Failures from the rows of an evidence log.

    Args:
        evidence: rows as ``EvidenceLog.evidence`` gives them.
        candidates: codes.
        reasons: why trainings failed, by trial.
    """
    trained = (evidence["source"] == "training") | evidence["source"].str.startswith(PRETEXT)
    rows = evidence[trained & (evidence["metric"] == "validation_accuracy")]
    last = rows[rows["architecture"].isin(list(candidates))].sort_values("epoch", kind="stable")
    last = last.groupby("trial", sort=False).tail(1)
    failed = last["value"].isna()
    if not failed.any():
        return Failures({}, frozenset(), frozenset())
    share = last.get("epoch_share", 1.0)
    # A pretext task is no part of the way to the end of full training, however long it is.
    length = (last["schedule_epochs"] * share).where(last["source"] == "training", 0.0)
    trained_to = length[~failed].groupby(last["architecture"]).max()
    broke_at = length[failed].groupby(last["architecture"]).max()
    entirely = frozenset(broke_at.index.difference(trained_to.index))
    longer = broke_at > trained_to.reindex(broke_at.index, fill_value=-1.0)
    problems: dict[str, list[str]] = {}
    for stage, trial, code in last.loc[failed, ["stage", "trial", "architecture"]].itertuples(index=False):
        where = "" if code in entirely else f"{stage} "
        problems.setdefault(code, []).append(f"{where}failed: {reasons.get(trial) or UNKNOWN}")
    texts = {code: "; ".join(dict.fromkeys(own)) for code, own in problems.items()}
    return Failures(texts, entirely, frozenset(longer.index[longer]))
