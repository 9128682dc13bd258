"""Both files for clusters are what `ray up` accepts; nobody rents machines to find a typo."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[1]
FILES = {"local": ROOT / "cluster.yaml", "aws": ROOT / "docs/how-to/cluster-gpu-pool.yaml"}
SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


def read(form: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(FILES[form].read_text())
    return config


def check(config: dict[str, Any]) -> None:
    jsonschema.validate(config, SCHEMA)
    validate_config(prepare_config(copy.deepcopy(config)))


@pytest.mark.parametrize("form", FILES)
def test_ray_accepts_it(form: str) -> None:
    config = read(form)
    assert config["provider"]["type"] == form
    check(config)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"setup_comands": []}, "setup_comands"),
        ({"max_workers": "two"}, "two"),
        ({"provider": {"type": "local", "worker_ips": ["10.0.0.11"]}}, "head_ip"),
        ({"provider": {"type": "nowhere"}}, "nowhere"),
    ],
)
def test_the_check_finds_mistakes(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(Exception, match=says):
        check(read("local") | wrong)


@pytest.mark.parametrize(
    ("type_of_node", "wrong", "says"),
    [
        ("gpu", {"max_worker": 2}, "max_worker"),
        ("gpu", {"min_workers": "two"}, "two"),
        ("head", {"node_config": None}, "None"),
    ],
)
def test_the_check_finds_mistakes_in_types_of_nodes(type_of_node: str, wrong: dict[str, Any], says: str) -> None:
    config = read("aws")
    config["available_node_types"][type_of_node] |= wrong
    with pytest.raises(Exception, match=says):
        check(config)


@pytest.mark.parametrize("form", FILES)
def test_nobody_else_gets_in(form: str) -> None:
    """The dashboard listens on loopback, and every node has the token and asks for it."""
    config = read(form)
    (head,) = (command for command in config["head_start_ray_commands"] if "ray start" in command)
    (worker,) = (command for command in config["worker_start_ray_commands"] if "ray start" in command)
    assert "--head " in head
    assert "--dashboard-host=127.0.0.1" in head
    assert "--address=$RAY_HEAD_IP:6379" in worker
    assert any("RAY_AUTH_MODE=token" in command and ".bashrc" in command for command in config["setup_commands"])
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("form", FILES)
def test_nodes_get_the_checkout_and_nothing_else(form: str) -> None:
    config = read(form)
    assert config["file_mounts"]["~/taurank"] == "."
    assert config["rsync_filter"] == [".gitignore"]
    assert "**/.git" in config["rsync_exclude"]
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {".venv/", "/runs/", "/data/"} <= set(ignored)
    assert any(command.endswith("pip install --quiet -e ~/taurank") for command in config["setup_commands"])


def test_all_workers_of_the_local_form_start() -> None:
    config = read("local")
    assert config["max_workers"] == len(config["provider"]["worker_ips"])
    assert any("RAY_enable_autoscaler_v2=0" in command for command in config["head_start_ray_commands"])


def test_the_pool_loses_no_run_with_a_spot_node() -> None:
    """Workers may be taken away, the head may not; and there is a worker when a run plans the shares of its trials."""
    config = read("aws")
    types = config["available_node_types"]
    head, pool = types[config["head_node_type"]], types["gpu"]
    assert "InstanceMarketOptions" not in head["node_config"]
    assert head["resources"] == {"CPU": 0}
    assert pool["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert 1 <= pool["min_workers"] <= pool["max_workers"] == config["max_workers"]


def test_both_files_set_nodes_up_alike() -> None:
    local, aws = read("local"), read("aws")
    for key in ("file_mounts", "rsync_exclude", "rsync_filter", "setup_commands", "worker_start_ray_commands"):
        assert local[key] == aws[key]
