"""The Ray Tune trial of one architecture: a training from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from taurank.spaces import get_space
from taurank.trainables.data import ImageData
from taurank.trainables.pretext import PretextTraining, get_task
from taurank.trainables.training import Training
from taurank.trainables.trials.checkpointed import CheckpointedTrial, EvidenceRow


class ArchitectureTrial(CheckpointedTrial):
    """One architecture, trained from scratch with labels or by a pretext task; one result an epoch."""

    def _make(self) -> Training:
        spec = self._spec
        data: ImageData = self._data
        space = get_space(spec.space, **spec.space_options)
        architecture = space.parse(spec.architectures[0])

        def build(input_shape: tuple[int, int, int], classes: int) -> torch.nn.Module:
            options = spec.recipe.model_options
            return space.build_with(architecture, options, input_shape=input_shape, classes=classes)

        def build_for_labels() -> torch.nn.Module:
            return build(data.input_shape, len(data.classes))

        settings: dict[str, Any] = {"seed": spec.seed, "device": self._device, "epoch_share": spec.epoch_share}
        if spec.task is not None:
            return PretextTraining(get_task(spec.task), build, spec.recipe, data, **settings)
        return Training(build_for_labels, spec.recipe, data, **settings)

    def _advance(self) -> dict[str, Any]:
        work = self._work
        assert isinstance(work, Training)
        metrics = work.step_epoch()
        epoch, seconds = int(metrics["epoch"]), self._seconds
        evidence: list[EvidenceRow] = []
        for name, value in metrics.items():
            if name not in ("epoch", "seconds"):
                # One row carries the cost of the epoch.
                cost = (seconds, work.spent) if name == "validation_accuracy" else (0.0, 0.0)
                evidence.append((self._spec.architectures[0], epoch, name, value, *cost))
        return {"epoch": epoch, "evidence": evidence} | shown_metrics(metrics)

    def _weights_now(self) -> dict[str, Any] | None:
        assert isinstance(self._work, Training)
        return dict(self._work.model.state_dict())

    def _failed_row(self, epoch: int, seconds: float, epochs: float) -> EvidenceRow:
        return self._spec.architectures[0], epoch, "validation_accuracy", float("nan"), seconds, epochs


def shown_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns the metrics that schedulers use."""
    return {name: float(metrics[name]) for name in ("validation_accuracy", "train_loss") if name in metrics}
