"""The parts of an experiment about a device: latency measurement, and the objective of accuracy and cost."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from taurank.orchestrator.experiment.spec import Spec
from taurank.orchestrator.hardware import ConstraintError, Kind, Measure, read_amount
from taurank.orchestrator.text import ProblemsError


class LatencySpec(Spec):
    """How the latency of candidates is measured, in milliseconds per batch.

    Attributes:
        batch: images of a pass.
        threads: threads of the CPU, pinned for the measurement.
        precision: of weights and images.
        device: where it is measured; on ``cuda`` with the GPU share of a single trial.
        table: file of latencies by part, as ``LatencyTable.save`` writes it, possibly of another device: latencies are
            sums of its entries, and nothing is measured. Its path is relative to the folder of the experiment file.
    """

    batch: int = Field(default=1, ge=1)
    threads: int = Field(default=1, ge=1)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    table: str | None = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> LatencySpec:
        if self.table is not None:
            fields = LatencySpec.model_fields
            said = [name for name in fields if name != "table" and getattr(self, name) != fields[name].default]
            if said:
                text = f"the table defines its own conditions; omit {', '.join(said)}, or the table"
                raise ProblemsError([((said[0],), text)])
        return self

    def relative_to(self, folder: Path) -> LatencySpec:
        """The same with the path of the table made absolute."""
        return self if self.table is None else self.model_copy(update={"table": str((folder / self.table).resolve())})


class ObjectiveSpec(Spec):
    """One number of accuracy and cost, beside the ranking by accuracy; see ``hardware.objectives``.

    Attributes:
        kind: the formula.
        target: the cost to aim at: a time with its unit if ``of`` is latency, else a count such as 600M.
        of: the cost.
    """

    kind: Kind
    target: str | float | int
    of: Measure = "latency"

    @model_validator(mode="after")
    def _defined(self) -> ObjectiveSpec:
        try:
            amount = self.amount
        except ConstraintError as error:
            raise ProblemsError([(("target",), str(error))]) from None
        if self.kind == "multiplicative-log" and self.of != "latency":
            raise ProblemsError(
                [(("of",), f"{self.kind} is defined for latencies only; use mnasnet-soft or additive-linear")]
            )
        if self.kind == "multiplicative-log" and amount <= 1:
            text = f"{self.target} is not above 1ms, where the logarithm is not a cost; use mnasnet-soft"
            raise ProblemsError([(("target",), text)])
        return self

    @field_validator("target")
    @classmethod
    def _written(cls, target: str | float | int) -> str:
        return str(target)

    @property
    def amount(self) -> float:
        """The target as a number, or in milliseconds."""
        return read_amount(self.of, str(self.target))

    def __str__(self) -> str:
        return f"{self.kind} of {self.of}, target {self.target}"
