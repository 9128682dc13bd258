"""What can be the truth of a replay, and who can be a candidate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.replay import ReplayError, choose_cheap, make_bench
from taurank.orchestrator.replay.curves import encode
from taurank.spaces import get_space
from taurank.trainables.table import RecordedTable, TableInfo
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.rows import Rows


def only(table: RecordedTable, seeds: tuple[int, ...], *, test: bool = True) -> RecordedTable:
    """The table with these seeds, with or without its test accuracies."""
    rows = table.rows
    kept = (rows["source"] != "training") | rows["seed"].isin(seeds)
    kept &= test | (rows["metric"] != "test_accuracy")
    return RecordedTable(table.info, rows[kept])


def final(table: RecordedTable, seed: int, metric: str = "validation_accuracy") -> pd.Series:
    return table.final(metric, schedule_epochs=10, seed=seed)


def test_named_seeds_are_averaged_and_the_first_other_is_bought(table: RecordedTable) -> None:
    bench = make_bench(table, truth="seeds 0,2")
    assert bench.truth.evidence_seed == 1
    pd.testing.assert_series_equal(bench.truth.values, (final(table, 0) + final(table, 2)) / 2, check_names=False)
    pd.testing.assert_series_equal(bench.final, final(table, 1))


def test_by_default_it_is_all_seeds_but_the_one_bought(table: RecordedTable) -> None:
    assert make_bench(table).truth.seeds == (1, 2)
    bench = make_bench(table, buy_seed=1)
    assert bench.truth.seeds == (0, 2)
    assert bench.truth.evidence_seed == 1


def test_by_default_it_is_the_test_accuracy_where_there_is_one_seed(table: RecordedTable) -> None:
    bench = make_bench(only(table, (2,)))
    assert (bench.truth.metric, bench.truth.seeds, bench.truth.evidence_seed) == ("test_accuracy", (2,), 2)
    assert bench.truth.of_evidence_trainings


@pytest.mark.parametrize("text", ["test", "training/test_accuracy", " training/test_accuracy "])
def test_test_accuracy_is_the_mean_of_all_seeds(text: str, table: RecordedTable) -> None:
    bench = make_bench(table, truth=text)
    assert bench.truth.seeds == (0, 1, 2)
    expected = sum(final(table, seed, "test_accuracy") for seed in range(3)) / 3
    pd.testing.assert_series_equal(bench.truth.values, expected, check_names=False)


def test_a_metric_can_have_named_seeds(table: RecordedTable) -> None:
    bench = make_bench(table, truth="training/test_accuracy seed 2")
    assert bench.truth.seeds == (2,)
    assert bench.truth.evidence_seed == 0
    assert not bench.truth.of_evidence_trainings


def test_of_a_loss_lower_is_better(table: RecordedTable) -> None:
    bench = make_bench(table, truth="training/train_loss seeds 1")
    pd.testing.assert_series_equal(bench.truth.values, -final(table, 1, "train_loss"), check_names=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"truth": "seeds 0,1", "buy_seed": 0}, "seed 0 is that of the evidence"),
        ({"truth": "seeds 0,1,2"}, "takes all seeds of the table"),
        ({"truth": "seeds 9"}, "seed 9 of training has no full training; there are 0, 1, 2"),
        ({"truth": "training/recall"}, "no recall of source training; there is training/test_accuracy"),
        ({"truth": "other/test_accuracy"}, "no test_accuracy of source other"),
        ({"truth": "seeds"}, "is not of the form"),
        ({"truth": "best"}, "is not of the form"),
        ({"truth": "seeds 1,two"}, "is not of the form"),
        ({"buy_seed": 7}, "--buy-seed: 7 has no full training in the table; there are 0, 1, 2"),
        ({"among": "some"}, "--among: 'some' is none of distinct, live, all"),
    ],
)
def test_what_cannot_be_the_truth(settings: dict[str, object], message: str, table: RecordedTable) -> None:
    with pytest.raises(ReplayError, match=message) as caught:
        make_bench(table, **settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_one_seed_without_test_accuracy_has_no_truth(table: RecordedTable) -> None:
    with pytest.raises(ReplayError, match="one seed and no test accuracy"):
        make_bench(only(table, (0,), test=False))


def test_a_candidate_needs_the_named_seeds_and_the_one_bought(table: RecordedTable) -> None:
    rows = table.rows
    of_first = rows["architecture"] == "net-00"
    of_second = rows["architecture"] == "net-01"
    gone = (of_first & (rows["seed"] == 2) & (rows["source"] == "training")) | (
        of_second & (rows["seed"] == 0) & (rows["epoch"] == 10)
    )
    sparse = RecordedTable(table.info, rows[~gone])
    assert set(table.architectures) - set(make_bench(sparse, truth="seeds 1,2").pool) == {"net-00", "net-01"}
    # Unnamed, the seeds that it has will do.
    bench = make_bench(sparse)
    assert set(table.architectures) - set(bench.pool) == {"net-01"}
    assert bench.truth.values["net-00"] == final(table, 1)["net-00"]
    assert str(bench.truth).endswith("mean of seeds 1, 2 (of those that an architecture has)")


def test_full_training_is_the_schedule_that_most_have_completed(table: RecordedTable) -> None:
    rows = table.rows
    own = rows[(rows["architecture"] == "net-03") & (rows["epoch"] == 10)].assign(epoch=40, schedule_epochs=40)
    longer = RecordedTable(table.info, pd.concat([rows, own]))
    assert longer.full_epochs == 40
    assert make_bench(longer).full_epochs == 10


def run_with_a_baseline(*, failed: int, full_evidence: int) -> RecordedTable:
    """Eight trainings of 1 epoch and some of 3 with seed 0, and a baseline of seed 1, the first of which failed."""
    codes = [f"net-{place}" for place in range(8)]
    rows = Rows(codes)
    for seed, length in ((0, 1), (0, 3), (1, 3)):
        for epoch in range(1, length + 1):
            values = np.linspace(0.5, 0.6, 8) + 0.01 * epoch
            metrics = {"validation_accuracy": values} | ({"test_accuracy": values} if epoch == length else {})
            rows.add("training", metrics, epoch=epoch, schedule_epochs=length, seed=seed)
    table = rows.frame()
    place = table["architecture"].astype(str).str[-1].astype(int)
    full = table["schedule_epochs"] == 3
    gone = full & (table["seed"] == 1) & (place < failed) & (table["epoch"] > 1)
    gone |= full & (table["seed"] == 0) & (place < 8 - full_evidence)
    return RecordedTable(TableInfo("mine", "nothing", describe_all(rows.metrics)), table[~gone])


@pytest.mark.parametrize(("failed", "full_evidence"), [(0, 0), (1, 0), (4, 0), (0, 2), (1, 2), (3, 2)])
def test_a_failed_baseline_training_is_left_out_with_a_count(failed: int, full_evidence: int) -> None:
    bench = make_bench(run_with_a_baseline(failed=failed, full_evidence=full_evidence))
    assert (bench.full_epochs, len(bench.pool), list(bench.seeds)) == (3, 8 - failed, [1, 3])
    assert (bench.truth.metric, bench.truth.evidence_seed) == ("test_accuracy", 1)
    start = f"left out: {failed} of 8 trained architectures, which lack a full training of seed 1"
    assert [note.startswith(start) for note in bench.notes] == [True] * (failed > 0)


def test_the_baseline_can_be_named_as_the_truth() -> None:
    bench = make_bench(run_with_a_baseline(failed=1, full_evidence=5), truth="seeds 1")
    assert (bench.full_epochs, bench.truth.seeds, bench.truth.evidence_seed, len(bench.pool)) == (3, (1,), 0, 5)


# --- registered spaces

LIVE = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_1x1~2|"
DEAD = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|nor_conv_1x1~0|none~1|none~2|"
TWINS = (
    "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|",
    "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
    "|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|",
)


def cells(*codes: str) -> RecordedTable:
    """A table of NAS-Bench-201 cells with two seeds of one epoch."""
    rows = Rows(codes)
    for seed in (0, 1):
        values = np.linspace(0.5, 0.6, len(codes))
        rows.add("training", {"validation_accuracy": values}, epoch=1, schedule_epochs=1, seed=seed)
    return RecordedTable(TableInfo("nasbench201", "nothing", describe_all(rows.metrics)), rows.frame())


@pytest.mark.parametrize(
    ("among", "pool"), [("all", {LIVE, DEAD, *TWINS}), ("live", {LIVE, *TWINS}), ("distinct", {LIVE, TWINS[1]})]
)
def test_who_can_be_a_candidate(among: str, pool: set[str]) -> None:
    space = get_space("nasbench201")
    assert {space.canonical(space.parse(code)).code for code in TWINS} == {TWINS[1]}
    assert set(make_bench(cells(LIVE, DEAD, *TWINS), among=among).pool) == pool


def test_without_the_canonical_one_the_first_stands_for_its_class() -> None:
    assert make_bench(cells(LIVE, TWINS[0], TWINS[2])).pool == tuple(sorted((LIVE, min(TWINS[0], TWINS[2]))))


def test_a_registered_space_encodes_by_its_features() -> None:
    table = cells(LIVE, DEAD)
    space = get_space("nasbench201")
    encoding = make_bench(table, among="all").encoding([DEAD, LIVE])
    assert list(encoding.index) == [DEAD, LIVE]
    features = space.features(space.parse(DEAD))[list(space.feature_names).index("live_edges")]
    assert encoding.loc[DEAD, "live_edges"] == features
    assert (encoding.nunique() == 2).all()


def test_an_encoding_of_the_tables_own(table: RecordedTable) -> None:
    encoding = make_bench(table).encoding(table.architectures)
    assert list(encoding.columns) == ["depth", "kind=0.0", "kind=1.0", "kind=2.0", "width"]  # the stem does not vary
    assert (encoding[["kind=0.0", "kind=1.0", "kind=2.0"]].sum(axis=1) == 1).all()
    pd.testing.assert_series_equal(encoding["width"], table.wide("encoding")["width"])


def test_an_entry_that_is_not_there_has_a_column_that_says_so(table: RecordedTable) -> None:
    rows = table.rows
    gone = (rows["metric"] == "depth") & (rows["architecture"] == "net-04")
    sparse = encode(RecordedTable(table.info, rows[~gone]), None, ["net-04", "net-05"])
    assert sparse["depth missing"].tolist() == [1.0, 0.0]
    assert sparse.loc["net-04", "depth"] == 0.0


def test_no_encoding_is_no_column(table: RecordedTable) -> None:
    bare = RecordedTable(table.info, table.rows[table.rows["source"] != "encoding"])
    assert make_bench(bare).encoding(["net-01", "net-00"]).shape == (2, 0)


# --- cheap evidence


def test_proxies_and_supernets_by_name(table: RecordedTable) -> None:
    assert choose_cheap(table, proxies="all", supernets="").proxies == ("jacov", "nwot")
    chosen = choose_cheap(table, proxies="nwot", supernets="shared=30")
    assert (chosen.proxies, chosen.supernets) == (("nwot",), {"shared": 30.0})
    assert chosen.epochs(100) == pytest.approx(100 * 0.015 + 30)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"proxies": "synflow"}, "--proxies: 'synflow' is not in the table; there are all, none, jacov, nwot"),
        ({"supernets": "shared"}, "does not give the cost of the supernet; write shared=EPOCHS"),
        ({"supernets": "shared=much"}, "does not give the cost of the supernet"),
        ({"supernets": "shared=-1"}, "does not give the cost of the supernet"),
        ({"supernets": "other=3"}, "--supernets: 'other' is not in the table; there are shared"),
    ],
)
def test_cheap_evidence_that_is_not_there(settings: dict[str, str], message: str, table: RecordedTable) -> None:
    with pytest.raises(ReplayError, match=message):
        choose_cheap(table, **({"proxies": "none", "supernets": ""} | settings))
