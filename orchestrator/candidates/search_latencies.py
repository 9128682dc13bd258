"""Latencies in a search: measured while trainings run, and logged, so that no architecture is measured twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from taurank.orchestrator.candidates.latencies import (
    GIVEN,
    PARTS,
    Meter,
    Say,
    given_table,
    latency_key,
    latency_rows,
    latency_slot,
    resume_meter,
    setting_of,
    shared_row,
)
from taurank.orchestrator.cluster import Cluster, ClusterError, Slot
from taurank.orchestrator.evidence import LATENCY, VOID, EvidenceLog
from taurank.orchestrator.experiment import Experiment
from taurank.spaces import SearchSpace, SpaceError
from taurank.trainables.data import ImageData
from taurank.trainables.latency import CandidateLatency

NOTED = f"{LATENCY}:"
"""Prefix of the notes of known latencies in the log."""


class KeptLatencies:
    """Latencies of the architectures that a search screens, each measured once per run.

    Args:
        meter: must not wait for cores.
        log: stores the latencies, including those of rejected architectures.
        file: stores latencies of parts.
        threads: of a measurement.
    """

    def __init__(self, meter: Meter, log: EvidenceLog, file: Path, threads: int) -> None:
        self._meter, self._log, self._file, self._threads = meter, log, file, threads
        self._saved, self._booked = meter.table, meter.shared_seconds

    def prepare(self, codes: Sequence[str]) -> None:
        """Chooses the method from a sample: whole networks, or sums of parts, which are measured now."""
        self._meter.prepare(codes)

    @property
    def cores(self) -> float:
        """Cores that trainings should leave free: whole networks are measured throughout the search."""
        return 0.0 if self._meter.by in (PARTS, GIVEN) else float(self._threads)

    def measure(self, codes: Sequence[str]) -> Mapping[str, CandidateLatency]:
        """Latencies by code.

        Raises:
            ExperimentError: a given table lacks a part of a network.
            ClusterError: the worker was lost.
        """
        found = self._meter.found
        for code in codes:
            noted = None if code in found else self._log.noted(NOTED + code)
            if noted is not None:
                found[code] = CandidateLatency(**json.loads(noted))
        new = [code for code in codes if code not in found]
        if new:
            self._meter.measure(new)
            table = self._meter.table
            if table is not None and table is not self._saved:
                table.save(self._file)
                self._saved = table
            self._log.note(LATENCY, json.dumps({"by": self._meter.by, "conditions": asdict(self._meter.conditions)}))
            # Rejected architectures cost as well, so the ranked candidates share all measurements.
            spent = self._meter.shared_seconds - self._booked + sum(self._meter.seconds[code] for code in new)
            self._booked = self._meter.shared_seconds
            self._log.append([shared_row(new[0], spent)])
            for code in new:
                self._log.note(NOTED + code, json.dumps(asdict(found[code])))
        return {code: found[code] for code in codes}

    def book(self, code: str) -> float:
        """Logs the latency of an architecture as evidence; returns milliseconds, NaN for none."""
        found = self.measure([code])[code]
        if self._log.append(latency_rows(code, found)) and found.reason:
            self._log.append_event(LATENCY, latency_key(code), VOID, found.reason)
        return found.milliseconds


def keep_latencies(
    experiment: Experiment, data: ImageData, cluster: Cluster, *, log: EvidenceLog, file: Path, say: Say
) -> KeptLatencies | None:
    """The latencies of a new or resumed search; None if the experiment needs none.

    Raises:
        ExperimentError: a given table cannot be read.
        ClusterError: the cluster has no such device, or trainings occupy it.
    """
    spec = experiment.measured_latency
    if spec is None:
        return None
    if spec.device == "cuda" and spec.table is None:
        raise ClusterError(
            "latency.device: cuda cannot be measured while trainings hold the GPU; measure a table first (latency.json "
            "of a run) and give it as latency.table, or take cpu"
        )
    space: SearchSpace = experiment.space.make()
    slot: Slot = latency_slot(cluster, experiment.resources, spec)
    meter = Meter(space, setting_of(spec, data), slot, given_table(spec), say, waits=False)
    resume_meter(meter, log, file)
    kept = KeptLatencies(meter, log, file, spec.threads)
    kept.prepare(_sample(experiment, space))
    return kept


def _sample(experiment: Experiment, space: SearchSpace) -> list[str]:
    """As many codes as the search trains; the parts that they share decide the method."""
    assert experiment.search is not None
    try:
        drawn = space.sample(experiment.search.evaluations, np.random.default_rng([experiment.seed, 0]))
    except SpaceError:
        drawn = list(space.enumerate())
    return [architecture.code for architecture in drawn]
