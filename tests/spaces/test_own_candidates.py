"""Candidates of own training code: their codes, their names, and the numbers that describe them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taurank.spaces import Architecture, OwnCandidates, SpaceError, candidate_code, candidate_of, get_space, list_spaces

FORESTS = [{"trees": 10, "depth": 2, "kind": "gini"}, {"trees": 1000, "kind": "gini"}, {"trees": 30, "kind": "log"}]


@pytest.mark.parametrize(
    "candidate",
    [
        "ridge",
        "a b/c:d",
        {"depth": 3},
        {"b": [1, {"c": None}], "a": True, "name": "first"},
        {"text": 'with "quotes", and = signs', "unicode": "größer"},
    ],
)
def test_a_code_has_all_of_its_candidate(candidate):
    code = candidate_code(candidate)
    assert candidate_of(code) == candidate
    assert candidate_code(code) == code
    space = OwnCandidates([candidate])
    own = space.parse(code)
    assert own == Architecture("own", code) == space.parse(space.short(own))


def test_the_order_of_options_does_not_matter():
    assert candidate_code({"b": 1, "a": 2}) == candidate_code({"a": 2, "b": 1}) == '{"a": 2, "b": 1}'


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (3, "3 is neither a name nor a mapping"),
        (None, "None is neither"),
        (True, "True is neither"),
        ([1], "neither a name nor a mapping"),
        ("", "is not a name"),
        ("two\nlines", "is not a name"),
        ("x" * 501, "is not a name"),
        ({}, "at least one option"),
        ({1: 2}, "names of options are text"),
        ({"a": math.nan}, "not text, a finite number"),
        ({"a": object()}, "not text, a finite number"),
        ("{a: 1", "not one in JSON"),
    ],
)
def test_refuses_what_is_no_candidate(candidate, message):
    with pytest.raises(SpaceError, match=message) as caught:
        candidate_code(candidate)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (["a", "b", "a"], "'a' is listed twice"),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], "is listed twice"),
        ([{"name": "a", "n": 1}, {"name": "a", "n": 2}], "'a' names two candidates"),
        (["a", {"name": "a"}], "'a' names two candidates"),
    ],
)
def test_refuses_candidates_that_tables_cannot_tell_apart(candidates, message):
    with pytest.raises(SpaceError, match=message):
        OwnCandidates(candidates).parse("z")


def test_names():
    space = OwnCandidates(["ridge", {"name": "one", "n": 1}, {"n": 2, "kind": "log", "odd": "3", "flag": True}])
    assert [space.short(own) for own in space.enumerate()] == ["ridge", "one", 'flag=true, kind=log, n=2, odd="3"']
    assert space.parse("one").code == '{"n": 1, "name": "one"}'
    assert space.parse("new").code == "new"
    with pytest.raises(SpaceError, match="is none of the candidates, which are mappings"):
        OwnCandidates(FORESTS).parse("new")


def test_features_of_options():
    space = OwnCandidates([*FORESTS, {"trees": 100, "kind": "log", "depth": 4}])
    found = dict(zip(space.feature_names, np.array([space.features(own) for own in space.enumerate()]).T, strict=True))
    assert list(found) == ["depth", "kind=gini", "kind=log", "trees"]
    assert found["depth"].tolist() == [2, 3, 3, 4]  # the mean where there is none
    assert found["kind=log"].tolist() == [0, 0, 1, 1]
    assert found["trees"] == pytest.approx(np.log([10, 1000, 30, 100]))


def test_given_features_come_first_and_every_candidate_needs_one():
    space = get_space("own", candidates=["a", "b"], features={"size": {"a": 1, "b": 2.5, "gone": 3}})
    assert space.feature_names == ("size",)
    assert space.features(space.parse("b")).tolist() == [2.5]
    with pytest.raises(SpaceError, match="size has no value for c"):
        OwnCandidates(["a", "c"], {"size": {"a": 1}}).features(Architecture("own", "a"))


def test_names_alone_have_no_features_and_are_not_listed_as_a_space():
    space = OwnCandidates(["a", "b"])
    assert space.feature_names == ()
    assert space.features(space.parse("a")).shape == (0,)
    assert "own" not in list_spaces()
    with pytest.raises(SpaceError, match="own training code"):
        space.build(space.parse("a"), input_shape=(1, 8, 8), classes=2)
