"""Explains one candidate of a run from the log, and from the ranking if there is one.

The run may be active, interrupted or complete; its log is only read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.evidence import (
    ACCURACY,
    BASELINE,
    COMPLETED,
    CONTENDERS,
    DEPTH,
    FAILED,
    FLOPS,
    FROZEN,
    LATENCY,
    LATENCY_MS,
    LOST,
    PARAMETERS,
    PAUSED,
    PRETEXT,
    PROXY,
    SCORE,
    STOPPED,
    SUPERNET,
    TRAINING,
    VALIDATION_ACCURACY,
    VALIDATION_ACCURACY_SD,
    EvidenceLog,
    RankedMetric,
)
from taurank.orchestrator.knowledge import Known
from taurank.orchestrator.ranker import LOWER_IS_BETTER, PRETEXT_TASKS, SUPERNETS, Ranking
from taurank.orchestrator.report.explanation import (
    CheapEvidence,
    Event,
    Explanation,
    FinalForecast,
    Rival,
    Standing,
    Training,
    TrainingStage,
)
from taurank.orchestrator.stages import features_by_code, kind_of, logged_curves, void_scores
from taurank.schedulers.curves import Floats, Forecast, Ladder
from taurank.schedulers.policies import Curve, Limits, curve_matrix

RIVALS = 5
SHOWN = (PARAMETERS, FLOPS, DEPTH, SCORE, VALIDATION_ACCURACY, LATENCY_MS)
"""Metrics of sources without training; their other metrics are neither used for ranking nor costs."""
WIDTH_90 = 1.6448536269514722
"""Half-width of the 90 % interval of a normal distribution, in standard deviations."""
_STATES = {
    COMPLETED: "complete",
    STOPPED: "stopped",
    FAILED: "failed",
    FROZEN: "frozen, with its checkpoint",
    PAUSED: "paused, with its checkpoint",
    LOST: "lost its worker",
}


def explain(
    log: EvidenceLog,
    code: str,
    *,
    names: Mapping[str, str],
    stages: Sequence[TrainingStage],
    encoding: pd.DataFrame,
    ranking: Ranking | None = None,
    knowledge: Sequence[Known] = (),
    metric: RankedMetric = ACCURACY,
) -> Explanation:
    """Collects the evidence and decisions of one candidate from the log and the ranking.

    Args:
        log: of the run.
        code: of the candidate.
        names: short names of all candidates, by code.
        stages: training stages that have started.
        encoding: features of the candidates, (candidates, features), index = code; it may have no columns.
        ranking: of the run; None before there is one.
        knowledge: what the run knew beforehand.
        metric: of the trainings.
    """
    rows, events = log.evidence(), log.events()
    own = rows[(rows["architecture"] == code) & (rows["stage"] != BASELINE)]
    forecasts = {stage.name: _forecast(log, stage, encoding, metric) for stage in stages}
    trainings = tuple(
        _training(trial, stage, forecasts[stage.name], rows, events, metric)
        for stage in stages
        for trial, architecture in stage.trials.items()
        if architecture == code
    )
    standing: Standing | None = None
    rivals: tuple[Rival, ...] = ()
    rivals_by = ""
    if ranking is not None:
        standing, rivals, rivals_by = _standing(ranking, code), _ranked_rivals(ranking, code, names), "ranking"
    else:
        known = [training for training in trainings if training.is_evidence and training.forecast is not None]
        if known:
            stage = next(stage for stage in stages if stage.name == known[-1].stage)
            rivals, rivals_by = _forecast_rivals(stage, forecasts[stage.name], known[-1].trial, names), stage.name
    return Explanation(
        architecture=code,
        name=names[code],
        standing=standing,
        rivals=rivals,
        rivals_by=rivals_by,
        passed_over=tuple(
            (stage.name, stage.choice)
            for stage in stages
            if stage.name != BASELINE and stage.trials and code not in stage.trials.values()
        ),
        trainings=trainings,
        other_evidence=(
            *_cheap_evidence(rows, code, names, ranking, void_scores(log)),
            *_known_before(knowledge, code, names, ranking),
        ),
        cost_epochs=float(own["epochs"].sum()),
        cost_seconds=float(own["seconds"].sum()),
        metric=metric,
    )


def _forecast(
    log: EvidenceLog, stage: TrainingStage, encoding: pd.DataFrame, metric: RankedMetric
) -> tuple[dict[str, Curve], Forecast]:
    """The curves of all trials of a stage, and the ladder's forecast from them."""
    features = features_by_code(encoding)
    logged = {curve.trial: curve for curve in logged_curves(log, stage.name, list(stage.trials), metric)}
    curves = {
        trial: replace(logged.get(trial, Curve(trial)), features=features[code]) for trial, code in stage.trials.items()
    }
    limits = Limits(stage.schedule_epochs, metric=kind_of(metric, curves.values()), drops=stage.drops)
    return curves, Ladder().forecast(curve_matrix(curves, limits))


