"""The trainings section of an experiment: length, candidates, images and scheduler."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from taurank.orchestrator.experiment.spec import Seed, Spec, options_from_name
from taurank.orchestrator.text import ProblemsError, hint
from taurank.schedulers.policies import list_policies
from taurank.schedulers.validation import check_scheduler, list_schedulers
from taurank.trainables.data import Choice
from taurank.trainables.pretext import PretextTask, check_task, get_task
from taurank.trainables.training import COST as DIFFICULTY_COST


class SchedulerSpec(Spec):
    """A scheduler that decides which trainings continue and which end early, and its options.

    Attributes:
        name: ``none``, a policy (``order-settling``, ``asha``, ``penguin`` ...), or one of Ray's own (``ray-asha``,
            ``ray-hyperband``).
        options: options of that scheduler.
    """

    name: str = "none"
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in list_schedulers():
            known = ", ".join(list_schedulers())
            raise ValueError(f"unknown scheduler {name!r}; known: {known}{hint(name, list_schedulers())}")
        return name

    @property
    def is_policy(self) -> bool:
        """Whether it is a policy, which pauses and resumes trials by all curves and keeps to a budget exactly."""
        return self.name in list_policies()


class SubsetSpec(Spec):
    """A share of the training images, the same for all candidates. A number alone is the share.

    Attributes:
        share: of the training images.
        by: how they are selected: ``stratified`` at random, ``k-center`` spread by their pixels, ``difficulty`` by the
            loss of one candidate, which is trained briefly on all images first; that training is booked. ``classes``
            takes all images of some classes, and accuracy is that on the validation images of these classes.
    """

    share: float = Field(gt=0, le=1)
    by: Choice = "stratified"

    @property
    def class_share(self) -> float:
        """Share of the classes that are trained on."""
        return self.share if self.by == "classes" else 1.0

    @property
    def choosing_epochs(self) -> float:
        """Cost of the selection in epoch-equivalents."""
        return DIFFICULTY_COST if self.by == "difficulty" and self.share < 1 else 0.0


def _subset_from_share(value: Any) -> Any:
    return {"share": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class TrainingSpec(Spec):
    """Trainings of single candidates, on a schedule of their own.

    Less data costs less: an epoch costs ``subset.share * resolution ** 2`` of one.

    Attributes:
        epochs: length of the schedule.
        task: a pretext task instead of labels: ``rotation``, ``jigsaw`` or ``colorization``. An epoch then costs as
            many as the task has views of an image.
        subset: trains on a share of the images.
        resolution: trains on images of that share of the pixels of each side.
        until: ends the trainings after that many epochs of the schedule.
        candidates: ``all``, or how many, selected by experimental design: those with the most informative results.
        scheduler: decides which trainings continue and which end early; a name is enough.
        budget_epochs: bounds what a scheduler may spend. Without a scheduler the cost is known beforehand.
        seed: of the weights and of the order of the images.
    """

    epochs: int = Field(ge=1)
    task: str | None = None
    subset: Annotated[SubsetSpec, BeforeValidator(_subset_from_share)] = SubsetSpec(share=1.0)
    resolution: float = Field(default=1.0, gt=0, le=1)
    until: int | None = Field(default=None, ge=1)
    candidates: Literal["all"] | Annotated[int, Field(ge=1)] = "all"
    scheduler: Annotated[SchedulerSpec, BeforeValidator(options_from_name)] = SchedulerSpec()
    budget_epochs: float | None = Field(default=None, gt=0)
    seed: Seed = 0

    @field_validator("task")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            check_task(name)
        return name

    @model_validator(mode="after")
    def _without_labels(self) -> TrainingSpec:
        needs = {"difficulty": "trains with labels", "classes": "chooses by labels"}.get(self.subset.by)
        if self.task is not None and needs and self.subset.share < 1:
            problem = f"{self.subset.by} {needs}, and a task has none; choose images by stratified or k-center"
            raise ProblemsError([(("subset", "by"), problem)])
        return self

    @model_validator(mode="after")
    def _accepted_by_scheduler(self) -> TrainingSpec:
        name, options = self.scheduler.name, self.scheduler.options
        try:
            check_scheduler(name, schedule_epochs=self.epochs, **options)
        except TypeError:
            problem = f"{name!r} cannot take {options}: a value is of the wrong type"
            raise ProblemsError([(("scheduler", "options"), problem)]) from None
        except ValueError as error:
            raise ProblemsError([(("scheduler", "options"), str(error))]) from None
        return self

    @model_validator(mode="after")
    def _within_schedule(self) -> TrainingSpec:
        if self.until is not None and self.until >= self.epochs:
            problem = f"{self.until} is not before the end of the schedule (epochs: {self.epochs}); omit it"
            raise ProblemsError([(("until",), problem)])
        return self

    @property
    def stage(self) -> str:
        """Name of the stage in the evidence log."""
        cut = "" if self.until is None else f"@{self.until}"
        if self.subset.share < 1:
            by = "" if self.subset.by == "stratified" else f"-{self.subset.by}"
            cut += f"-on-{self.subset.share:g}{by}"
        if self.resolution < 1:
            cut += f"-at-{self.resolution:g}"
        kind = "training" if self.task is None else f"pretext-{self.task}"
        return f"{kind}-{self.epochs}{cut}" + ("" if self.scheduler.name == "none" else f":{self.scheduler.name}")

    @property
    def source(self) -> str:
        """Source of its evidence."""
        return "training" if self.task is None else f"pretext:{self.task}"

    @property
    def pretext_task(self) -> PretextTask | None:
        """The task itself; None if candidates are trained with labels."""
        return None if self.task is None else get_task(self.task)

    @property
    def epoch_share(self) -> float:
        """Share of the images times share of their pixels."""
        return self.subset.share * self.resolution**2

    @property
    def epoch_cost(self) -> float:
        """Cost of an epoch, relative to one with labels on all images at full size."""
        task = self.pretext_task
        return self.epoch_share * (1 if task is None else task.views)

    @property
    def last_epoch(self) -> int:
        """Maximal number of epochs of a training."""
        return self.until or self.epochs

    def is_full(self, full_epochs: int) -> bool:
        """Whether it is full training."""
        return self.task is None and self.until is None and self.epochs >= full_epochs and self.epoch_share == 1

    def cost(self, count: int) -> float:
        """Cost in epoch-equivalents for a number of candidates if no scheduler ends a training early.

        The cost of selecting the images (``choosing_epochs`` of the subset) is not included.
        """
        return count * self.last_epoch * self.epoch_cost
