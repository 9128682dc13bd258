"""Spaces of the user's own: the class to inherit from, and the page that explains it, whose example is run here."""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from taurank.spaces import ChoiceSpace, SpaceError, decision_space, get_space, measure_size

PAGE = Path(__file__).parents[2] / "docs/how-to/own-space.md"


class Towers(ChoiceSpace):
    named_decisions: ClassVar = {
        "depth": (1, 2, 3),
        "rate": (0.0, 0.5),
        "activation": ("relu", "tanh"),
        "skip": (False, True),
    }

    def simplify(self, taken: dict[str, Any]) -> dict[str, Any]:
        return taken | ({"skip": False} if taken["depth"] == 1 else {})

    def network(self, taken: dict[str, Any], *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))


@pytest.fixture
def towers() -> Towers:
    return Towers()


class TestChoiceSpace:
    def test_counts_and_lists(self, towers: Towers) -> None:
        listed = [one.code for one in towers.enumerate()]
        assert len(set(listed)) == len(listed) == towers.size == 3 * 2 * 2 * 2
        assert listed[0] == "depth=1,rate=0.0,activation=relu,skip=False"
        assert len({towers.canonical(towers.parse(code)) for code in listed}) == 20

    def test_texts_read_in_any_order(self, towers: Towers) -> None:
        one = towers.parse(" skip=True, depth=2,activation=tanh , rate=0.5\n")
        assert one.code == "depth=2,rate=0.5,activation=tanh,skip=True"
        assert towers.taken(one) == {"depth": 2, "rate": 0.5, "activation": "tanh", "skip": True}
        assert towers.architecture(skip=True, activation="tanh", depth=2, rate=0.5) == one
        assert towers.choose(towers.choices(one)) == one

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", r"^code: '' of '' is not a decision with its option; the form is 'depth=1,rate=0.0,activation=relu,"),
            ("depth=1", r"^code: 'depth=1' has no rate, activation, skip; the form is"),
            ("depth=1,depth=2", r"^code: 'depth=2' of 'depth=1,depth=2' comes twice"),
            ("depth=4,rate=0.5,activation=relu,skip=True", r"^code: depth of .* is '4'; allowed are 1, 2, 3$"),
            ("width=4", r"^code: 'width=4' of 'width=4' is not a decision with its option"),
        ],
    )
    def test_wrong_codes_are_explained(self, towers: Towers, text: str, message: str) -> None:
        with pytest.raises(SpaceError, match=message):
            towers.parse(text)

    def test_samples_have_every_function_once(self, towers: Towers) -> None:
        drawn = towers.sample(20, np.random.default_rng(0))
        assert len({towers.canonical(one) for one in drawn}) == 20
        assert len(set(towers.sample(24, np.random.default_rng(0), distinct="code"))) == 24
        with pytest.raises(SpaceError, match=r"^count: 21 requested, but there are only 20"):
            towers.sample(21, np.random.default_rng(0))

    def test_neighbours_differ_in_one_decision(self, towers: Towers) -> None:
        for one in towers.enumerate():
            neighbours = towers.neighbours(one)
            assert len(set(neighbours)) == 2 + 1 + 1 + 1
            for other in neighbours:
                assert sum(a != b for a, b in zip(towers.choices(one), towers.choices(other), strict=True)) == 1
                assert one in towers.neighbours(other)

    def test_features_are_numbers_and_one_hot(self, towers: Towers) -> None:
        assert towers.feature_names == (
            "depth",
            "rate",
            "activation_relu",
            "activation_tanh",
            "skip_False",
            "skip_True",
        )
        one = towers.parse("depth=1,rate=0.5,activation=tanh,skip=True")  # with one layer, skip does not matter
        assert towers.features(one).tolist() == [1, 0.5, 0, 1, 1, 0]

    def test_large_spaces_are_drawn_without_listing(self) -> None:
        class Large(ChoiceSpace):
            named_decisions: ClassVar = {f"layer{place}": tuple(range(10)) for place in range(12)}
            network = Towers.network

        drawn = Large().sample(50, np.random.default_rng(0))
        assert len(set(drawn)) == 50
        assert drawn == Large().sample(50, np.random.default_rng(0))

    def test_a_large_space_of_few_functions_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ChoiceSpace, "listed", 10)
        monkeypatch.setattr(decision_space, "_PATIENCE", 1000)

        class Same(ChoiceSpace):
            named_decisions: ClassVar = {"layer": tuple(range(40)), "other": tuple(range(40))}
            network = Towers.network

            def simplify(self, taken: dict[str, Any]) -> dict[str, Any]:
                return taken | {"other": 0}

        assert len(set(Same().sample(5, np.random.default_rng(0)))) == 5
        message = r"^count: 60 requested, but after [34]\d architectures no new one was drawn$"
        with pytest.raises(SpaceError, match=message):
            Same().sample(60, np.random.default_rng(0))

    @pytest.mark.parametrize(
        ("decisions", "message"),
        [
            ({}, r"named_decisions of Bad: \{\} is not a dictionary"),
            ({"a b": (1,)}, r"'a b' is no name"),
            ({"a": 3}, r"a is 3, not a list"),
            ({"a": ()}, r"a is \(\), not a list"),
            ({"a": (1, 1)}, r"a has an option twice: 1, 1"),
            ({"a": (1, True)}, r"a has an option twice"),
            ({"a": ("x,y",)}, r"a has 'x,y'; an option is a number, True, False, or a text without blanks"),
            ({"a": (float("inf"),)}, r"a has inf"),
            ({"a": (None,)}, r"a has None"),
        ],
    )
    def test_wrong_decisions_are_refused_with_the_class(self, decisions: Any, message: str) -> None:
        with pytest.raises(SpaceError, match=message):
            type("Bad", (ChoiceSpace,), {"named_decisions": decisions, "network": Towers.network})

    def test_decisions_are_not_forgotten(self) -> None:
        with pytest.raises(SpaceError, match=r"^Bad: named_decisions is missing"):
            type("Bad", (ChoiceSpace,), {"network": Towers.network})

    def test_what_is_no_network_is_refused(self) -> None:
        class Wrong(Towers):
            def network(self, taken: dict[str, Any], **task: Any) -> nn.Module:
                return None  # type: ignore[return-value]

        space = Wrong()
        with pytest.raises(SpaceError, match=r"network returns NoneType, not a torch.nn.Module$"):
            space.build(next(space.enumerate()), input_shape=(1, 4, 4), classes=2)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if getattr(sys.modules[name], "__file__", None) and Path(sys.modules[name].__file__ or "").parent == tmp_path:
            del sys.modules[name]


