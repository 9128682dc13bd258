"""What waiting trainings may take on disk."""

from pathlib import Path

import pytest

from orchestrator.checkpoints import CheckpointStore
from schedulers.policies import Curve
from schedulers.policies.policy import State
from trainables.recipe import Recipe
from trainables.trials import TrialSpec

SIZE = 100


def curve(trial: str, epochs: int, state: State) -> Curve:
    return Curve(trial, tuple(range(1, epochs + 1)), (0.5,) * epochs, state=state)


@pytest.fixture
def store(tmp_path: Path):
    """Four trainings with states of 100 bytes each."""

    def make(most_bytes: float) -> CheckpointStore:
        specs = []
        for name in "abcd":
            path = tmp_path / f"{name}.pt"
            path.write_bytes(b"x" * SIZE)
            specs.append(
                TrialSpec(
                    trial=name,
                    label=name,
                    space="mnist_blocks",
                    space_options={},
                    recipe=Recipe(epochs=9),
                    seed=0,
                    checkpoint=str(path),
                    architectures=(name,),
                )
            )
        return CheckpointStore(tuple(specs), most_bytes)

    return make


CURVES = {
    "a": curve("a", 6, "paused"),
    "b": curve("b", 2, "paused"),
    "c": curve("c", 1, "running"),
    "d": curve("d", 8, "stopped"),
}


def left(tmp_path: Path) -> str:
    return "".join(sorted(path.stem for path in tmp_path.glob("*.pt")))


@pytest.mark.parametrize(
    ("most_bytes", "dropped", "kept"),
    [(1000, [], "abcd"), (300, [], "abcd"), (299, ["d"], "abc"), (100, ["d", "b"], "ac"), (0, ["d", "b", "a"], "c")],
)
def test_ended_ones_go_first_then_those_that_trained_least(store, tmp_path, most_bytes, dropped, kept):
    assert store(most_bytes).trim(CURVES) == dropped
    assert left(tmp_path) == kept


def test_what_is_gone_already_takes_no_room(store, tmp_path):
    trimmed = store(200)
    (tmp_path / "d.pt").unlink()
    assert trimmed.trim(CURVES) == []
    assert left(tmp_path) == "abc"
