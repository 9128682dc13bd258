"""cluster.yaml is what `ray up` accepts, in both of its forms; nobody rents machines to find a typo."""

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

FILE = Path(__file__).parents[1] / "cluster.yaml"
AWS = "# ---- AWS"
SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


def local_form() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return config


def aws_form() -> dict[str, Any]:
    """The file with the keys of the commented part in place of its own."""
    _, _, below = FILE.read_text().partition(AWS)
    lines = below.splitlines()[1:]
    assert all(line.startswith("# ") for line in lines)
    replaced: dict[str, Any] = yaml.safe_load("\n".join(line.removeprefix("# ") for line in lines))
    return local_form() | replaced


FORMS = {"local": local_form, "aws": aws_form}


def check(config: dict[str, Any]) -> None:
    jsonschema.validate(config, SCHEMA)
    validate_config(prepare_config(copy.deepcopy(config)))


@pytest.mark.parametrize("form", FORMS)
def test_ray_accepts_it(form: str) -> None:
    config = FORMS[form]()
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
        check(local_form() | wrong)


@pytest.mark.parametrize("form", FORMS)
def test_nobody_else_gets_in(form: str) -> None:
    """The dashboard listens on loopback, and every node has the token and asks for it."""
    config = FORMS[form]()
    (head,) = (command for command in config["head_start_ray_commands"] if "ray start" in command)
    (worker,) = (command for command in config["worker_start_ray_commands"] if "ray start" in command)
    assert "--head " in head
    assert "--dashboard-host=127.0.0.1" in head
    assert "--address=$RAY_HEAD_IP:6379" in worker
    assert any("RAY_AUTH_MODE=token" in command and ".bashrc" in command for command in config["setup_commands"])
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("form", FORMS)
def test_nodes_get_the_checkout_and_nothing_else(form: str) -> None:
    config = FORMS[form]()
    assert config["file_mounts"]["~/taurank"] == "."
    assert config["rsync_filter"] == [".gitignore"]
    assert "**/.git" in config["rsync_exclude"]
    ignored = (FILE.parent / ".gitignore").read_text().split()
    assert {".venv/", "/runs/", "/data/"} <= set(ignored)
    assert any(command.endswith("pip install --quiet -e ~/taurank") for command in config["setup_commands"])


def test_all_workers_of_the_local_form_start() -> None:
    config = local_form()
    assert config["max_workers"] == len(config["provider"]["worker_ips"])
    assert any("RAY_enable_autoscaler_v2=0" in command for command in config["head_start_ray_commands"])
