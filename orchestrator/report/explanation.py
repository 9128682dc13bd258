"""The explanation of one candidate of a run, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from taurank.orchestrator.evidence import ACCURACY, RankedMetric


@dataclass(frozen=True)
class TrainingStage:
    """Trainings that are compared with each other.

    Attributes:
        name: of the stage.
        schedule_epochs: length of their schedule.
        trials: the architecture of each, by name.
        choice: how the trained candidates were selected, as text; empty if all are trained, or if it is not recorded.
        drops: epochs after which their learning rate drops suddenly.
    """

    name: str
    schedule_epochs: int
    trials: Mapping[str, str]
    choice: str = ""
    drops: tuple[float, ...] = ()


@dataclass(frozen=True)
class Event:
    """An event of a training.

    Attributes:
        time: Unix seconds.
        event: as recorded in the log.
        reason: its reason.
    """

    time: float
    event: str
    reason: str


@dataclass(frozen=True)
class FinalForecast:
    """The ladder's forecast for the end of the schedule, from the curves of all trials of the stage.

    Attributes:
        accuracy: in [0, 1]; the measured one if the training is complete.
        low: 5 % quantile.
        high: 95 % quantile.
        place: among the trials with results, 1 is best.
        of: number of these trials.
    """

    accuracy: float
    low: float
    high: float
    place: int
    of: int


@dataclass(frozen=True)
class Training:
    """One training of the candidate.

    Attributes:
        trial: its name.
        stage: its stage.
        is_evidence: whether the ranking may use it; False for the baseline.
        state: its current state, as text.
        schedule_epochs: length of its schedule.
        epochs: epochs at which it was validated.
        accuracies: validation accuracy at these epochs, in [0, 1], or the user's own metric; NaN where it diverged.
        forecast: of its end; None before the first result.
        decisions: its events, in order.
        cost_epochs: epochs trained.
        cost_seconds: device seconds.
        saved_epochs: untrained epochs of its schedule.
    """

    trial: str
    stage: str
    is_evidence: bool
    state: str
    schedule_epochs: int
    epochs: tuple[int, ...]
    accuracies: tuple[float, ...]
    forecast: FinalForecast | None
    decisions: tuple[Event, ...]
    cost_epochs: float
    cost_seconds: float
    saved_epochs: int


@dataclass(frozen=True)
class Standing:
    """Its place in the ranking.

    Attributes:
        rank: 1 is best.
        of: candidates.
        rank_low: its 90 % interval ...
        rank_high: ... of ranks.
        best_probability: that no other is better.
        accuracy: predicted final accuracy; NaN if no candidate was trained to the end.
        accuracy_low: its 90 % interval ...
        accuracy_high: ... of accuracies.
        certainty: the calibration of the intervals; see ``Ranking``.
        full_trainings: that predicted accuracies rest on.
        problem: which of its trainings failed, and why; empty if none did.
    """

    rank: int
    of: int
    rank_low: float
    rank_high: float
    best_probability: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    certainty: str
    full_trainings: int
    problem: str


@dataclass(frozen=True)
class Rival:
    """A candidate that is close in the order.

    Attributes:
        architecture: code.
        name: short name.
        place: 1 is best.
        probability: that the explained candidate ends above this one.
    """

    architecture: str
    name: str
    place: int
    probability: float


@dataclass(frozen=True)
class CheapEvidence:
    """A value from a source that does not train the candidate with labels.

    Attributes:
        source: ``size``, ``proxy:...``, ``supernet:...``, ``latency``, or the stage of a pretext task.
        metric: name of the value.
        value: the value; NaN if it could not be computed.
        place: by value, 1 is the highest, or the lowest if lower is better; 0 without a value.
        of: number of candidates with a value.
        weight: in the ranking, in [0, 1]; 0 if unused, NaN without a ranking and for costs. Sizes share one weight,
            and so do several supernets, and several pretext tasks.
        lower_is_better: direction of the value.
        reason: why there is no value; empty if there is one, or if the reason is unknown.
        sd: standard deviation of the value over draws of images; NaN if unknown.
        updates: number of times that a supernet trained exactly this candidate; NaN for other sources.
    """

    source: str
    metric: str
    value: float
    place: int
    of: int
    weight: float
    lower_is_better: bool = False
    reason: str = ""
    sd: float = math.nan
    updates: float = math.nan


@dataclass(frozen=True)
class Explanation:
    """The evidence and decisions behind the rank of a candidate.

    Attributes:
        architecture: code.
        name: short name.
        standing: place in the ranking; None without one.
        rivals: the closest candidates, best first.
        rivals_by: ``ranking``, or the stage whose forecast defines the rivals; empty without any.
        passed_over: stages that did not select the candidate, with the selection as text.
        trainings: in the order of the stages.
        other_evidence: of sources without training, and of knowledge.
        cost_epochs: of all its evidence, in epochs; shared costs such as a supernet are not included.
        cost_seconds: the same in device seconds.
        metric: what values of trainings are.
    """

    architecture: str
    name: str
    standing: Standing | None
    rivals: tuple[Rival, ...]
    rivals_by: str
    passed_over: tuple[tuple[str, str], ...]
    trainings: tuple[Training, ...]
    other_evidence: tuple[CheapEvidence, ...]
    cost_epochs: float
    cost_seconds: float
    metric: RankedMetric = ACCURACY
