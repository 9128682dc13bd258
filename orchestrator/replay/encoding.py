"""Architectures as numbers: the features of their space, or the encoding that their table brings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from spaces import Architecture, SearchSpace
from trainables.table import RecordedTable

ENCODING = "encoding"
"""Source of the entries of an architecture's own encoding."""


def encode(table: RecordedTable, space: SearchSpace | None, codes: Sequence[str]) -> pd.DataFrame:
    """Features of the architectures, (architectures, features), all finite; no columns where nothing is known.

    Of a registered space they are its own. Otherwise those of the table: numbers as they are, labels one-hot; an entry
    that an architecture does not have is 0, and a column of its own says so. Columns are sorted by name.
    """
    index = pd.Index(codes, name="architecture")
    if space is not None:
        rows = [space.features(Architecture(space.name, code)) for code in codes]
        return pd.DataFrame(rows, index=index, columns=list(space.feature_names), dtype=float)
    if ENCODING not in table.sources:
        return pd.DataFrame(index=index)
    columns: list[pd.Series | pd.DataFrame] = []
    for name, values in table.wide(ENCODING).reindex(index).items():
        if table.info.metrics[str(name)].category:
            columns.append(pd.get_dummies(values, prefix=str(name), prefix_sep="=", dtype=float))
            continue
        columns.append(values.fillna(0.0).rename(str(name)))
        if values.isna().any():
            columns.append(values.isna().astype(float).rename(f"{name} missing"))
    return pd.concat(columns, axis=1).sort_index(axis=1)