class TestByName:
    def test_the_example_of_the_page_is_a_whole_space(self, folder: Path) -> None:
        code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
        (folder / "my_space.py").write_text(code[0], encoding="utf-8")
        space = get_space("my_space:SmallNetworks")
        assert space.name == "my_space:SmallNetworks"
        assert type(get_space(space.name, **space.options)) is type(space)
        assert space.size == 24
        functions = {space.canonical(one) for one in space.enumerate()}
        assert len(functions) == 18
        assert len({space.features(one).tobytes() for one in functions}) == 18
        assert space.parse("layers=2,width=8,second_kernel=5,pool=max") in functions
        for one in space.sample(18, np.random.default_rng(0)):
            network = space.build(one, input_shape=(1, 8, 8), classes=10)
            assert network(torch.rand(2, 1, 8, 8)).shape == (2, 10)
            size = measure_size(space, one, input_shape=(1, 8, 8), classes=10)
            assert size.parameters == sum(weight.numel() for weight in network.parameters())

    def test_the_lines_of_the_page_are_true(self) -> None:
        shown = re.findall(r"```pycon\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
        test = doctest.DocTestParser().get_doctest(shown[0], {}, "spaces.md", None, None)
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0

    @pytest.mark.parametrize(
        ("source", "name", "message"),
        [
            ("", "none_such:Space", r"^space: 'none_such:Space': there is no module 'none_such'"),
            ("", "own_a:Space", r"^space: 'own_a:Space': own_a has no 'Space'$"),
            ("def f(:", "own_b:Space", r"^space: 'own_b:Space': own_b fails when it is imported: SyntaxError"),
            ("Space = 3", "own_c:Space", r"^space: 'own_c:Space' is not a search space class; let it inherit from"),
            (
                "from taurank.spaces import ChoiceSpace\nclass Space(ChoiceSpace):\n    named_decisions = {'a': (1,)}",
                "own_d:Space",
                r"^space: 'own_d:Space' does not define network$",
            ),
            (
                "from taurank.spaces import NASBench201 as Space",
                "own_e:Space",
                r"^space: 'own_e:Space' calls itself 'nasbench201'; leave out `name`, or set it to 'own_e:Space'$",
            ),
            (
                "from taurank.spaces import ChoiceSpace\nclass Space(ChoiceSpace):\n    named_decisions = {'a': 1}",
                "own_f:Space",
                r"^space: 'own_f:Space': own_f fails .* named_decisions of Space: a is 1, not a list",
            ),
        ],
    )
    def test_what_cannot_be_used_gets_one_line(self, folder: Path, source: str, name: str, message: str) -> None:
        (folder / f"{name.partition(':')[0].replace('none_such', 'other')}.py").write_text(source, encoding="utf-8")
        with pytest.raises(SpaceError, match=message) as caught:
            get_space(name)
        assert "\n" not in str(caught.value)
