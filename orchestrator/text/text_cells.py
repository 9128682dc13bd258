"""CSV files as text: every cell as it was written."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class CsvError(ValueError):
    """A file that is not a CSV with a header, in one line."""


def read_text_cells(file: Path) -> pd.DataFrame:
    """A CSV with all cells as text, so that codes such as ``0312``, ``1e5`` and ``NA`` stay as they are.

    Spaces around the names of columns are removed.

    Raises:
        CsvError: it cannot be read, or rows have more cells than the header.
    """
    import pandas as pd  # takes most of a second, which commands without tables do not spend

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False)
    except pd.errors.ParserWarning:
        raise CsvError(f"{file}: rows have more cells than the header; each column needs a name") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise CsvError(f"{file} cannot be read as CSV: {reason}") from None
    return table.rename(columns=str.strip)
