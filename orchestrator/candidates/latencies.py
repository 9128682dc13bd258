"""Latencies of the candidates of a run: measured by a worker before any training, and logged."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from taurank.orchestrator.cluster import Cluster, ClusterError, Slot, connect, plan_slot
from taurank.orchestrator.evidence import (
    ENDED,
    LATENCY,
    LATENCY_MS,
    SHARED_SECONDS,
    STARTED,
    VOID,
    Evidence,
    EvidenceLog,
)
from taurank.orchestrator.experiment import Experiment, ExperimentError, LatencySpec, ResourceSpec
from taurank.orchestrator.text import PLAIN_LINE_SECONDS
from taurank.spaces import Architecture, SearchSpace
from taurank.trainables.data import ImageData
from taurank.trainables.latency import (
    CandidateLatency,
    Conditions,
    LatencyError,
    LatencyTable,
    Setting,
    has_fewer_parts,
    measure_whole,
    parts_by_code,
    table_of_parts,
)

CHUNK = 8
"""Candidates measured by one call."""
WHOLE, PARTS, GIVEN = "whole networks", "sums of measured parts", "sums from a given table"

Say = Callable[[str], None]
Answer = TypeVar("Answer")


class Meter:
    """Measures each candidate once, one call at a time, so that measurements do not disturb each other.

    Args:
        space: of the candidates.
        setting: of the measurement.
        slot: resources of the worker.
        table: given latencies of parts; nothing is measured then.
        say: receives progress messages.
        waits: whether a measurement reserves its cores. It must not during a search, whose trials hold all cores while
            they wait for the measurement.
    """

    def __init__(
        self,
        space: SearchSpace,
        setting: Setting,
        slot: Slot,
        table: LatencyTable | None = None,
        say: Say = print,
        *,
        waits: bool = True,
    ) -> None:
        self._space, self._setting, self._slot, self._say = space, setting, slot, say
        self._held = slot if waits else Slot(0.0, 0.0)
        self._table, self.by = table, "" if table is None else GIVEN
        self._parts: dict[str, tuple[str, ...]] = {}
        self.found: dict[str, CandidateLatency] = {}
        self.shared_seconds = 0.0
        self.began = self.ended = time.time()
        self.conditions: Conditions = self._call(setting.conditions) if table is None else table.conditions

    @property
    def table(self) -> LatencyTable | None:
        """Latencies of the parts, if latencies are sums."""
        return self._table

    def measure(self, codes: Sequence[str]) -> dict[str, CandidateLatency]:
        """Latencies of candidates by code; unknown ones are measured.

        Raises:
            ExperimentError: a given table lacks a part of a network.
            ClusterError: the worker was lost.
        """
        new = [code for code in codes if code not in self.found]
        if new:
            if not self.by:
                self.by = self._choose_way(new)
            if self.by == WHOLE:
                self._measure_whole(new)
            else:
                self._sum(new)
            self.ended = time.time()
        return {code: self.found[code] for code in codes}

    def resume(self, by: str, table: LatencyTable | None) -> None:
        """Restores the method of an earlier part of the run, and its latencies of parts."""
        self.by, self._table = by, table

    def prepare(self, codes: Sequence[str]) -> None:
        """Chooses the method from these candidates, and measures their parts if latencies are sums.

        Raises:
            ClusterError: the worker was lost.
        """
        if not self.by:
            self.by = self._choose_way(codes)
            if self.by == PARTS:
                self._sum(codes)

    def table_of(self, architectures: Sequence[Architecture]) -> LatencyTable:
        """Latencies of the parts: the known table, or one measured from these architectures.

        Raises:
            ExperimentError: a network has no parts that can be measured separately.
            ClusterError: the worker was lost.
        """
        if self._table is None:
            started = time.perf_counter()
            self._table = self._call(partial(table_of_parts, self._space, architectures, self._setting))
            self.shared_seconds += (time.perf_counter() - started) * self._slot.share
            self.ended = time.time()
        return self._table

    def _choose_way(self, codes: Sequence[str]) -> str:
        if self._space.foreign:
            return WHOLE
        parts = self._keys(codes)
        return PARTS if parts is not None and has_fewer_parts(parts) else WHOLE

    def _keys(self, codes: Sequence[str]) -> dict[str, tuple[str, ...]] | None:
        started = time.perf_counter()
        found = self._call(partial(parts_by_code, self._space, self._architectures(codes), self._setting))
        self.shared_seconds += (time.perf_counter() - started) * self._slot.share
        if found is not None:
            self._parts |= found
        return found

    def _sum(self, codes: Sequence[str]) -> None:
        lacking = [code for code in codes if code not in self._parts]
        if lacking and self._keys(lacking) is None:
            raise ExperimentError(
                f"latency: networks of {self._space.name} cannot be split into parts whose latencies add up; leave out "
                "table to measure whole networks"
            )
        known = {} if self._table is None else self._table.milliseconds
        if self.by == PARTS:
            new = [code for code in codes if any(key not in known for key in self._parts[code])]
            if new:
                started = time.perf_counter()
                measured = self._call(partial(table_of_parts, self._space, self._architectures(new), self._setting))
                self.shared_seconds += (time.perf_counter() - started) * self._slot.share
                # Known values stay, so that a screened candidate keeps its latency.
                self._table = LatencyTable(measured.milliseconds | known, self.conditions)
        assert self._table is not None
        for code in codes:
            try:
                self.found[code] = CandidateLatency(self._table.total(self._parts[code]))
            except LatencyError as error:
                raise ExperimentError(f"latency.table: {str(error).removeprefix('keys: ')}") from None

    def _measure_whole(self, codes: Sequence[str]) -> None:
        said = time.monotonic()
        for start in range(0, len(codes), CHUNK):
            asked = self._architectures(codes[start : start + CHUNK])
            self.found |= self._call(partial(_measure_all, self._space, asked, self._setting))
            if time.monotonic() - said >= PLAIN_LINE_SECONDS:
                said = time.monotonic()
                self._say(f"  {min(start + CHUNK, len(codes)):,} of {len(codes):,} measured")

    def _architectures(self, codes: Sequence[str]) -> list[Architecture]:
        return [Architecture(self._space.name, code) for code in codes]

    def _call(self, compute: Callable[[], Answer]) -> Answer:
        def answer() -> Answer:  # Ray accepts only functions
            return compute()

        task = ray.remote(num_cpus=self._held.cpus, num_gpus=self._held.gpus)(answer)
        try:
            found: Answer = ray.get(task.remote())
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, ValueError):  # of the space or the measurement: one line with the way out
                raise ExperimentError(f"latency: {cause}") from None
            raise ClusterError(f"latency cannot be measured: {_last_line(error)}") from None
        except RayError as error:
            raise ClusterError(f"latency: the worker was lost: {_last_line(error)}; run it again") from None
        return found

    @property
    def seconds(self) -> dict[str, float]:
        """Device seconds of the measurement of each candidate, without shared parts."""
        return {code: latency.seconds * self._slot.share for code, latency in self.found.items()}


@contextmanager
def open_meter(experiment: Experiment, data: ImageData, *, address: str | None, say: Say) -> Iterator[Meter | None]:
    """A meter for the latencies of an experiment; None if it needs none.

    Raises:
        ExperimentError: the table cannot be read.
        ClusterError: the cluster cannot be reached, or has no such device.
    """
    spec = experiment.measured_latency
    if spec is None:
        yield None
        return
    table, setting = given_table(spec), setting_of(spec, data)
    say("starting Ray to measure latencies ..." if address is None else f"joining Ray at {address} for latencies ...")
    with connect(address, resources=experiment.resources) as cluster:
        yield Meter(experiment.space.make(), setting, latency_slot(cluster, experiment.resources, spec), table, say)


def resume_meter(meter: Meter, log: EvidenceLog, file: Path) -> None:
    """Restores the method of the earlier part of a run, so that all its latencies are comparable.

    Args:
        meter: unchanged if its table was given.
        log: of the run.
        file: latencies of parts; may be missing.
    """
    noted = logged_conditions(log)
    if noted is not None and meter.by != GIVEN:
        meter.resume(noted[0], LatencyTable.load(file) if file.is_file() else None)


def given_table(spec: LatencySpec) -> LatencyTable | None:
    """The given table of latencies of parts; None without one.

    Raises:
        ExperimentError: it cannot be read.
    """
    if spec.table is None:
        return None
    try:
        return LatencyTable.load(Path(spec.table))
    except LatencyError as error:
        raise ExperimentError(f"latency.table: {error}") from None


def setting_of(spec: LatencySpec, data: ImageData) -> Setting:
    """The measurement setting for these images."""
    return Setting(data.input_shape, len(data.classes), spec.batch, spec.threads, spec.precision, spec.device)


def latency_slot(cluster: Cluster, resources: ResourceSpec, spec: LatencySpec) -> Slot:
    """Resources of a measuring worker: a core per thread, and on a GPU the share of a single trial.

    Raises:
        ClusterError: no node is large enough.
    """
    gpus = 0.0
    if spec.device == "cuda":
        gpus = plan_slot(cluster, resources, trials=1).gpus
        if not gpus:
            raise ClusterError("latency.device: cuda, but no node has a GPU for it; take cpu, or join a cluster")
    slot = Slot(float(spec.threads), gpus)
    if not cluster.places(slot):
        most = max(node.cpus for node in cluster.nodes)
        raise ClusterError(f"latency.threads: {spec.threads}, but the largest node has {most:g} cores; take fewer")
    return slot


def book_latencies(log: EvidenceLog, meter: Meter, codes: Sequence[str]) -> None:
    """Logs the latencies of candidates, their conditions, and the cost of all measurements."""
    log.note(LATENCY, json.dumps({"by": meter.by, "conditions": asdict(meter.conditions)}))
    log.append_event(LATENCY, "", STARTED, at=meter.began)
    seconds, rows = meter.seconds, []
    shared = meter.shared_seconds + sum(spent for code, spent in seconds.items() if code not in set(codes))

    for code in codes:
        found = meter.found[code]
        if found.reason:
            log.append_event(LATENCY, latency_key(code), VOID, found.reason)
        rows += latency_rows(code, found, seconds[code])
    rows.append(shared_row(codes[0], shared))
    log.append(rows)
    log.append_event(LATENCY, "", ENDED, at=meter.ended)


def latency_key(code: str) -> str:
    """Trial key of a candidate's latency in the log."""
    return f"{LATENCY}/{code}"


