"""The Ray Tune trials of a supernet: its training, scores by its weights, candidates trained on from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from taurank.spaces import get_space
from taurank.trainables.data import ImageData, less_data
from taurank.trainables.supernet import Paths, PathScore, PathScoring, SupernetTraining, extract, make_supernet
from taurank.trainables.training import Training
from taurank.trainables.trials.architecture import ArchitectureTrial
from taurank.trainables.trials.checkpointed import CheckpointedTrial, EvidenceRow
from taurank.trainables.trials.spec import TrialSpec

RESULT_SECONDS = 1.0
"""A result holds the scores of so long: each one costs the driver milliseconds."""


def share_weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights of a supernet as arrays: in Ray's object store all workers of a node read one copy of them."""
    shared = {name: state[name] for name in ("epoch", "split", "updates", "statistics")}
    return shared | {"model": {name: tensor.cpu().numpy() for name, tensor in state["model"].items()}}


def _loaded(weights: Mapping[str, Any]) -> dict[str, Any]:
    # Copied: what is shared is read-only, which torch does not know.
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in weights["model"].items()}
    return dict(weights) | {"model": tensors}


def _make_training(spec: TrialSpec, data: ImageData, candidates: tuple[str, ...], device: str) -> SupernetTraining:
    if spec.supernet is None:
        raise ValueError(f"supernet of trial {spec.trial!r} is None; trials of supernets need its settings")
    space = get_space(spec.space, **spec.space_options)

    def build() -> torch.nn.Module:
        return make_supernet(space, input_shape=data.input_shape, classes=len(data.classes))

    return SupernetTraining(
        build,
        spec.recipe,
        data,
        paths=Paths(space, candidates),
        config=spec.supernet,
        seed=spec.seed,
        device=device,
    )


class SupernetTrial(CheckpointedTrial):
    """One supernet, an epoch a result; the last one also has the sampler's scores of the candidates."""

    keeps_state = True

    def _make(self) -> SupernetTraining:
        return _make_training(self._spec, self._data, self._spec.architectures, self._device)

    def _advance(self) -> dict[str, Any]:
        work = self._work
        assert isinstance(work, SupernetTraining)
        metrics = work.step_epoch()
        epoch = int(metrics["epoch"])
        evidence: list[EvidenceRow] = [
            ("", epoch, "train_loss", metrics["train_loss"], self._seconds, work.spent),
            ("", epoch, "train_accuracy", metrics["train_accuracy"], 0.0, 0.0),
        ]
        if work.finished:
            evidence += self._sampler_rows(work, epoch)
        return {"epoch": epoch, "validation_accuracy": math.nan, "evidence": evidence}

    def _sampler_rows(self, work: SupernetTraining, epoch: int) -> list[EvidenceRow]:
        """Scores of the sampler."""
        scores = work.sampler.scores(work.paths.codes)
        if scores is None:
            return []
        return [
            (code, epoch, "sampler_score", float(score), 0.0, 0.0)
            for code, score in zip(work.paths.codes, scores, strict=True)
        ]

    def _failed_row(self, epoch: int, seconds: float, epochs: float) -> EvidenceRow:
        # Of no candidate; and the rows that this epoch may have already are of other metrics.
        return "", epoch, "validation_loss", math.nan, seconds, epochs


class PathScoresTrial(CheckpointedTrial):
    """Candidates scored by a supernet, as many a result as take a second; ``weights`` are shared by all workers."""

    def _make(self) -> PathScoring:
        assert self._weights is not None
        training = _make_training(self._spec, self._data, self._spec.candidates, self._device)
        training.load_weights(_loaded(self._weights))
        return PathScoring(training, self._spec.architectures)

    def _advance(self) -> dict[str, Any]:
        work = self._work
        assert isinstance(work, PathScoring)
        rows: list[EvidenceRow] = []
        found: list[PathScore] = []
        booked = 0.0
        while not work.finished and (not found or booked < RESULT_SECONDS):
            score = work.score_next()
            found.append(score)
            seconds = self._seconds - booked
            booked += seconds
            rows.append((score.path, work.epoch, "validation_accuracy", score.accuracy, seconds, work.cost_per_score))
            for metric in ("accuracy_sd", "loss"):
                rows.append((score.path, work.epoch, f"validation_{metric}", getattr(score, metric), 0.0, 0.0))
            for metric in ("updates", "option_updates"):
                rows.append((score.path, work.epoch, metric, float(getattr(score, metric)), 0.0, 0.0))
        mean = float(np.mean([score.accuracy for score in found]))
        return {"epoch": work.epoch, "validation_accuracy": mean, "evidence": rows}

    def _failed_row(self, epoch: int, seconds: float, epochs: float) -> EvidenceRow:
        return "", epoch, "validation_loss", math.nan, seconds, epochs


class ContenderTrial(ArchitectureTrial):
    """One candidate, trained on from the weights that it has in a supernet; one result an epoch.

    It trains on ``epoch_share`` of the images: the supernet, which it is given the data of, has trained on all.
    """

    def _make(self) -> Training:
        assert self._weights is not None
        spec = self._spec
        data: ImageData = self._data
        supernet = _make_training(spec, data, spec.candidates, "cpu")
        supernet.load_weights(_loaded(self._weights))
        space, code = get_space(spec.space, **spec.space_options), spec.architectures[0]

        def build() -> torch.nn.Module:
            network = space.build(space.parse(code), input_shape=data.input_shape, classes=len(data.classes))
            return extract(supernet.supernet, code, network)

        return Training(
            build,
            spec.recipe,
            less_data(data, share=spec.epoch_share, seed=spec.seed),
            seed=spec.seed,
            device=self._device,
            epoch_share=spec.epoch_share,
        )


_METRIC = "option_score"


class SearchSupernetTrial(SupernetTrial):
    """One supernet, an epoch a result; the last one also has the sampler's score of each option.

    Metric ``option_score:DECISION:OPTION``, both by position; options without an architecture have none.
    """

    def _sampler_rows(self, work: SupernetTraining, epoch: int) -> list[EvidenceRow]:
        table = work.sampler.option_scores()
        if table is None:
            raise ValueError(f"the sampler {work.config.sampler} has no scores of options")
        return [
            ("", epoch, f"{_METRIC}:{decision}:{option}", float(table[decision, option]), 0.0, 0.0)
            for decision, option in np.argwhere(np.isfinite(table)).tolist()
        ]


def option_table(rows: Iterable[tuple[str, float]], widths: Sequence[int]) -> NDArray[np.float64] | None:
    """The scores (decisions, options of the widest) of metrics and their values; NaN for none, None without any.

    Args:
        rows: of the trial.
        widths: number of options of each decision.
    """
    table = np.full((len(widths), max(widths)), np.nan)
    for metric, value in rows:
        name, _, place = metric.partition(":")
        if name == _METRIC:
            decision, option = map(int, place.split(":"))
            table[decision, option] = value
    return table if np.isfinite(table).any() else None
