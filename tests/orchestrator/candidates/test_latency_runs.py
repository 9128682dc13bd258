"""Latencies measured by a worker before a run, and what its log keeps of them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.candidates import latencies as latency_runs
from taurank.orchestrator.candidates.latencies import (
    GIVEN,
    PARTS,
    WHOLE,
    Meter,
    book_latencies,
    latency_slot,
    logged_conditions,
)
from taurank.orchestrator.candidates.search_latencies import keep_latencies
from taurank.orchestrator.cluster.cluster import Cluster, ClusterError, Slot
from taurank.orchestrator.evidence import LATENCY, LATENCY_MS
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.experiment.experiment import ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.experiment.hardware import LatencySpec
from taurank.orchestrator.experiment.parts import ResourceSpec
from taurank.orchestrator.report import hardware_lines
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.runs.run import TABLE_FILE, Run
from taurank.spaces import get_space
from taurank.trainables.data import load_dataset, make_splits
from taurank.trainables.latency.candidates import CandidateLatency, Setting, parts_by_code
from taurank.trainables.latency.table import LatencyTable

MACRO = get_space("nasbench_macro")
SETTING = Setting((1, 8, 8), 10)
SLOT = Slot(1.0)


@pytest.fixture(scope="module")
def images():
    return make_splits(load_dataset("digits"), seed=0, validation=0.2, test=0.2)


@pytest.fixture
def at_once(monkeypatch):
    """Measures in this process instead of a worker; counts what is called."""
    calls = []

    def call(self, compute):
        calls.append(compute)
        return compute()

    monkeypatch.setattr(Meter, "_call", call)
    return calls


@pytest.fixture
def quick(monkeypatch):
    """Whole networks take one millisecond for each letter of their codes, and half a second to measure."""

    def measure(space, architecture, setting):
        count = float(len(architecture.code))
        return CandidateLatency(count, count - 0.5, count + 0.5, 0.5)

    monkeypatch.setattr(latency_runs, "measure_whole", measure)


def codes(count, space=MACRO, seed=0):
    return [one.code for one in space.sample(count, np.random.default_rng(seed))]


class TestMeter:
    def test_whole_networks_where_few_have_few_parts_in_common(self, at_once, quick):
        meter = Meter(MACRO, SETTING, Slot(2.0))
        asked = codes(3)
        found = meter.measure(asked)
        assert meter.by == WHOLE
        assert meter.table is None
        assert [one.milliseconds for one in found.values()] == [float(len(code)) for code in asked]
        assert meter.seconds == dict.fromkeys(asked, 1.0)  # half a second on two cores

    def test_nobody_is_measured_twice(self, at_once, quick):
        meter = Meter(MACRO, SETTING, SLOT)
        first = meter.measure(codes(3))
        calls = len(at_once)
        assert meter.measure(codes(3)) == first
        assert len(at_once) == calls
        meter.measure(codes(4))
        assert set(meter.found) == {*codes(3), *codes(4)}

    def test_a_table_where_there_are_fewer_parts(self, at_once, monkeypatch):
        measured = []

        def table_of(space, architectures, setting):
            measured.append([one.code for one in architectures])
            parts = parts_by_code(space, architectures, setting)
            return LatencyTable({key: 1.0 for keys in parts.values() for key in keys}, setting.conditions())

        monkeypatch.setattr(latency_runs, "table_of_parts", table_of)
        meter = Meter(MACRO, SETTING, SLOT)
        asked = codes(25)
        found = meter.measure(asked)
        assert meter.by == PARTS
        assert measured == [asked]
        parts = parts_by_code(MACRO, [MACRO.parse(code) for code in asked], SETTING)
        assert {code: one.milliseconds for code, one in found.items()} == {
            code: float(len(keys)) for code, keys in parts.items()
        }
        assert meter.shared_seconds > 0
        # Who came later needs no measurement where all parts are known, and changes nobody's latency.
        key = next(iter(meter.table.milliseconds))
        meter.table.milliseconds[key] = 5.0
        meter.measure(codes(25, seed=1))
        assert meter.table.milliseconds[key] == 5.0
        assert len(measured) <= 2

    def test_sums_of_a_given_table(self, at_once):
        asked = codes(2)
        parts = parts_by_code(MACRO, [MACRO.parse(code) for code in asked], SETTING)
        table = LatencyTable({key: 2.0 for keys in parts.values() for key in keys}, SETTING.conditions())
        meter = Meter(MACRO, SETTING, SLOT, table)
        assert [one.milliseconds for one in meter.measure(asked).values()] == [2.0 * len(k) for k in parts.values()]
        assert meter.by == GIVEN
        others = [code for code in codes(30, seed=5) if code not in asked]
        with pytest.raises(
            ExperimentError, match=r"^latency\.table: .* is none of the \d+ parts of the table; measure"
        ):
            meter.measure(others)

    def test_a_given_table_of_networks_without_parts(self, at_once):
        darts = get_space("darts")
        meter = Meter(darts, Setting((3, 32, 32), 10), SLOT, LatencyTable({"a": 1.0}, SETTING.conditions()))
        with pytest.raises(
            ExperimentError, match=r"^latency: networks of darts cannot be split into parts whose latencies"
        ):
            meter.measure(codes(1, darts))


class TestLog:
    @pytest.fixture
    def log(self, tmp_path):
        return EvidenceLog(tmp_path / "evidence.sqlite")

    def test_rows_costs_and_conditions(self, log, at_once, quick):
        meter = Meter(MACRO, SETTING, Slot(2.0))
        meter.measure(codes(4))
        kept = codes(4)[:3]
        book_latencies(log, meter, kept)
        rows = log.evidence()
        assert set(rows["stage"]) == set(rows["source"]) == {LATENCY}
        own = rows[rows["metric"] == LATENCY_MS].set_index("architecture")
        assert own["value"].to_dict() == {code: float(len(code)) for code in kept}
        assert own["seconds"].tolist() == [1.0] * 3
        low = rows[rows["metric"] == f"{LATENCY_MS}_low"].set_index("architecture")["value"]
        assert low.to_dict() == {code: len(code) - 0.5 for code in kept}
        # Who was measured and set aside has cost the run too; so has asking for their parts.
        (shared,) = rows.loc[rows["architecture"] == "", "seconds"]
        assert shared == pytest.approx(1.0 + meter.shared_seconds)
        assert rows["epochs"].sum() == 0
        assert logged_conditions(log) == (WHOLE, SETTING.conditions())
        assert log.wall_seconds()[LATENCY] == pytest.approx(meter.ended - meter.began, abs=1e-3)

    def test_a_latency_that_is_missing_has_a_reason(self, log, at_once, monkeypatch):
        failed = CandidateLatency(np.nan, np.nan, np.nan, 0.1, "RuntimeError: out of memory")
        monkeypatch.setattr(latency_runs, "measure_whole", lambda *_: failed)
        meter = Meter(MACRO, SETTING, SLOT)
        (code,) = codes(1)
        meter.measure([code])
        book_latencies(log, meter, [code])
        assert log.evidence()[log.evidence()["metric"] == LATENCY_MS]["value"].isna().all()
        experiment = parse_experiment("name: t\nspace: nasbench_macro\ndata: digits\ncandidates: 2\n", where="t")
        lines = hardware_lines(experiment, log, [code])
        assert lines == [
            f"latency: none, whole networks ({SETTING.conditions()})",
            f"no latency: {code}: RuntimeError: out of memory",
        ]

    def test_none_were_measured(self, log):
        assert logged_conditions(log) is None


class TestSearch:
    """In a search proposals are judged one by one: a sample of as many as it trains decides how."""

    @pytest.fixture
    def measured(self, monkeypatch):
        """Architectures that parts are measured of, a list for each time; each part takes a millisecond."""
        calls = []

        def table_of(space, architectures, setting):
            calls.append([one.code for one in architectures])
            parts = parts_by_code(space, architectures, setting)
            return LatencyTable({key: 1.0 for keys in parts.values() for key in keys}, setting.conditions())

        monkeypatch.setattr(latency_runs, "table_of_parts", table_of)
        return calls

    @staticmethod
    def keep(folder, images, evaluations, space="nasbench_macro"):
        text = f"name: t\nspace: {space}\ndata: digits\nconstraints: latency <= 100ms\n"
        asked = parse_experiment(f"{text}search: {{method: random, evaluations: {evaluations}}}\n", where="t")
        cluster, log = Cluster(nodes=(Slot(4.0),)), EvidenceLog(folder / "evidence.sqlite")
        return keep_latencies(asked, images, cluster, log=log, file=folder / TABLE_FILE, say=lambda line: None), log

    def test_many_proposals_are_sums_of_parts_that_are_measured_at_first(self, images, tmp_path, at_once, measured):
        kept, log = self.keep(tmp_path, images, 25)
        assert len(measured) == 1
        assert kept.cores == 0
        proposed = codes(5, seed=7)
        found = {code: kept.measure([code])[code] for code in proposed}
        parts = parts_by_code(MACRO, [MACRO.parse(code) for code in proposed], SETTING)
        assert {code: one.milliseconds for code, one in found.items()} == {
            code: float(len(keys)) for code, keys in parts.items()
        }
        assert logged_conditions(log) == (PARTS, SETTING.conditions())
        assert log.evidence()["seconds"].sum() == pytest.approx(kept._meter.shared_seconds)
        # It goes on with the same sums, and measures none of the parts again.
        calls = len(measured)
        again, _ = self.keep(tmp_path, images, 25)
        for code in [*proposed, *codes(25)]:
            again.measure([code])
        assert len(measured) == calls

    def test_few_proposals_are_measured_whole(self, images, tmp_path, at_once, quick, measured):
        kept, log = self.keep(tmp_path, images, 4)
        for code in codes(3, seed=7):
            assert kept.measure([code])[code].milliseconds == len(code)
        assert measured == []
        assert logged_conditions(log)[0] == WHOLE
        again, _ = self.keep(tmp_path, images, 40)  # more are asked for; a run has its latencies in one way
        again.measure(codes(1, seed=8))
        assert measured == []

    def test_more_proposals_than_there_are(self, images, tmp_path, at_once, measured):
        kept, _ = self.keep(tmp_path, images, 400, space="mnist_blocks")
        (code,) = codes(1, get_space("mnist_blocks"))
        assert kept.measure([code])[code].milliseconds > 0


class TestSlot:
    CPU = Cluster(nodes=(Slot(4.0), Slot(2.0)))

    def test_cores_for_its_threads(self):
        assert latency_slot(self.CPU, ResourceSpec(), LatencySpec(threads=3)) == Slot(3.0)
        with pytest.raises(ClusterError, match=r"^latency\.threads: 5, but the largest node has 4 cores; take fewer$"):
            latency_slot(self.CPU, ResourceSpec(), LatencySpec(threads=5))

    def test_a_gpu_alone_or_the_share_of_the_run(self):
        cluster = Cluster(nodes=(Slot(8.0, 2.0),))
        assert latency_slot(cluster, ResourceSpec(), LatencySpec(device="cuda")) == Slot(1.0, 1.0)
        share = ResourceSpec(gpus_per_trial=0.25)
        assert latency_slot(cluster, share, LatencySpec(device="cuda")) == Slot(1.0, 0.25)
        assert latency_slot(cluster, share, LatencySpec()) == Slot(1.0)
        with pytest.raises(ClusterError, match=r"^latency\.device: cuda, but no node has a GPU"):
            latency_slot(self.CPU, ResourceSpec(), LatencySpec(device="cuda"))


def experiment(more):
    text = "name: t\nspace: nasbench_macro\ndata: digits\nrecipe: {epochs: 4}\nbudget: 2x\nresources: {cpus: 1}\n"
    return parse_experiment(text + more, where="t")


class TestMistakes:
    def test_a_table_that_is_none(self, images, tmp_path):
        for content, message in ((None, "cannot be read: No such file"), ("{}", "is no latency table")):
            file = tmp_path / "table.json"
            if content is not None:
                file.write_text(content)
            with pytest.raises(ExperimentError, match=f"^latency.table: .*{message}"):
                create_run(experiment(f"candidates: 2\nlatency: {{table: {file}}}\n"), tmp_path / "runs", images)
        assert not (tmp_path / "runs").exists()


@pytest.mark.ray
class TestWithRay:
    def test_a_run_has_latencies_once_and_resumes_with_them(self, images, tmp_path):
        said = []
        bound = "candidates: 30\nconstraints: latency >= 1us\nobjective: {kind: mnasnet-soft, target: 1ms}\n"
        run = create_run(experiment(bound), tmp_path, images, say=said.append)
        steps = [line for line in said if not line.startswith(" ")]  # on a slow machine progress is reported between
        assert steps == ["starting Ray to measure latencies ...", "latencies of 30 candidates ..."]
        by, conditions = logged_conditions(run.log)
        assert by == PARTS
        assert (conditions.batch, conditions.threads, conditions.precision) == (1, 1, "float32")
        rows = run.log.evidence()
        latencies = rows[rows["metric"] == LATENCY_MS].set_index("architecture")["value"]
        assert set(latencies.index) == set(run.candidates)
        assert (latencies > 0).all()
        # Opened again, all is in the log.
        events = len(run.log.events())
        opened = Run.open(run.folder)
        assert opened.candidates == run.candidates
        assert len(opened.log.events()) == events
        # The table of the run gives another run the same sums, and who is beyond a bound is set aside by them.
        assert json.loads((run.folder / TABLE_FILE).read_text())["conditions"]["batch"] == 1
        bound = np.median(latencies)
        given = f"candidates: {json.dumps(run.candidates)}\nlatency: {{table: {run.folder / TABLE_FILE}}}\n"
        again = create_run(experiment(f"{given}constraints: latency <= {bound}ms\n"), tmp_path, images, say=said.append)
        assert list(again.candidates) == [code for code in run.candidates if latencies[code] <= bound]
        rows = again.log.evidence()
        sums = rows[rows["metric"] == LATENCY_MS].set_index("architecture")["value"]
        pd.testing.assert_series_equal(sums, latencies[list(again.candidates)])
        assert logged_conditions(again.log) == (GIVEN, conditions)

    def test_whole_networks(self, images, tmp_path):
        run = create_run(experiment("candidates: 2\nlatency: {batch: 2}\n"), tmp_path, images, say=lambda line: None)
        by, conditions = logged_conditions(run.log)
        assert (by, conditions.batch) == (WHOLE, 2)
        rows = run.log.evidence()
        for code in run.candidates:
            own = rows[rows["architecture"] == code].set_index("metric")["value"]
            assert own[f"{LATENCY_MS}_low"] <= own[LATENCY_MS] <= own[f"{LATENCY_MS}_high"]
        assert not (run.folder / TABLE_FILE).exists()
