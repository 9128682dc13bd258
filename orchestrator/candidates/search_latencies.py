"""Latencies in a search: measured while trainings run, and kept, so that who was judged once stays judged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from taurank.orchestrator.candidates.latencies import (
    GIVEN,
    LATENCY,
    METRIC,
    PARTS,
    VOID,
    Meter,
    Say,
    given_table,
    latency_slot,
    setting_of,
)
from taurank.orchestrator.cluster import Cluster, ClusterError, Slot
from taurank.orchestrator.evidence import Evidence, EvidenceLog
from taurank.orchestrator.experiment import Experiment
from taurank.spaces import SearchSpace
from taurank.trainables.data import ImageData
from taurank.trainables.latency import CandidateLatency, LatencyTable

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
            before, shared = self._meter.table, self._meter.shared_seconds
            self._meter.measure(new)
            table = self._meter.table
            if table is not None and table is not before:
                table.save(self._file)
            self._log.note(LATENCY, json.dumps({"by": self._meter.by, "conditions": asdict(self._meter.conditions)}))
            # Those who are refused cost as well: all measurements are shared by whoever is ranked.
            spent = self._meter.shared_seconds - shared + sum(self._meter.seconds[code] for code in new)
            self._log.append([_row(new[0], "", "shared_seconds", spent, spent)])
            for code in new:
                self._log.note(NOTED + code, json.dumps(asdict(found[code])))
        return {code: found[code] for code in codes}

    def book(self, code: str) -> float:
        """Makes the latency of an architecture evidence of the run; gives the milliseconds, NaN for none."""
        found = self.measure([code])[code]
        rows = [_row(code, code, METRIC, found.milliseconds)]
        if found.low == found.low:
            rows += [_row(code, code, f"{METRIC}_low", found.low), _row(code, code, f"{METRIC}_high", found.high)]
        if self._log.append(rows) and found.reason:
            self._log.append_event(LATENCY, rows[0].trial, VOID, found.reason)
        return found.milliseconds


def _row(measured: str, architecture: str, metric: str, value: float, seconds: float = 0.0) -> Evidence:
    return Evidence(LATENCY, f"{LATENCY}/{measured}", architecture, LATENCY, 0, 0, 0, metric, value, seconds)


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
    noted = log.noted(LATENCY)
    if noted is not None and spec.table is None:
        meter.go_on(json.loads(noted)["by"], LatencyTable.load(file) if file.is_file() else None)
    return KeptLatencies(meter, log, file, spec.threads)
