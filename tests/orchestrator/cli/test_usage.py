"""Command lines that cannot be read end in one line with what is meant, where that is clear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Taurank = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["run", "--models", "timm:a", "timm:b", "timm:c"],
            "--models: join values with commas: --models 'timm:a,",
        ),
        (["run", "--models", "timm:a,", "timm:b,", "timm:c", "--epochs", "2"], "--models 'timm:a,timm:b,timm:c'"),
        (["extend", "{here}", "--add", "a", "b"], "--add: join values with commas: --add 'a,b'"),
        (["extend", "--add", "a", "b", "{here}"], "--add: join values with commas: --add 'a,b'"),
        (["proxies", "--candidates", "3-s3-ns3", "3-33-333"], "--candidates '3-s3-ns3,3-33-333'"),
        (["plan", "a.yaml", "--schedules", "12", "200"], "--schedules '12,200'"),
        (
            ["report", "{here}"],
            "there is no command report: a run writes report.html into its folder",
        ),
        (["search", "--data", "digits", "--size", "8"], "--space is missing: --data is about a space by name"),
    ],
)
def test_one_line_with_the_way_out(taurank: Taurank, tmp_path: Path, arguments: list[str], said: str) -> None:
    code, out, err = taurank(*(text.format(here=tmp_path) for text in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("taurank: ")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize("arguments", [["run", "a.yaml", "b.yaml"], ["extend", "a", "b"], ["reports"]])
def test_what_is_not_clear_is_left_to_the_usage(taurank: Taurank, arguments: list[str]) -> None:
    code, _, err = taurank(*arguments)
    assert code == 2
    assert "Usage: taurank" in err
