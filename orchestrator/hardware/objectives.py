"""Accuracy and cost as one number: the objectives of hardware-aware searches.

Sources: Tan et al., MnasNet (CVPR 2019), equation 2 and section 3; Cai et al., ProxylessNAS (ICLR 2019), section 3.3,
and its code; Wu et al., FBNet (CVPR 2019), equation 2.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Kind = Literal["mnasnet-soft", "mnasnet-hard", "multiplicative-log", "additive-linear", "ratio"]
KINDS: tuple[str, ...] = get_args(Kind)
SOFT = -0.07
"""Doubling the latency offsets five percent of the accuracy: 2 ** -.07 = .9526."""
RATIO = 0.1
LOG_ALPHA, LOG_BETA = 0.2, 0.6
"""FBNet's; the logarithm of ProxylessNAS is divided by that of a reference, and has another exponent."""
LOG_BETA_BY_REFERENCE = 0.3
LINEAR = 0.1

Values = NDArray[np.float64]


class ObjectiveError(ValueError):
    """Values for which an objective is not defined; one line with the way out."""


def weighted_product(
    accuracy: ArrayLike, cost: ArrayLike, target: float, *, within: float = SOFT, beyond: float = SOFT
) -> Values:
    """MnasNet's ``accuracy * (cost / target) ** w``; higher is better.

    ``w`` is ``within`` if the cost is at most the target, else ``beyond``. The exponents are at most 0. Soft: both
    -.07. Hard: 0 and -1, so that a cost below the target has no advantage.

    Raises:
        ObjectiveError: a cost or the target is not above 0, or an exponent is above 0.
    """
    costs = _costs(cost, target)
    if within > 0 or beyond > 0:
        raise ObjectiveError(f"within, beyond: {within:g} and {beyond:g} reward cost; give exponents of at most 0")
    exponents = np.where(costs <= target, within, beyond)
    return np.asarray(accuracy, dtype=float) * (costs / target) ** exponents


def ratio(accuracy: ArrayLike, cost: ArrayLike, target: float, *, exponent: float = RATIO) -> Values:
    """ProxylessNAS's reward for REINFORCE, ``accuracy * (target / cost) ** exponent``; higher is better.

    Raises:
        ObjectiveError: a cost or the target is not above 0, or the exponent is below 0.
    """
    if exponent < 0:
        raise ObjectiveError(f"exponent: {exponent:g} rewards cost; give one of at least 0")
    return np.asarray(accuracy, dtype=float) * (target / _costs(cost, target)) ** exponent


def multiplicative_log(
    loss: ArrayLike,
    latency: ArrayLike,
    *,
    alpha: float = LOG_ALPHA,
    beta: float | None = None,
    reference: float | None = None,
) -> Values:
    """FBNet's ``loss * alpha * log(latency) ** beta``; lower is better.

    With a ``reference`` it is ProxylessNAS's, ``loss * alpha * (log latency / log reference) ** beta``. Without a
    ``beta`` it is .6, with a reference .3, as in their scripts; alpha is .2 in both. Latencies are in milliseconds: the
    logarithm makes the unit matter.

    Raises:
        ObjectiveError: a latency or the reference is at most 1 ms, where the logarithm is not a measure of cost.
    """
    milliseconds = np.asarray(latency, dtype=float)
    shortest = min(np.nanmin(milliseconds, initial=np.inf), np.inf if reference is None else reference)
    if shortest <= 1:
        raise ObjectiveError(
            f"multiplicative-log takes the logarithm of milliseconds, which is not a cost at {shortest:.3g} ms: all "
            "have to be above 1 ms; measure larger batches, or use mnasnet-soft"
        )
    logarithm = np.log(milliseconds) / (1.0 if reference is None else np.log(reference))
    if beta is None:
        beta = LOG_BETA if reference is None else LOG_BETA_BY_REFERENCE
    penalised: Values = np.asarray(loss, dtype=float) * alpha * logarithm**beta
    return penalised


def additive_linear(loss: ArrayLike, cost: ArrayLike, target: float, *, weight: float = LINEAR) -> Values:
    """ProxylessNAS's ``loss + weight * (cost - target) / target``; lower is better.

    Raises:
        ObjectiveError: a cost or the target is not above 0, or the weight is below 0.
    """
    if weight < 0:
        raise ObjectiveError(f"weight: {weight:g} rewards cost; give one of at least 0")
    return np.asarray(loss, dtype=float) + weight * (_costs(cost, target) - target) / target


def objective(kind: Kind, accuracy: ArrayLike, cost: ArrayLike, target: float) -> Values:
    """The objective of accuracies in [0, 1], with its sign such that higher is better; NaN where an input is NaN.

    Two of them are defined for a cross-entropy, which a predicted accuracy does not have. It is replaced by
    ``-ln(accuracy)``, the cross-entropy of a network that gives every correct class the probability ``accuracy``.

    Args:
        kind: which; ``mnasnet-*`` and ``ratio`` multiply the accuracy, the others penalise the loss.
        accuracy: in [0, 1], (candidates,).
        cost: latency in milliseconds, FLOPs or parameters, (candidates,).
        target: cost to aim at, in the same unit; ``multiplicative-log`` has it as its reference.

    Raises:
        ObjectiveError: see the individual functions.
    """
    accuracies = np.asarray(accuracy, dtype=float)
    if kind == "mnasnet-soft":
        return weighted_product(accuracies, cost, target)
    if kind == "mnasnet-hard":
        return weighted_product(accuracies, cost, target, within=0.0, beyond=-1.0)
    if kind == "ratio":
        return ratio(accuracies, cost, target)
    with np.errstate(divide="ignore"):
        loss = -np.log(accuracies)
    if kind == "multiplicative-log":
        return -multiplicative_log(loss, cost, reference=target)
    return -additive_linear(loss, cost, target)


def _costs(cost: ArrayLike, target: float) -> Values:
    costs = np.asarray(cost, dtype=float)
    if not target > 0:
        raise ObjectiveError(f"target: {target:g} is not above 0; give the latency or size to aim at")
    if np.any(costs <= 0):
        raise ObjectiveError(f"cost: {np.nanmin(costs):g} is not above 0; a network without cost has no objective")
    return costs
