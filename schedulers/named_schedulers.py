"""Schedulers for Ray Tune that bear the names of their policies."""

from __future__ import annotations

from typing import Any, ClassVar

from taurank.schedulers.curve_scheduler import CurveScheduler


class _NamedScheduler(CurveScheduler):
    """A ``CurveScheduler`` of one policy; it takes the same arguments, and Ray's names for some of the options."""

    policy: ClassVar[str]
    ray_names: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        time_attr: str = "training_iteration",
        max_t: float = 100,
        metric: str | None = None,
        mode: str | None = None,
        budget: float | None = None,
        **options: Any,
    ) -> None:
        renamed = {self.ray_names.get(name, name): value for name, value in options.items()}
        super().__init__(self.policy, time_attr, max_t, metric, mode, budget, **renamed)


class OrderSettlingScheduler(_NamedScheduler):
    """Spends a budget where it settles the order of all trials; see ``policies.order_settling``."""

    policy = "order-settling"


class AshaScheduler(_NamedScheduler):
    """ASHA by promotion: trials are paused at rungs and the best go on; see ``policies.asha``.

    ``grace_period`` is another name for ``first_rung``.
    """

    policy = "asha"
    ray_names: ClassVar[dict[str, str]] = {"grace_period": "first_rung"}


class PashaScheduler(_NamedScheduler):
    """ASHA whose last rung rises only while the order still changes; see ``policies.pasha``.

    ``grace_period`` is another name for ``first_rung``.
    """

    policy = "pasha"
    ray_names: ClassVar[dict[str, str]] = {"grace_period": "first_rung"}


class SuccessiveHalvingScheduler(_NamedScheduler):
    """Synchronous halving; see ``policies.successive_halving``. ``grace_period`` is another name for ``first_rung``."""

    policy = "successive-halving"
    ray_names: ClassVar[dict[str, str]] = {"grace_period": "first_rung"}


class HyperbandScheduler(_NamedScheduler):
    """Several halvings that begin at different rungs; see ``policies.hyperband``."""

    policy = "hyperband"


class MedianScheduler(_NamedScheduler):
    """Stops a trial that is worse than the median of the others; see ``policies.median``.

    ``grace_period`` is another name for ``first_epoch``, ``min_samples_required`` for ``minimum_others``.
    """

    policy = "median"
    ray_names: ClassVar[dict[str, str]] = {"grace_period": "first_epoch", "min_samples_required": "minimum_others"}


class PenguinScheduler(_NamedScheduler):
    """Stops a trial when the extrapolation of its curve has settled; see ``policies.penguin``."""

    policy = "penguin"


class BeatingScheduler(_NamedScheduler):
    """Stops a trial that is unlikely to beat the best finished one; see ``policies.beating``."""

    policy = "beating"


class UniformScheduler(_NamedScheduler):
    """Trains all trials for the same time; see ``policies.uniform``."""

    policy = "uniform"


class FullScheduler(_NamedScheduler):
    """Trains one trial after the other to the end, within the budget; see ``policies.full``."""

    policy = "full"
