"""What an experiment says of the cores, GPUs, disk and time that its trials may take."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from orchestrator.spec import Spec


class ResourceSpec(Spec):
    """What one training trial takes. ``auto``: a measured fraction of a GPU where there is one, else CPU threads.

    ``checkpoint_gigabytes``: what the states of all trainings of the run may take on disk. Beyond it those that have
    ended lose theirs, then those of the waiting ones that have trained least; these start over when they are thawed.
    ``hang_minutes``: a trial that reports nothing for so long is ended, and has failed if that happens again. ``auto``:
    20 times the median of what results of the stage took so far, and at least ten minutes.
    """

    cpus_per_trial: float | Literal["auto"] = "auto"
    gpus_per_trial: float | Literal["auto"] = "auto"
    cpus: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=0)
    checkpoint_gigabytes: float = Field(default=50.0, ge=0)
    hang_minutes: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"

    @property
    def patience(self) -> float | None:
        """Seconds that a trial may report nothing; None for ``auto``."""
        return None if self.hang_minutes == "auto" else 60 * self.hang_minutes

    @field_validator("cpus_per_trial", "gpus_per_trial")
    @classmethod
    def _sensible(cls, value: float | str) -> float | str:
        if isinstance(value, float) and (value < 0 or (value > 1 and value != int(value))):
            raise ValueError(f"{value} is not a share Ray can place: use a fraction up to 1, or a whole number")
        return value

    @field_validator("cpus_per_trial")
    @classmethod
    def _bounded(cls, value: float | str) -> float | str:
        if value == 0:
            raise ValueError("0 CPUs would start all trials at once: use a fraction up to 1, or a whole number")
        return value
