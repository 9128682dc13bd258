"""Stop each training as soon as the extrapolation of its curve has settled."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from taurank.schedulers.curves import Convergence, PenguinConfig, converge
from taurank.schedulers.policies.full import whole_trainings
from taurank.schedulers.policies.options import require_integer, require_number
from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits
from taurank.schedulers.policies.standing import drawn_order, has_ended


@dataclass(frozen=True)
class PenguinPolicy:
    """Decides on each curve alone and stops it when its last predictions agree; never pauses.

    Caveats: it saves epochs, but an equal cut for all saves as many at no loss of order; the bias of its predictions
    differs between architectures, so its stops are sounder evidence than the order of its predictions. Curves near
    chance settle at once.

    Example:
        >>> from taurank.schedulers.policies import Curve, Limits
        >>> flat = Curve("a", epochs=(1, 2, 3, 4, 5, 6), values=(0.1,) * 6, state="running", until=40)
        >>> PenguinPolicy().decide({"a": flat}, Limits(40)).trials["a"].action
        'stop'

    Attributes:
        window: how many successive predictions have to agree.
        tolerance_points: how far each of them may lie from their median, in accuracy points.
        minimum_points: nominal number of points of the first fit; see ``PenguinConfig``.
        seed: of the order in which trials start.
    """

    judges_running: ClassVar[bool] = True

    window: int = 3
    tolerance_points: float = 0.5
    minimum_points: int = 3
    seed: int = 0
    # The last curve of each trial and its convergence. It saves fits and never changes a decision.
    _memory: dict[tuple[str, int, int], tuple[Curve, Convergence]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        require_integer("window", self.window, at_least=1)
        require_number("tolerance_points", self.tolerance_points, above=0)
        require_integer("minimum_points", self.minimum_points, at_least=3)
        require_integer("seed", self.seed, at_least=0)

    def config(self, schedule_epochs: int) -> PenguinConfig:
        """Settings of the engine; its ``x`` is the epoch, and it predicts the end of the schedule."""
        return PenguinConfig(
            target=float(schedule_epochs),
            window=self.window,
            tolerance=self.tolerance_points,
            minimum_points=self.minimum_points,
        )

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        A stop carries the prediction at which the window settled, or the measured accuracy of a finished schedule. A
        trial that continues carries the latest extrapolation, nan where there is none in (0, 1].

        Raises:
            ValueError: a metric other than accuracy, or a budget below one training.
        """
        if limits.metric != "accuracy":
            raise ValueError(
                f"metric must be accuracy for the policy penguin, got {limits.metric!r}; take another policy"
            )
        open_curves = [curve for curve in curves.values() if curve.epochs and not has_ended(curve, limits)]
        verdicts = {curve.trial: self._judge(curve, limits) for curve in open_curves}
        return whole_trainings(curves, limits, drawn_order(curves, self.seed), verdicts)

    def _judge(self, curve: Curve, limits: Limits) -> Decision:
        # Under a cyclic learning rate only points at equal phase lie on one curve.
        shown = [place for place, epoch in enumerate(curve.epochs) if epoch % limits.period == 0]
        epochs = [curve.epochs[place] for place in shown]
        convergence = self._converge(curve, limits, epochs, [100 * curve.values[place] for place in shown])
        if convergence.stop_index is not None:
            epoch = epochs[convergence.stop_index]
            reason = f"the last {self.window} predictions agree within {self.tolerance_points} points at epoch {epoch}"
            saved = float(limits.schedule_epochs - curve.last_epoch)
            return Decision("stop", reason, convergence.prediction / 100, saved_epochs=saved)
        latest = convergence.predictions[-1] / 100 if convergence.predictions else math.nan
        return Decision("continue", "predictions have not settled", latest if 0 < latest <= 1 else math.nan)

    def _converge(self, curve: Curve, limits: Limits, epochs: list[int], percent: list[float]) -> Convergence:
        key = (curve.trial, limits.schedule_epochs, limits.period)
        known, previous = self._memory.get(key, (None, None))
        if known == curve and previous is not None:
            return previous
        if known is not None and not _begins_with(curve, known):
            previous = None
        convergence = converge(epochs, percent, self.config(limits.schedule_epochs), previous)
        self._memory[key] = curve, convergence
        return convergence


def _begins_with(curve: Curve, beginning: Curve) -> bool:
    n = len(beginning.epochs)
    return curve.epochs[:n] == beginning.epochs and curve.values[:n] == beginning.values