def latency_rows(code: str, found: CandidateLatency, seconds: float = 0.0) -> list[Evidence]:
    """The latency of a candidate, with the bounds of the middle half of its passes if known."""
    values = {LATENCY_MS: found.milliseconds}
    if not math.isnan(found.low):
        values |= {f"{LATENCY_MS}_low": found.low, f"{LATENCY_MS}_high": found.high}
    return [
        Evidence(LATENCY, latency_key(code), code, LATENCY, 0, 0, 0, metric, value, seconds * (metric == LATENCY_MS))
        for metric, value in values.items()
    ]


def shared_row(first: str, seconds: float) -> Evidence:
    """The cost of measurements shared by all candidates, under the key of the first candidate measured with it.

    A search or an extended run measures repeatedly, so there may be several such rows.
    """
    return Evidence(LATENCY, latency_key(first), "", LATENCY, 0, 0, 0, SHARED_SECONDS, seconds, seconds)


def logged_conditions(log: EvidenceLog) -> tuple[str, Conditions] | None:
    """Method and conditions of the latencies of a run; None without latencies."""
    noted = log.noted(LATENCY)
    if noted is None:
        return None
    described: dict[str, Any] = json.loads(noted)
    return str(described["by"]), Conditions(**described["conditions"])


def _measure_all(
    space: SearchSpace, architectures: Sequence[Architecture], setting: Setting
) -> dict[str, CandidateLatency]:
    return {one.code: measure_whole(space, one, setting) for one in architectures}


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1].strip()[:300]
