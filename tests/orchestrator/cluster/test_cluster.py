"""The share of a cluster that a trial takes, and what is said when a cluster cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import psutil
import pytest

import taurank.orchestrator  # noqa: F401  (settings that Ray reads when it is imported)

import ray  # isort: skip
from ray import tune
from ray.air.execution._internal import RayActorManager

from taurank.orchestrator.cluster.cluster import JOB_VARIABLE, Cluster, ClusterError, Slot, _runtime_env, connect
from taurank.orchestrator.cluster.peak_memory import measure_peak_memory
from taurank.orchestrator.cluster.shared_folder import check_shared, prepare_packed
from taurank.orchestrator.cluster.slots import plan_slot
from taurank.orchestrator.cluster.tune import TrialActorManager
from taurank.orchestrator.experiment.parts import ResourceSpec
from taurank.spaces import Architecture, get_space
from taurank.trainables.data import PackedImages, load_dataset, make_splits, pack_images
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.trials.architecture import ArchitectureTrial
from taurank.trainables.trials.spec import TrialSpec

ROOT = Path(__file__).parents[3]
AUTO = ResourceSpec()
GPU_SERVER = Slot(16, 2)


def cluster(*nodes: tuple[float, float]) -> Cluster:
    return Cluster(nodes=tuple(Slot(*node) for node in nodes))


class TestPlanSlot:
    @pytest.mark.parametrize(
        ("nodes", "trials", "cpus"),
        [
            ([(2, 0)], 24, 1),
            ([(8, 0)], 8, 1),
            ([(8, 0)], 3, 2),  # fewer trials than cores: 3 x 2, and no third core for any of them
            ([(8, 0)], 1, 8),
            ([(1, 0)], 1, 1),
            ([(4, 0), (4, 0)], 1, 4),  # no trial spans two nodes
            ([(4, 0), (4, 0)], 2, 4),
            ([(4, 0), (4, 0)], 3, 2),
            ([(4, 0), (2, 0)], 2, 2),  # 3 would fit on the larger node only, one trial at a time
            ([(0, 0), (4, 0)], 4, 1),  # a head that runs nothing
        ],
    )
    def test_cores_are_divided_fairly(self, nodes: list[tuple[float, float]], trials: int, cpus: float) -> None:
        assert plan_slot(cluster(*nodes), AUTO, trials=trials) == Slot(cpus=cpus, gpus=0)

    @pytest.mark.parametrize(
        ("peak", "per_gpu", "cpus"),
        [
            (0.3, 3, 2),  # floor(1 / .3) on each of two GPUs: 6 trials on 16 cores
            (0.5, 2, 4),
            (0.51, 1, 8),
            (1.0, 1, 8),
            (2.0, 1, 8),  # does not fit: gets all there is, and the trial records its failure
            (0.01, 8, 1),  # memory for 100, cores for 8
            (None, 1, 8),  # not measured
        ],
    )
    def test_memory_says_how_many_trials_share_a_gpu(self, peak: float | None, per_gpu: int, cpus: float) -> None:
        slot = plan_slot(Cluster((GPU_SERVER,)), AUTO, trials=100, peak_memory=peak)
        assert slot.gpus == pytest.approx(1 / per_gpu, abs=1e-4)
        assert per_gpu * slot.gpus <= 1
        assert slot.cpus == cpus
        assert Cluster((GPU_SERVER,)).places(slot) == 2 * per_gpu

    def test_no_two_trials_share_a_gpu_while_another_one_idles(self) -> None:
        assert plan_slot(Cluster((GPU_SERVER,)), AUTO, trials=2, peak_memory=0.1) == Slot(cpus=8, gpus=1)
        assert plan_slot(Cluster((GPU_SERVER,)), AUTO, trials=3, peak_memory=0.1) == Slot(cpus=5, gpus=0.5)

    def test_cores_of_nodes_without_gpus_do_not_count_for_trials_on_gpus(self) -> None:
        # 68 cores for 4 trials would be 17 each, which the node with the GPU does not have: nothing would ever start.
        slot = plan_slot(cluster((64, 0), (4, 1)), AUTO, trials=20, peak_memory=0.25)
        assert slot == Slot(cpus=1, gpus=0.25)

    def test_nodes_with_different_numbers_of_gpus(self) -> None:
        slot = plan_slot(cluster((8, 1), (8, 4)), AUTO, trials=100)
        assert slot == Slot(cpus=2, gpus=1)
        assert cluster((8, 1), (8, 4)).places(slot) == 5

    def test_as_many_trials_run_as_could_at_best(self) -> None:
        """No division wastes a place: the same number runs with the planned cores as with one core each."""
        for nodes in ([(7, 0)], [(5, 0), (3, 0)], [(16, 2), (6, 1)], [(12, 0), (4, 3)]):
            for trials in range(1, 20):
                here = cluster(*nodes)
                slot = plan_slot(here, AUTO, trials=trials)
                best = min(trials, here.places(Slot(1, slot.gpus)))
                assert min(trials, here.places(slot)) == best
                assert here.places(Slot(slot.cpus + 1, slot.gpus)) < best

    def test_the_user_decides(self) -> None:
        asked = ResourceSpec(cpus_per_trial=3.0, gpus_per_trial=0.5)
        assert plan_slot(Cluster((GPU_SERVER,)), asked, trials=100, peak_memory=0.1) == Slot(cpus=3, gpus=0.5)
        no_gpu = ResourceSpec(gpus_per_trial=0.0)
        assert plan_slot(Cluster((GPU_SERVER,)), no_gpu, trials=100, peak_memory=0.1) == Slot(cpus=1, gpus=0)
        half_a_core = ResourceSpec(cpus_per_trial=0.5)
        assert cluster((2, 0)).places(plan_slot(cluster((2, 0)), half_a_core, trials=9)) == 4

    @pytest.mark.parametrize(
        ("nodes", "asked", "says"),
        [
            ([(4, 0)], {"gpus_per_trial": 0.5}, "gpus_per_trial is 0.5, but the largest node has 0 GPUs"),
            ([(4, 1), (4, 1)], {"gpus_per_trial": 2.0}, "gpus_per_trial is 2, but the largest node has 1 GPUs"),
            ([(4, 0), (4, 0)], {"cpus_per_trial": 8.0}, "cpus_per_trial is 8, but the largest node has 4 cores"),
            (
                [(64, 0), (4, 1)],
                {"cpus_per_trial": 8.0, "gpus_per_trial": 0.5},
                "cpus_per_trial is 8, but the largest node with such a share of GPUs has 4 cores",
            ),
            ([(0, 0)], {}, "no cores"),
            ([], {}, "no cores"),
        ],
    )
    def test_more_than_there_is(self, nodes: list[tuple[float, float]], asked: dict[str, Any], says: str) -> None:
        with pytest.raises(ClusterError, match=says):
            plan_slot(cluster(*nodes), ResourceSpec(**asked), trials=4)

    def test_what_ray_is_told(self) -> None:
        assert Slot(2).resources == {"cpu": 2}
        assert Slot(2, 0.5).resources == {"cpu": 2, "gpu": 0.5}


class TestNamesOfCalls:
    """Workers are reused; the name of a call says what it works on."""

    def test_each_call_has_the_name_of_the_trial_that_the_worker_has_then(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Method:
            def options(self, *, name: str) -> str:
                return name

        class Actor:
            train = reset = Method()

        class Tracked:
            """Stands for an actor."""

        monkeypatch.setattr(RayActorManager, "add_actor", lambda *_, **__: Tracked())
        monkeypatch.setattr(
            RayActorManager,
            "_schedule_tracked_actor_task",
            lambda self, task, method, **_: getattr(self.live[task._tracked_actor][0], method),
        )
        manager = TrialActorManager.__new__(TrialActorManager)
        manager._trials = WeakKeyDictionary()
        worker = manager.add_actor(Actor, {"config": {"trial": "training-3/a/seed 0"}}, resource_request=None)
        actor = Actor()
        manager.live = manager._live_actors_to_ray_actors_resources = {worker: (actor, "resources")}
        task = SimpleNamespace(_tracked_actor=worker)
        assert manager._schedule_tracked_actor_task(task, "train", args=()) == "training-3/a/seed 0 train"
        renamed = manager._schedule_tracked_actor_task(task, "reset", args=({"trial": "training-3/b/seed 0"},))
        assert renamed == "training-3/b/seed 0 reset"
        assert manager._schedule_tracked_actor_task(task, "train", args=()) == "training-3/b/seed 0 train"
        assert manager.live == {worker: (actor, "resources")}


class TestWhatIsShipped:
    def test_packages_and_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(JOB_VARIABLE, raising=False)
        monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
        shipped = _runtime_env()
        assert [Path(path).name for path in shipped["py_modules"]] == ["taurank"]
        assert all(Path(path, "__init__.py").is_file() for path in shipped["py_modules"])
        assert shipped["env_vars"] == {"OMP_WAIT_POLICY": "PASSIVE"}

    @pytest.mark.parametrize(
        ("job", "folder", "keys"),
        [
            ({"working_dir": "gcs://checkout.zip"}, ROOT, {"env_vars"}),
            ({"working_dir": "gcs://only-my-yaml.zip"}, ROOT / "tests", {"env_vars", "py_modules", "excludes"}),
            ({"working_dir": "gcs://x.zip", "excludes": ["docs"]}, ROOT / "tests", {"env_vars", "py_modules"}),
            ({"py_modules": ["gcs://mine.zip"], "excludes": []}, ROOT, {"env_vars"}),
        ],
    )
    def test_a_job_has_shipped_something(
        self, job: dict[str, Any], folder: Path, keys: set[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ray refuses a key that the job has set too."""
        monkeypatch.setenv(JOB_VARIABLE, json.dumps({"runtime_env": job | {"env_vars": {"OMP_WAIT_POLICY": "ACTIVE"}}}))
        monkeypatch.chdir(folder)
        shipped = _runtime_env()
        assert shipped.keys() == keys
        assert shipped["env_vars"] == {}


