"""What the evidence may cost, as it is written in files and on the command line.

A budget is an amount of a unit: how many times cheaper than full training (in epochs, or in the seconds of devices), an
amount of wall-clock time, or an amount of device time. All of them become the first, once the seconds of an epoch of
every candidate are measured (`planning.Pace`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

EPOCHS, SECONDS = "x", "x seconds"
WALL = {"s": 1.0, "m": 60.0, "h": 3600.0}
"""Units of wall-clock time, in seconds."""
DEVICES = {"gpu-minutes": 60.0, "gpu-hours": 3600.0, "core-minutes": 60.0, "core-hours": 3600.0}
"""Units of device time, in seconds."""
FORMS = "10x, 10x seconds, 4h, 30m, 90s, 30 gpu-hours or 8 core-hours"
_FORM = re.compile(r"(?P<amount>[0-9]+(\.[0-9]+)?)(?P<unit>| ?x|x seconds|[smh]| (gpu|core)-(minutes|hours))")
_MEANT = re.compile(
    r"(?P<amount>[0-9]+(\.[0-9]+)?)(?P<times>x?)(?P<device>gpu|core)?"
    r"((?P<h>h|hr|hrs|hour)|(?P<m>m|min|mins|minute)|(?P<s>s|sec|secs|second))s?"
)


class BudgetError(ValueError):
    """A budget that cannot be read or kept; one line with the way out."""


@dataclass(frozen=True)
class Budget:
    """An amount of a unit; ``str`` gives its normal spelling.

    Attributes:
        amount: at least 1 of a unit that is a factor, above 0 of the others.
        unit: ``EPOCHS``, ``SECONDS``, or one of ``WALL`` or ``DEVICES``.
    """

    amount: float
    unit: str = EPOCHS

    @property
    def is_time(self) -> bool:
        """Whether seconds are counted, so that those of an epoch have to be known."""
        return self.unit != EPOCHS

    @property
    def is_wall(self) -> bool:
        """Whether wall-clock time is counted, which depends on how many candidates are trained at once."""
        return self.unit in WALL

    @property
    def factor(self) -> float | None:
        """How many times cheaper than full training of all candidates; None for an amount of time."""
        return self.amount if self.unit in (EPOCHS, SECONDS) else None

    @property
    def is_full(self) -> bool:
        """Whether it is full training of all candidates, whatever that takes."""
        return self.factor == 1

    @property
    def seconds(self) -> float | None:
        """The amount of time; None for a factor."""
        scale = (WALL | DEVICES).get(self.unit)
        return None if scale is None else self.amount * scale

    @property
    def in_words(self) -> str:
        """As the head of a plan has it."""
        if self.is_full:
            return f"{self}, full training of all"
        if self.unit == SECONDS:
            return f"{self.amount:.15g}x cheaper in seconds"
        return f"{self} cheaper" if self.unit == EPOCHS else str(self)

    def plus(self, more: Budget, spent: float) -> Budget:
        """The budget of an extended run: a factor replaces this one, an amount of time is added.

        Args:
            more: what the extension is given.
            spent: seconds that the run has spent, as ``more`` counts them: an amount of time is added to these where
                this budget is of another kind.
        """
        if more.seconds is None:
            return more
        same = self.seconds is not None and (self.is_wall, self.device) == (more.is_wall, more.device)
        before = self.seconds if same and self.seconds is not None else spent
        return Budget((before + more.seconds) / (WALL | DEVICES)[more.unit], more.unit)

    @property
    def device(self) -> str:
        """``gpu`` or ``core`` where its time is counted by name; else empty."""
        return self.unit.partition("-")[0] if self.unit in DEVICES else ""

    def __str__(self) -> str:
        return f"{self.amount:.15g}{' ' if self.unit in DEVICES else ''}{self.unit}"


def read_budget(budget: object) -> Budget:
    """A budget as text or as a number: ``10x``, ``10``, 2.5, ``10x seconds``, ``4h``, ``90s``, ``30 gpu-hours``.

    Raises:
        BudgetError: it is none, or too small an amount.
    """
    text = f"{budget:.15g}" if isinstance(budget, float) else str(budget)
    found = _FORM.fullmatch(text.strip().lower())
    if isinstance(budget, bool) or found is None:
        raise BudgetError(f"{budget} is no budget{_meant(text)}: write {FORMS}")
    read = Budget(float(found["amount"]), found["unit"].strip() or EPOCHS)
    if read.factor is not None and not 0 < read.factor < math.inf:
        raise BudgetError(f"{budget} is no budget: write {FORMS}")
    if read.factor is not None and read.factor < 1:
        raise BudgetError(f"{budget} is more than full training of all candidates, which is 1x: write 1x and above")
    if read.seconds is not None and not 0 < read.seconds < math.inf:
        raise BudgetError(f"{budget} is no time: write an amount above 0")
    return read


def read_factor(budget: object) -> float:
    """How many times cheaper in epochs a budget is, where nothing measures seconds.

    Raises:
        BudgetError: it is none, or an amount of time.
    """
    read = read_budget(budget)
    if read.unit != EPOCHS:
        raise BudgetError(f"{budget} counts seconds, which are not measured here: write how many times cheaper, as 10x")
    return read.amount


def _meant(text: str) -> str:
    """The budget that was probably meant; empty where that is not clear."""
    found = _MEANT.fullmatch(re.sub(r"[\s_-]", "", text.strip().lower())) if not text.strip().startswith("-") else None
    if found is None:
        return ""
    unit = next(name for name in WALL if found[name])
    if found["times"]:
        return f" (perhaps {found['amount']}x seconds)" if unit == "s" and not found["device"] else ""
    if found["device"]:
        long = {"h": "hours", "m": "minutes"}.get(unit)
        return f" (perhaps {found['amount']} {found['device']}-{long})" if long else ""
    return f" (perhaps {found['amount']}{unit})"
