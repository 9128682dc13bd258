"""Latencies in a search: measured while trainings run, and kept, so that who was judged once stays judged."""

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
    go_on,
    latency_key,
    latency_rows,
    latency_slot,
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
"""What the log notes of an architecture whose latency is known begins so."""


class KeptLatencies:
    """Latencies of whoever a search judges, each measured once in the life of a run.

    Args:
        meter: measures; it must not wait for cores.
        log: keeps what is found, of refused architectures too.
        file: keeps latencies of parts, where they are summed.
        threads: of a measurement.
    """

    def __init__(self, meter: Meter, log: EvidenceLog, file: Path, threads: int) -> None:
        self._meter, self._log, self._file, self._threads = meter, log, file, threads
        self._saved, self._booked = meter.table, meter.shared_seconds

    def prepare(self, codes: Sequence[str]) -> None:
        """Decides by a sample how latencies are found: whole networks, or sums of the parts that are measured now."""
        self._meter.prepare(codes)

    @property
    def cores(self) -> float:
        """Cores that trainings should leave to measurements: of whole networks, which go on as long as the search."""
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
            # Those that are refused cost as well: all measurements are shared by the candidates that are ranked.
            spent = self._meter.shared_seconds - self._booked + sum(self._meter.seconds[code] for code in new)
            self._booked = self._meter.shared_seconds
            self._log.append([shared_row(new[0], spent)])
            for code in new:
                self._log.note(NOTED + code, json.dumps(asdict(found[code])))
        return {code: found[code] for code in codes}

    def book(self, code: str) -> float:
        """Makes the latency of an architecture evidence of the run; gives the milliseconds, NaN for none."""
        found = self.measure([code])[code]
        if self._log.append(latency_rows(code, found)) and found.reason:
            self._log.append_event(LATENCY, latency_key(code), VOID, found.reason)
        return found.milliseconds


def keep_latencies(
    experiment: Experiment, data: ImageData, cluster: Cluster, *, log: EvidenceLog, file: Path, say: Say
) -> KeptLatencies | None:
    """The latencies of a search that goes on in ``file``'s run; None where the experiment asks for none.

    Raises:
        ExperimentError: a given table cannot be read.
        ClusterError: the cluster has no such device, or trainings hold it.
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
    go_on(meter, log, file)
    kept = KeptLatencies(meter, log, file, spec.threads)
    kept.prepare(_sample(experiment, space))
    return kept


def _sample(experiment: Experiment, space: SearchSpace) -> list[str]:
    """As many codes as the search trains: whether these share enough parts decides how all are measured."""
    assert experiment.search is not None
    try:
        drawn = space.sample(experiment.search.evaluations, np.random.default_rng([experiment.seed, 0]))
    except SpaceError:
        drawn = list(space.enumerate())
    return [architecture.code for architecture in drawn]
