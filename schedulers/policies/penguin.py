"""Stop each training as soon as the extrapolation of its curve has settled."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from schedulers.curves.penguin import Convergence, PenguinConfig, converge
from schedulers.policies.policy import Curve, Decision


@dataclass(frozen=True)
class _Memory:
    curve: Curve
    convergence: Convergence
    decision: Decision


@dataclass(frozen=True)
class PenguinPolicy:
    """Looks at each curve alone and stops it when its last predictions agree; never pauses.

    Caveats: it saves epochs, but an equal cut for all saves as many at no loss of order; the bias of its predictions
    differs between architectures, so its stops are sounder evidence than the order of its predictions. Curves near
    chance settle at once.

    Example:
        >>> from schedulers.policies import Curve
        >>> policy = PenguinPolicy(schedule_epochs=40)
        >>> flat = Curve("a", epochs=(1, 2, 3, 4, 5, 6), values=(0.1,) * 6)
        >>> policy.decide({"a": flat})["a"].action
        'stop'

    Attributes:
        schedule_epochs: length of the schedule, where the prediction is made.
        window: how many successive predictions have to agree.
        tolerance_points: how far each of them may lie from their median, in accuracy points.
        minimum_points: nominal number of points of the first fit; see ``PenguinConfig``.

    Raises:
        ValueError: a value is outside its range.
    """

    schedule_epochs: int
    window: int = 3
    tolerance_points: float = 0.5
    minimum_points: int = 3
    # What was last computed for each trial. It spares fits and never changes a decision.
    _memory: dict[str, _Memory] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.schedule_epochs < 1:
            raise ValueError(f"schedule_epochs must be at least 1, got {self.schedule_epochs!r}")
        if not (math.isfinite(self.tolerance_points) and self.tolerance_points > 0):
            raise ValueError(f"tolerance_points must be a finite number above 0, got {self.tolerance_points!r}")
        _ = self.config  # its own checks name the remaining fields

    @property
    def config(self) -> PenguinConfig:
        """Settings of the engine; its ``x`` is the epoch."""
        return PenguinConfig(
            target=float(self.schedule_epochs),
            window=self.window,
            tolerance=self.tolerance_points,
            minimum_points=self.minimum_points,
        )

    def decide(self, curves: Mapping[str, Curve]) -> dict[str, Decision]:
        """Return a decision for each curve.

        A stop carries the prediction at which the window settled, or the measured accuracy of a finished schedule. A
        trial that goes on carries the latest extrapolation, nan where there is none in (0, 1].
        """
        return {trial: self._decide(curve) for trial, curve in curves.items()}

    def _decide(self, curve: Curve) -> Decision:
        if not curve.epochs:
            return Decision("continue", "no epoch yet", math.nan)
        if not math.isfinite(curve.values[-1]):
            return Decision("stop", "non-finite", math.nan)
        if curve.epochs[-1] >= self.schedule_epochs:
            return Decision("stop", "end of schedule", curve.values[-1])
        known = self._memory.get(curve.trial)
        if known is not None and known.curve == curve:
            return known.decision
        previous = known.convergence if known is not None and _begins_with(curve, known.curve) else None
        convergence = converge(curve.epochs, [100 * value for value in curve.values], self.config, previous)
        decision = self._judge(curve, convergence)
        self._memory[curve.trial] = _Memory(curve, convergence, decision)
        return decision

    def _judge(self, curve: Curve, convergence: Convergence) -> Decision:
        if convergence.stop_index is not None:
            epoch = curve.epochs[convergence.stop_index]
            reason = f"the last {self.window} predictions agree within {self.tolerance_points} points at epoch {epoch}"
            return Decision("stop", reason, convergence.prediction / 100)
        latest = convergence.predictions[-1] / 100
        return Decision("continue", "predictions have not settled", latest if 0 < latest <= 1 else math.nan)


def _begins_with(curve: Curve, beginning: Curve) -> bool:
    n = len(beginning.epochs)
    return curve.epochs[:n] == beginning.epochs and curve.values[:n] == beginning.values