def _training(
    trial: str,
    stage: TrainingStage,
    found: tuple[dict[str, Curve], Forecast],
    rows: pd.DataFrame,
    events: pd.DataFrame,
    metric: RankedMetric,
) -> Training:
    curves, forecast = found
    curve, row = curves[trial], list(curves).index(trial)
    own, happened = rows[rows["trial"] == trial], events[events["trial"] == trial]
    decisions = tuple(
        Event(float(time), str(event), str(reason))
        for time, event, reason in happened[["time", "event", "reason"]].itertuples(index=False)
    )
    final = None
    has_failed = bool(decisions) and decisions[-1].event == "failed"
    if math.isfinite(forecast.scores[row]) and not has_failed:
        mean, spread = float(forecast.means[row]), WIDTH_90 * float(forecast.sds[row])
        known = np.isfinite(forecast.scores)
        place = 1 + int((forecast.scores[known] > forecast.scores[row]).sum())
        low, high = mean - spread, mean + spread
        if not metric.is_own:
            low, high = max(low, 0.0), min(high, 1.0)
        final = FinalForecast(mean, low, high, place, int(known.sum()))
    begun = bool(decisions) or bool(curve.epochs)
    state = _STATES.get(decisions[-1].event if decisions else "", "in training") if begun else "not begun"
    return Training(
        trial=trial,
        stage=stage.name,
        is_evidence=stage.name != BASELINE,
        state=state,
        schedule_epochs=stage.schedule_epochs,
        epochs=curve.epochs,
        accuracies=curve.values,
        forecast=final,
        decisions=decisions,
        cost_epochs=float(own["epochs"].sum()),
        cost_seconds=float(own["seconds"].sum()),
        saved_epochs=stage.schedule_epochs - curve.last_epoch,
    )


def _standing(ranking: Ranking, code: str) -> Standing:
    place = ranking.table["architecture"].tolist().index(code)
    row = ranking.table.iloc[place]
    return Standing(
        rank=int(row["rank"]),
        of=len(ranking.table),
        rank_low=float(row["rank_low"]),
        rank_high=float(row["rank_high"]),
        best_probability=float(ranking.top_probability(1).iloc[place]),
        accuracy=float(row["predicted_accuracy"]),
        accuracy_low=float(row["accuracy_low"]),
        accuracy_high=float(row["accuracy_high"]),
        certainty=ranking.certainty,
        full_trainings=ranking.full_trainings,
        problem=str(row["problem"]),
    )


def _ranked_rivals(ranking: Ranking, code: str, names: Mapping[str, str]) -> tuple[Rival, ...]:
    codes = [str(other) for other in ranking.table["architecture"]]
    difference = ranking.samples[:, [codes.index(code)]] - ranking.samples  # (draws, candidates)
    above = (difference > 0).mean(axis=0) + 0.5 * (difference == 0).mean(axis=0)
    places = ranking.table["rank"].to_numpy()
    return _nearest(code, codes, above, places, names)


