"""What is told of one candidate of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingStage:
    """Trainings that are compared with each other.

    Attributes:
        name: of the stage.
        schedule_epochs: length of their schedule.
        trials: the architecture of each, by name.
        choice: how those were chosen who are trained, in words; empty where all are, or nothing is noted.
    """

    name: str
    schedule_epochs: int
    trials: Mapping[str, str]
    choice: str = ""


@dataclass(frozen=True)
class Event:
    """What happened to a training.

    Attributes:
        time: Unix seconds.
        event: as it stands in the log.
        reason: why.
    """

    time: float
    event: str
    reason: str


@dataclass(frozen=True)
class FinalForecast:
    """What the ladder expects of the end of the schedule, from the curves of all trials of the stage.

    Attributes:
        accuracy: in [0, 1]; measured where the training has come to its end.
        low: 5 % quantile.
        high: 95 % quantile.
        place: among those of which anything is known, 1 is best.
        of: how many these are.
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
        is_evidence: whether the ranking may see it; not so in the baseline.
        state: what it does now, in words.
        schedule_epochs: length of its schedule.
        epochs: epochs at which it was validated.
        accuracies: validation accuracy there, in [0, 1]; NaN where training diverged.
        forecast: of its end; None before anything is known.
        decisions: what happened to it, in order.
        cost_epochs: epochs trained.
        cost_seconds: device seconds.
        saved_epochs: epochs up to the end of its schedule that it has not trained.
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
        accuracy: predicted final accuracy; NaN while nobody was trained to the end.
        accuracy_low: its 90 % interval ...
        accuracy_high: ... of accuracies.
        certainty: how far the intervals can be believed; see ``Ranking``.
        full_trainings: that predicted accuracies rest on.
        problem: which of its trainings failed, and why; empty where none did.
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
    """One of those that it is hardest to tell from.

    Attributes:
        architecture: code.
        name: for people.
        place: 1 is best.
        probability: that our candidate ends above it.
    """

    architecture: str
    name: str
    place: int
    probability: float


@dataclass(frozen=True)
class CheapEvidence:
    """What a source says that does not train the candidate with labels.

    Attributes:
        source: ``size``, ``proxy:...``, ``supernet:...``, ``latency``, or the stage of a pretext task.
        metric: name of the number.
        value: the number; NaN where it could not be computed.
        place: by value, 1 is the highest, or the lowest where that is better; 0 without a value.
        of: how many have one.
        weight: in the ranking, in [0, 1]; 0 where it takes no part, NaN without a ranking, and for what is a cost.
            Sizes have theirs together, and so have several supernets, and several pretext tasks.
        lower_is_better: whether less promises more.
        reason: why there is no value; empty where there is one, or where nothing is known of it.
        sd: standard deviation of the value over draws of images; NaN where it is unknown.
        updates: times that a supernet has trained just this candidate; NaN for other sources.
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
    """Why a candidate stands where it stands.

    Attributes:
        architecture: code.
        name: for people.
        standing: in the ranking; None before there is one.
        rivals: nearest ones, best first.
        rivals_by: ``ranking``, or the stage whose forecast says so; empty without any.
        passed_over: stages that trained others, with how these were chosen, in words.
        trainings: in the order of the stages.
        other_evidence: of sources without training.
        cost_epochs: of all its evidence, in epochs; what is shared, such as a supernet, is not in it.
        cost_seconds: device seconds of the same.
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