class TestNoCluster:
    @pytest.mark.parametrize("address", ["10.0.0.1", "http://127.0.0.1:8265", "ray://127.0.0.1:10001"])
    def test_an_address_of_another_kind(self, address: str) -> None:
        with pytest.raises(ClusterError, match="give host:port"), connect(address, resources=AUTO):
            pass

    def test_a_cluster_has_a_size_already(self) -> None:
        asked = ResourceSpec(cpus=4)
        with pytest.raises(ClusterError, match="has its own size"), connect("127.0.0.1:1", resources=asked):
            pass

    def test_a_job_stays_within_its_cluster(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(JOB_VARIABLE, "{}")
        monkeypatch.setenv("RAY_ADDRESS", "nowhere")
        with pytest.raises(ClusterError, match="the Ray cluster at auto"), connect(None, resources=AUTO):
            pass

    def test_a_folder_that_goes_when_the_job_goes(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv(JOB_VARIABLE, '{"runtime_env": {"working_dir": "gcs://checkout.zip"}}')
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ClusterError, match="working directory of the job"):
            check_shared(tmp_path / "runs" / "mine")

    @pytest.mark.ray
    @pytest.mark.parametrize(
        ("token", "says"),
        [
            ("a" * 64, "no Ray answers at 127.0.0.1:1; is it running there"),
            (None, "no token here; copy ~/.ray/auth_token"),
        ],
    )
    def test_says_why_at_once(self, tmp_path: Path, token: str | None, says: str) -> None:
        lines, seconds = join("127.0.0.1:1", token, tmp_path)
        assert len(lines) == 1
        assert says in lines[0].replace(own_address(), "127.0.0.1")
        assert seconds < 10


def own_address() -> str:
    """Ray takes 127.0.0.1 for the machine's address."""
    return str(ray.util.get_node_ip_address())


AT_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""For processes that join a Ray which listens on loopback: by itself Ray takes 127.0.0.1 for the machine's address."""


def join(address: str, token: str | None, home: Path) -> tuple[list[str], float]:
    """What a process says that joins a cluster, and how long it takes to; tokens are read once a process."""
    code = f"""
import time
from taurank.orchestrator.cluster.cluster import ClusterError, connect
from taurank.orchestrator.experiment.parts import ResourceSpec
started = time.perf_counter()
try:
    with connect({address!r}, resources=ResourceSpec()):
        print("joined")
except ClusterError as error:
    print(error)
print(time.perf_counter() - started)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT)} | AT_LOOPBACK
    environment |= {"RAY_AUTH_TOKEN": token} if token else {}
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    *lines, seconds = (output.stdout + output.stderr).splitlines()
    return lines, float(seconds)


@pytest.fixture(scope="module")
def fake_gpu() -> Iterator[Cluster]:
    """Ray on this machine with two cores and a GPU that is only declared."""
    with connect(None, resources=ResourceSpec(cpus=2, gpus=1)) as here:
        yield here


@pytest.mark.ray
class TestFakeGpu:
    def test_is_seen(self, fake_gpu: Cluster) -> None:
        assert fake_gpu == Cluster(nodes=(Slot(cpus=2, gpus=1),), dashboard="", local=True)

    def test_no_process_runs_for_nothing(self, fake_gpu: Cluster) -> None:
        running = psutil.Process().children(recursive=True)
        programs = {Path(word).name for process in running for word in process.cmdline()[:3]}
        assert {"gcs_server", "raylet"} <= programs
        assert not programs & {"dashboard.py", "monitor.py", "log_monitor.py"}

    def test_its_memory_cannot_be_measured(self, fake_gpu: Cluster) -> None:
        space = get_space("mnist_blocks")
        data = make_splits(load_dataset("digits"), seed=0, train=64, validation=64, test=64)
        largest = Architecture(space.name, "2,1")
        assert measure_peak_memory(space, largest, Recipe(), ray.put(data), input_shape=(1, 8, 8)) is None

    @pytest.mark.parametrize(("share", "at_once"), [(0.5, 2), (1.0, 1)])
    def test_trials_share_it_and_train_on_the_cpu(
        self, fake_gpu: Cluster, tmp_path: Path, share: float, at_once: int
    ) -> None:
        slot = plan_slot(fake_gpu, ResourceSpec(cpus_per_trial=1.0, gpus_per_trial=share), trials=2)
        data = make_splits(load_dataset("digits"), seed=0, train=64, validation=64, test=64)
        recipe = Recipe(epochs=1)
        specs = {
            code: TrialSpec(code, code, "mnist_blocks", {}, recipe, 0, str(tmp_path / f"{number}.pt"), (code,))
            for number, code in enumerate(["1,1", "2,1"])
        }
        meeting = tmp_path / "meeting"
        meeting.mkdir()

        class Meeting(ArchitectureTrial):
            """Waits for the other trial before it trains; alone it gives up."""

            def step(self) -> dict[str, Any]:
                (meeting / self._spec.label.replace(",", "-")).touch()
                give_up = time.monotonic() + (60 if at_once == 2 else 6)
                while len(list(meeting.iterdir())) < 2 and time.monotonic() < give_up:
                    time.sleep(0.05)
                there = len(list(meeting.iterdir()))
                return super().step() | {"there": there, "visible": os.environ.get("CUDA_VISIBLE_DEVICES")}

        trainable = tune.with_parameters(Meeting, specs=specs, data=ray.put(data), stage="test")
        results = tune.Tuner(
            tune.with_resources(trainable, slot.resources),
            param_space={"trial": tune.grid_search(list(specs))},
            run_config=tune.RunConfig(name="meeting", storage_path=str(tmp_path / "tune"), verbose=0),
        ).fit()
        reported = [result.metrics for result in results]
        assert [row["outcome"] for row in reported] == ["completed", "completed"]
        assert {row["visible"] for row in reported} == {"0"}
        assert min(row["there"] for row in reported) == at_once

    def test_a_folder_that_is_there(self, fake_gpu: Cluster, tmp_path: Path) -> None:
        check_shared(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_job_without_a_working_directory_may_stand_anywhere(
        self, fake_gpu: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(JOB_VARIABLE, '{"runtime_env": {"env_vars": {}}}')
        monkeypatch.chdir("/")
        check_shared(tmp_path)

    def test_a_folder_that_the_node_does_not_see(
        self, fake_gpu: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Path, "touch", lambda self: None)
        with pytest.raises(ClusterError, match=f"does not see {tmp_path}; give --out a folder that all nodes share"):
            check_shared(tmp_path)

    def test_packed_images_are_copied_to_the_node_or_a_line_says_why_not(
        self, fake_gpu: Cluster, tmp_path: Path
    ) -> None:
        for name in ("ant", "bee"):
            (tmp_path / "set" / name).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / "set" / name / "0.png"), np.zeros((9, 9, 3), np.uint8))
        file, local = tmp_path / "f.pack", tmp_path / "local"
        pack_images(f"folder:{tmp_path / 'set'}", file)
        images = load_dataset(f"packed:{file}", size=8, local_copy=local).train.images
        assert isinstance(images, PackedImages)
        prepare_packed(images)
        assert len(list(local.glob("*.pack"))) == 1
        file.unlink()
        with pytest.raises(ClusterError, match=f"node .*: {file} cannot be copied to {local} .No such file") as caught:
            prepare_packed(images)
        assert "\n" not in str(caught.value)

    def test_another_token_is_not_accepted(self, fake_gpu: Cluster, tmp_path: Path) -> None:
        address = str(ray.get_runtime_context().gcs_address)
        lines, seconds = join(address, "b" * 64, tmp_path)
        assert len(lines) == 1
        assert "does not accept our token" in lines[0]
        assert seconds < 10

    def test_workers_import_our_copy(self, fake_gpu: Cluster, tmp_path: Path) -> None:
        """From a driver elsewhere; what a job has shipped is left as it is."""
        code = """
import json, os, sys
from pathlib import Path
from taurank.orchestrator.cluster.cluster import connect
from taurank.orchestrator.experiment.parts import ResourceSpec
import ray
def files():
    from taurank import orchestrator, schedulers, spaces, trainables
    return [module.__file__ for module in (orchestrator, schedulers, spaces, trainables)]
with connect(sys.argv[1], resources=ResourceSpec()):
    print(json.dumps(ray.get(ray.remote(num_cpus=0)(files).remote())))
"""
        command = [sys.executable, "-c", code, str(ray.get_runtime_context().gcs_address)]
        output = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | AT_LOOPBACK,
            capture_output=True,
            text=True,
            timeout=120,
        )
        files = json.loads(output.stdout.splitlines()[-1])
        assert len(files) == 4
        assert all("py_modules_files" in file for file in files)