def _forecast_rivals(
    stage: TrainingStage, found: tuple[dict[str, Curve], Forecast], trial: str, names: Mapping[str, str]
) -> tuple[Rival, ...]:
    trials, forecast = list(found[0]), found[1]
    known = np.flatnonzero(np.isfinite(forecast.scores))
    above = forecast.probability_above()[trials.index(trial)]
    places = (1 + (forecast.scores[known] > forecast.scores[known][:, None]).sum(axis=1)).astype(np.int64)
    codes = [stage.trials[trials[row]] for row in known]
    return _nearest(stage.trials[trial], codes, above[known], places, names)


def _nearest(
    code: str, codes: Sequence[str], above: Floats, places: NDArray[np.int64], names: Mapping[str, str]
) -> tuple[Rival, ...]:
    """The candidates with a win probability closest to one half, best first."""
    others = [
        Rival(other, names[other], int(place), float(probability))
        for other, place, probability in zip(codes, places, above, strict=True)
        if other != code
    ]
    nearest = sorted(others, key=lambda rival: abs(rival.probability - 0.5))[:RIVALS]
    return tuple(sorted(nearest, key=lambda rival: rival.place))


def _cheap_evidence(
    rows: pd.DataFrame, code: str, names: Mapping[str, str], ranking: Ranking | None, void: pd.DataFrame
) -> list[CheapEvidence]:
    own_void = void[void["architecture"] == code]
    reasons = dict(zip(PROXY + own_void["proxy"], own_void["reason"], strict=True))
    untrained = (rows["source"] != TRAINING) & rows["metric"].isin(SHOWN)
    cheap = rows[untrained & rows["architecture"].isin(list(names))]
    found = []
    # By stage too: a pretext task may be trained at two lengths.
    for (stage, source, metric), own in cheap.groupby(["stage", "source", "metric"], sort=False):
        values = own.sort_values("epoch").groupby("architecture")["value"].last()
        if code not in own["architecture"].to_numpy():
            continue
        value = float(values.get(code, math.nan))
        lower = source in LOWER_IS_BETTER or source == LATENCY
        better = values < value if lower else values > value
        place = 1 + int(better.sum()) if math.isfinite(value) else 0
        shown = str(stage if str(source).startswith(PRETEXT) else source)
        weight = math.nan if ranking is None or source == LATENCY else _weight(str(source), shown, ranking.weights)
        known = int(values.notna().sum())
        reason = reasons.get(str(source), "")
        beside = rows[(rows["architecture"] == code) & (rows["source"] == source)].groupby("metric")["value"].last()
        sd, updates = (float(beside.get(name, math.nan)) for name in (VALIDATION_ACCURACY_SD, "updates"))
        found.append(CheapEvidence(shown, str(metric), value, place, known, weight, lower, reason, sd, updates))
    return found


def _known_before(
    knowledge: Sequence[Known], code: str, names: Mapping[str, str], ranking: Ranking | None
) -> Iterator[CheapEvidence]:
    """What each source of knowledge says of a candidate, with its place among those that it knows."""
    weights = {} if ranking is None else {use.name: use.weight for use in ranking.knowledge}
    for known in knowledge:
        values = {other: value for other, value in known.source.values.items() if other in names}
        if code in values:
            place = 1 + sum(value > values[code] for value in values.values())
            value = -values[code] if known.lower_is_better else values[code]
            weight = weights.get(known.source.name, math.nan)
            source = f"knowledge {known.source.name}:"
            yield CheapEvidence(source, known.what, value, place, len(values), weight, known.lower_is_better)


def _weight(source: str, shown: str, weights: Mapping[str, float]) -> float:
    """Weight of a source: sizes, several supernets and several pretext tasks are one group each."""
    name = shown.removesuffix(CONTENDERS)
    for kind, together in ((SUPERNET, SUPERNETS), (PRETEXT, PRETEXT_TASKS)):
        if source.startswith(kind) and together in weights:
            name = together
    return weights.get(name, 0.0)
