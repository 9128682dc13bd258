"""The Ray Tune trial of a supernet that a search begins with: it ends in a score of each option."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from trainables.supernet import SupernetTraining
from trainables.supernet_trials import SupernetTrial
from trainables.trials import EvidenceRow

_METRIC = "option_score"


class SearchSupernetTrial(SupernetTrial):
    """One supernet, an epoch a result; the last one also has what its sampler thinks of each option.

    That is ``option_score:DECISION:OPTION``, both by position; there is none of options that no architecture has.
    """

    def _opinions(self, work: SupernetTraining, epoch: int) -> list[EvidenceRow]:
        table = work.sampler.option_scores()
        if table is None:
            raise ValueError(f"the sampler {work.config.sampler} has no scores of options")
        return [
            ("", epoch, f"{_METRIC}:{decision}:{option}", float(table[decision, option]), 0.0, 0.0)
            for decision, option in np.argwhere(np.isfinite(table)).tolist()
        ]


def option_table(rows: Iterable[tuple[str, float]], widths: Sequence[int]) -> NDArray[np.float64] | None:
    """The scores (decisions, options of the widest) of metrics and their values; NaN for none, None without any.

    Args:
        rows: of the trial.
        widths: number of options of each decision.
    """
    table = np.full((len(widths), max(widths)), np.nan)
    for metric, value in rows:
        name, _, place = metric.partition(":")
        if name == _METRIC:
            decision, option = map(int, place.split(":"))
            table[decision, option] = value
    return table if np.isfinite(table).any() else None
