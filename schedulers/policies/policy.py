"""What a policy sees and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Action = Literal["continue", "pause", "stop"]


@dataclass(frozen=True)
class Curve:
    """The learning curve of one trial so far.

    Attributes:
        trial: name of the trial.
        epochs: epochs trained at each point, counted from 1, rising.
        values: validation accuracy in [0, 1] at these epochs, higher is better; not finite where training diverged.

    Raises:
        ValueError: the two rows differ in length, or the epochs do not rise.
    """

    trial: str
    epochs: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.epochs) != len(self.values):
            raise ValueError(
                f"epochs and values of trial {self.trial!r} must be of equal length, "
                f"got {len(self.epochs)} and {len(self.values)}"
            )
        if any(later <= earlier for earlier, later in zip(self.epochs, self.epochs[1:], strict=False)):
            raise ValueError(f"epochs of trial {self.trial!r} must rise, got {self.epochs}")


@dataclass(frozen=True)
class Decision:
    """What becomes of one trial.

    Attributes:
        action: ``continue`` (a paused trial may be resumed), ``pause`` (keep a checkpoint and wait) or ``stop``.
        reason: why, in words.
        prediction: predicted validation accuracy at the end of the schedule in [0, 1]; nan when there is none.

    Raises:
        ValueError: the action is none of the three.
    """

    action: Action
    reason: str
    prediction: float

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise ValueError(f"action must be one of {', '.join(get_args(Action))}, got {self.action!r}")


class Policy(Protocol):
    """Decides on all trials from their curves alone.

    A policy is pure: the same curves give the same decisions in whatever order they come, with no clock, no file and
    no random number that is not seeded by its constructor. So the same policy runs live and in a replay.
    """

    def decide(self, curves: Mapping[str, Curve]) -> Mapping[str, Decision]:
        """Return one decision for every curve, by trial name; trials that have ended keep their curves in here."""
        ...
