"""The one format of recorded trainings: long, one row per number, in a parquet file.

| column | type | what |
|---|---|---|
| `architecture` | text | in the spelling of its search space |
| `source` | text | what produced the number, see below |
| `epoch` | int32 | epochs trained so far, 0 for what is not trained |
| `schedule_epochs` | int32 | length of the schedule that the epoch belongs to, 0 for none or an unknown one |
| `seed` | int32 | of the training; -1 for a mean over seeds or an unknown seed |
| `metric` | text | name of the number; `TableInfo.metrics` describes it |
| `value` | float64 | the number, always finite: what is missing has no row |
| `seconds` | float64 | cost of this row since the previous epoch of the same training; NaN where it is unknown |

A training is one (architecture, source, schedule_epochs, seed); it is complete where epoch equals schedule_epochs. The
rows of one epoch of one training share one booking: its seconds (or NaN) stand on one of them and 0 on the others, so
sums are right.

Sources: `training`; `training:NAME` for trainings under other conditions; `size` (`parameters`, `flops`); `encoding`
(one row per entry of an architecture's own numeric encoding); `proxy:NAME` (`score`); `supernet:NAME`
(`validation_accuracy`, with `validation_accuracy_sd` over draws of images where it is known);
`supernet:NAME:contenders` (trained on from its weights); `hardware:DEVICE` (`latency`, `energy`). Accuracies are shares
in [0, 1].

Text columns are dictionary-encoded and pages are compressed with zstd. What the table is about stands as JSON in the
metadata of the parquet schema, under one key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

FORMAT = 1
KEY = b"taurank.table"
"""Where the parquet schema keeps `TableInfo`."""

TEXT = ("architecture", "source", "metric")
WHOLE = ("epoch", "schedule_epochs", "seed")
COLUMNS = ("architecture", "source", "epoch", "schedule_epochs", "seed", "metric", "value", "seconds")
IDENTITY = COLUMNS[:6]
"""Columns that together occur once."""

TRAINING_SOURCE = "training"

Direction = Literal["higher", "lower", "none"]


class TableError(ValueError):
    """A table, or a file to make one from, that cannot be used; one line with the way out."""


@dataclass(frozen=True)
class Metric:
    """Meaning of a metric.

    Attributes:
        direction: which end is better; "none" for what is neither.
        unit: `share` of [0, 1], `nats`, `ms` ...; empty for numbers without one.
        category: the number is a label, such as the index of an operation: to be one-hot encoded, not to be compared.
    """

    direction: Direction = "none"
    unit: str = ""
    category: bool = False

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise TableError(f"direction: {self.direction!r} is none of {', '.join(get_args(Direction))}")


@dataclass(frozen=True)
class TableInfo:
    """Description of a table.

    Attributes:
        space: name of the search space, registered with taurank or not.
        data: name of the data set that the architectures were trained on.
        metrics: every metric that occurs in the rows.
        space_options: what the space is made with.
        origin: where the numbers come from.
        licence: of the numbers.
        notes: what a reader has to know before trusting a number.
    """

    space: str
    data: str
    metrics: Mapping[str, Metric]
    space_options: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()
