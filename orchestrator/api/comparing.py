"""Agreement of two orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from taurank.orchestrator.tau import Agreement, AgreementError, agreement

Scores = ArrayLike | Mapping[str, float] | pd.Series


def kendall_tau(x: Scores, y: Scores, *, level: float = 0.95) -> Agreement:
    """Kendall's tau-b of two score lists of the same candidates, with its interval.

    Both are scores of which the higher ones are better, or both of which the lower ones are. The interval is for
    candidates drawn in the same way: a jackknife over candidates on the scale of artanh(tau).

    Args:
        x: scores, (candidates,). Candidates with a score that is not finite on either side are ignored.
        y: scores in the same order. If both are mappings or Series, candidates are matched by their keys.
        level: of the interval, in (0, 1).

    Returns:
        Object with ``tau`` in [-1, 1] (1 is the same order, NaN where one side is constant), ``low`` and ``high`` of
        the interval, ``n`` candidates compared, ``ties`` pairs tied on either side, ``spearman`` and ``pearson``.

    Raises:
        AgreementError: lists of different lengths, scores that are not numbers, or a level outside (0, 1).

    Example:
        >>> import taurank
        >>> found = taurank.kendall_tau([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5])
        >>> round(found.tau, 3), found.n
        (0.867, 6)
        >>> taurank.kendall_tau({"a": 1, "b": 2, "c": 3}, {"c": 0.9, "a": 0.1, "b": 0.5}).tau
        1.0
    """
    if not 0 < level < 1:
        raise AgreementError(f"level is {level}; it has to be between 0 and 1, such as 0.95")
    if isinstance(x, Mapping | pd.Series) and isinstance(y, Mapping | pd.Series):
        first, second = _by_key(x, "x"), _by_key(y, "y")
        x, y = first.align(second, join="inner")
    return agreement(_numbers(x, "x"), _numbers(y, "y"), level=level)


def _by_key(scores: Mapping[str, float] | pd.Series, name: str) -> pd.Series:
    series: pd.Series = pd.Series(scores)
    if not series.index.is_unique:
        raise AgreementError(f"{name} has {series.index[series.index.duplicated()][0]!r} twice")
    return series


def _numbers(scores: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(scores, dtype=float)
    except (TypeError, ValueError):
        raise AgreementError(f"{name} has a score that is not a number") from None
