"""Truths from files: which end is better, codes as written, rows that stand there twice."""

from __future__ import annotations

import math

import pytest

from taurank.orchestrator.scoring import ScoringError, read_truth
from taurank.trainables.table import Metric, RecordedTable, TableInfo, write_table
from taurank.trainables.table.format import COLUMNS

pd = pytest.importorskip("pandas")
CODES = ("best", "good", "fair", "worst")
LOSSES = "best,.1\ngood,.2\nfair,.4\nworst,.6\n"


@pytest.fixture
def csv(tmp_path):
    def write(text):
        path = tmp_path / "truth.csv"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", ["loss", "val_loss", "testError", "perplexity", "RMSE", "mae", "top1_err", "rank"])
def test_of_a_loss_the_lowest_is_best(csv, name):
    truth = read_truth(csv(f"architecture,{name}\n{LOSSES}"), CODES)
    assert truth.values.tolist() == [-0.1, -0.2, -0.4, -0.6]
    assert truth.measured.tolist() == [0.1, 0.2, 0.4, 0.6]
    (note,) = truth.notes
    assert f"{name}: lower is better, by its name; --higher-is-better says otherwise" in note


def test_a_column_that_says_nothing_is_taken_as_higher_and_said(csv):
    file = csv(f"architecture,value\n{LOSSES}")
    truth = read_truth(file, CODES)
    assert truth.values.tolist() == [0.1, 0.2, 0.4, 0.6]
    assert truth.notes == (
        f"{file}: value: higher is assumed to be better; add --lower-is-better for losses or errors",
    )
    asked = read_truth(file, CODES, lower_is_better=True)
    assert asked.values.tolist() == [-0.1, -0.2, -0.4, -0.6]
    assert asked.notes == (f"{file}: value: lower is better, as asked",)
    named = read_truth(csv(f"architecture,loss\n{LOSSES}"), CODES, lower_is_better=False)
    assert named.values.tolist() == [0.1, 0.2, 0.4, 0.6]


def test_codes_are_text_as_written(csv):
    codes = ("0312", "1203", "1e5", "NA", "null", "True", "nan")
    text = "architecture,accuracy\n" + "".join(f"{code},0.{place}\n" for place, code in enumerate(codes, start=1))
    assert read_truth(csv(text), codes).values.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_a_row_that_stands_there_twice_is_named(csv):
    file = csv("architecture,value\nbest,.9\ngood,.8\nbest,.9\ngood,.7\n")
    truth = read_truth(file, CODES)
    assert truth.values[:2].tolist() == [0.9, 0.75]
    assert truth.notes[1] == (
        f"{file}, row 3: 'best' has the value of row 1: read as another seed; remove it if it is the same row"
    )


def test_rows_of_different_values_are_named_as_seeds(csv):
    file = csv("architecture,value\nbest,.9\nGood,.8\nfair,.5\ngood,.7\nfair,\nworst,.2\n")
    truth = read_truth(file, CODES, parse=str.lower)
    assert truth.values.tolist() == [0.9, 0.75, 0.5, 0.2]
    assert truth.notes[1:] == (f"{file}: 1 architecture has several rows: read as seeds: good (rows 2, 4)",)
    many = "".join(f"a{place},.{place}\na{place},.{place + 1}\n" for place in range(1, 8))
    (_, note) = read_truth(csv("architecture,value\n" + many), [f"a{place}" for place in range(1, 8)]).notes
    assert "7 architectures have several rows: read as seeds: a1 (rows 1, 2), " in note
    assert note.endswith("a5 (rows 9, 10) and 2 more")


def test_two_spellings_of_one_architecture_are_one_seed(csv):
    with pytest.raises(ScoringError, match=r"row 2: 'best' has seed 7 in row 1, too"):
        read_truth(csv("architecture,seed,value\nbest,7,.9\nBEST,7,.1\ngood,7,.7\n"), CODES, parse=str.lower)


def test_rows_of_other_architectures_are_counted(csv):
    file = csv(f"architecture,value\n{LOSSES}other,.7\nbset,.9\nother,.7\n")
    truth = read_truth(file, CODES)
    assert (
        truth.notes[-1]
        == f"{file}: 3 rows are of architectures that the run does not have: other (rows 5, 7), bset (row 6)"
    )
    file = csv(f"architecture,value\n{LOSSES}bset,.9\n")
    assert read_truth(file, CODES).notes[1:] == (
        f"{file}: 1 row is of an architecture that the run does not have: bset (row 5)",
    )


def test_seeds_may_have_a_column_and_then_stand_there_once(csv):
    rows = "architecture,seed,value\nbest,7,.9\nbest,3,.8\ngood,3,.7\n"
    truth = read_truth(csv(rows), CODES)
    assert [seed.tolist()[:2] for seed in truth.seeds] == [[0.8, 0.7]]
    with pytest.raises(ScoringError, match=r"truth\.csv, row 4: 'best' has seed 7 in row 1, too; leave one"):
        read_truth(csv(rows + "best,7,.9\n"), CODES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "architecture,loss,accuracy\nbest,1,2\n",
            "it has architecture, loss, accuracy; name the one that is the truth",
        ),
        ("architecture,value\nbest,1,\ngood,2,\n", "rows have more cells than the header"),
        ("architecture,value\nbest,good\n", "row 1: value 'good' is not a number"),
    ],
)
def test_what_is_no_truth(csv, text, said):
    with pytest.raises(ScoringError, match=said):
        read_truth(csv(text), CODES)


@pytest.fixture
def table(tmp_path):
    def write(**finals):
        rows = [
            [code, "training", 9, 9, 0, metric, value, math.nan]
            for metric, (_, values) in finals.items()
            for code, value in zip(CODES, values, strict=True)
        ]
        metrics = {metric: Metric(direction) for metric, (direction, _) in finals.items()}
        path = tmp_path / "truth.parquet"
        write_table(
            RecordedTable(TableInfo("mine", "photos", metrics), pd.DataFrame(rows, columns=list(COLUMNS))), path
        )
        return path

    return write


def test_a_table_of_losses_is_a_truth(table):
    file = table(train_loss=("lower", [9, 8, 7, 6]), validation_loss=("lower", [0.1, 0.2, 0.4, 0.6]))
    truth = read_truth(file, CODES)
    assert (truth.metric, truth.values.tolist()) == ("validation loss", [-0.1, -0.2, -0.4, -0.6])
    assert truth.notes == (f"{file}: validation loss after 9 epochs: lower is better",)


def test_a_metric_without_direction_is_a_truth_when_it_is_said(table):
    file = table(test_thing=("none", [0.1, 0.2, 0.4, 0.6]))
    with pytest.raises(ScoringError, match="one end better"):
        read_truth(file, CODES)
    assert read_truth(file, CODES, lower_is_better=True).values.tolist() == [-0.1, -0.2, -0.4, -0.6]


def test_an_accuracy_is_not_better_when_lower(table):
    file = table(test_accuracy=("higher", [0.4, 0.3, 0.2, 0.1]))
    with pytest.raises(ScoringError, match=r"the truth of .* is test accuracy; leave the option out"):
        read_truth(file, CODES, lower_is_better=True)
