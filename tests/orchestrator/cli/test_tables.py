"""`taurank table import` and `table show` as a user meets them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.replay.cheap import choose_cheap
from taurank.orchestrator.replay.truth import ReplayError
from taurank.orchestrator.runs.table import import_run
from taurank.trainables.table import Metric, TableError, read_table
from taurank.trainables.table.importers import list_importers

CSV = "net,ep,acc\na,1,50\na,2,60\nb,1,55\nb,2,65.5\n"
CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_3x3~1|+|none~0|skip_connect~1|nor_conv_3x3~2|"
MAP = ("--map", "architecture=net,value=acc,epoch=ep", "--set", "metric=validation_accuracy,schedule_epochs=2")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text(CSV)
    return path


class TestImport:
    def test_a_csv(self, taurank, file, tmp_path):
        out = tmp_path / "t.parquet"
        code, written, err = taurank("table", "import", file, "--out", out, *MAP, "--percent", "--space", "mine")
        assert (code, err) == (0, "")
        assert "space        mine" in written
        assert "truth        validation_accuracy of training after 2 epochs: 2 of a mean or unknown seed" in written
        assert f"written to {out}" in written
        final = read_table(out).final("validation_accuracy", schedule_epochs=2, seed=-1)
        assert final.to_dict() == {"a": 0.6, "b": 0.655}

    def test_overwrites_only_when_told(self, taurank, file, tmp_path):
        out = tmp_path / "t.parquet"
        out.write_text("mine")
        arguments = ("table", "import", file, "--out", out, *MAP, "--percent")
        code, _, err = taurank(*arguments)
        assert code == 2
        assert err == f"taurank: {out} exists; add --force to overwrite it, or choose another --out\n"
        assert out.read_text() == "mine"
        assert taurank(*arguments, "--force")[0] == 0
        assert read_table(out).architectures == ["a", "b"]

    def test_a_mistake_leaves_no_file(self, taurank, file, tmp_path):
        code, _, _ = taurank("table", "import", file, "--out", tmp_path / "t.parquet", *MAP)  # no --percent
        assert code == 2
        assert [path.name for path in tmp_path.iterdir()] == ["curves.csv"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "curves.csv: no importer recognises it"),
            (MAP, "is no share in [0, 1]; divide percentages by 100 (--percent for a CSV)"),
            ((*MAP, "--format", "naap440"), "--format naap440 and --map do not go together"),
            (("--percent",), "--percent is for a CSV; add --map"),
            (("--set", "metric=x"), "--set is for a CSV; add --map"),
            (("--map", "architecture"), "--map: 'architecture' is not of the form NAME=VALUE,NAME=VALUE"),
            (("--map", "value=a,value=b"), "--map: 'value' is given twice; remove one"),
            (("--format", "nb201"), "--format: unknown importer 'nb201'"),
            ((*MAP, "--percent", "--space", "nasbench201"), "space nasbench201: code: 'a' has 1 nodes"),
        ],
    )
    def test_one_line_and_exit_code_2(self, taurank, file, tmp_path, arguments, message):
        code, out, err = taurank("table", "import", file, "--out", tmp_path / "t.parquet", *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("taurank: ")
        assert err.count("\n") == 1
        assert message in err

    def test_final_results(self, taurank, tmp_path):
        """What most have: a name and an accuracy. With the space given, codes are in its own spelling."""
        file, out = tmp_path / "old.csv", tmp_path / "old.parquet"
        file.write_text("arch,acc\n3-s3-ns3,93.1\ns-s3-1s3,90\n")
        code, written, err = taurank("table", "import", file, "--out", out, "--space", "nasbench201", "--data", "svhn")
        assert code == 0, err
        assert "acc: higher is better, by its name" in written + err
        assert read_table(out).architectures[0].startswith("|nor_conv_3x3~0|+|")
        code, written, err = taurank("table", "show", out)
        assert "truth        acc of training:recorded, of unknown length: 2 of a mean" in written

    @pytest.mark.parametrize(
        ("text", "arguments", "message"),
        [
            ("arch,acc\nfoo,1\n", ("--space", "nasbench201"), "space nasbench201: code: 'foo'"),
            ("arch,acc\n3-s3-ns3,1\n3-s3-ns3 ,2\n", (), "is in row 1, too; leave one"),
            (f"arch,acc\n3-s3-ns3,1\n{CELL},2\n", ("--space", "nasbench201"), "are the same architecture; leave one"),
            ("arch,acc\na,1\n", ("--percent",), "--percent cannot be used without --map"),
            ("arch,accuracy\na,50\n", ("--lower-is-better",), "whose name has a fixed meaning"),
        ],
    )
    def test_mistakes_in_final_results(self, taurank, tmp_path, text, arguments, message):
        file = tmp_path / "old.csv"
        file.write_text(text)
        code, _, err = taurank("table", "import", file, "--out", tmp_path / "old.parquet", *arguments)
        assert (code, err.count("\n")) == (2, 1)
        assert message in err

    def test_help_names_every_importer(self, taurank):
        code, out, _ = taurank("table", "import", "--help")
        assert code == 0
        assert all(importer.name in out for importer in list_importers())
        assert "pickles" in out

    @pytest.mark.parametrize("arguments", [("table",), ("table", "import"), ("table", "show"), ("table", "frobnicate")])
    def test_used_wrongly(self, taurank, arguments):
        code, out, err = taurank(*arguments)
        assert code == 2
        assert "Usage: taurank table" in out + err
        assert "Traceback" not in err


class TestShow:
    def test_what_is_in_it(self, taurank, file, tmp_path):
        out = tmp_path / "t.parquet"
        file.write_text(CSV + "c,1,10\n")
        taurank("table", "import", file, "--out", out, *MAP, "--percent", "--data", "digits")
        code, written, err = taurank("table", "show", out)
        assert (code, err) == (0, "")
        assert "data         digits" in written
        assert "numbers      5 of 3 architectures" in written
        assert "validation_accuracy: share, higher is better" in written
        line = next(line for line in written.splitlines() if line.startswith("training"))
        assert line.split() == ["training", "1", "to", "2", "of", "2", "-", "validation_accuracy", "3", "2", "0.1",
                                "to", "0.655", "unknown"]  # fmt: skip
        assert "truth        validation_accuracy of training after 2 epochs: 2 of" in written

    @pytest.mark.parametrize("content", [None, "hello"])
    def test_what_is_no_table(self, taurank, tmp_path, content):
        path = tmp_path / "t.parquet"
        if content:
            path.write_text(content)
        code, out, err = taurank("table", "show", path)
        assert (code, out) == (2, "")
        assert err.startswith(f"taurank: {path} cannot be read as a table: ")
        assert err.count("\n") == 1


class TestRuns:
    def test_all_evidence_and_the_baseline(self, taurank, run_folder, tmp_path, codes):
        out = tmp_path / "t.parquet"
        code, written, err = taurank("table", "import", run_folder, "--out", out)
        assert (code, err) == (0, "")
        assert "space        nasbench201, width=4, cells_per_stage=1" in written
        assert "data         digits" in written
        table = read_table(out)
        assert table.architectures == list(codes)
        assert table.schedules() == [2, 40]
        assert table.seeds(40) == [0, 1, 2]
        assert table.final("test_accuracy", schedule_epochs=40, seed=1).notna().all()
        rows = EvidenceLog(run_folder / "evidence.sqlite").evidence()
        assert len(table.rows) == len(rows)
        assert table.rows["seconds"].sum() == pytest.approx(rows["seconds"].sum())
        assert table.seconds_per_epoch == pytest.approx(0.1)

    def test_what_is_left_out_and_where_its_cost_goes(self, run_folder, codes):
        log = EvidenceLog(run_folder / "evidence.sqlite")
        before = log.evidence()["seconds"].sum()

        def row(stage, code, source, epoch, metric, value, seconds, schedule=0, seed=0):
            return Evidence(
                stage, f"{stage}/{code}/{seed}", code, source, epoch, schedule, seed, metric, value, seconds
            )

        shared = row("supernet", "", "supernet:uniform", 1, "train_loss", 1.0, 30.0)
        scored = [row("supernet", code, "supernet:uniform", 1, "validation_accuracy", 0.5, 1.0) for code in codes[:3]]
        failed = row("late", codes[0], "training", 1, "train_loss", math.nan, 5.0, 40, 9)
        rescued = row("late", codes[0], "training", 1, "validation_accuracy", 0.5, 0.0, 40, 9)
        opinion = row("late", codes[0], "training", 1, "predicted_accuracy", 1.7, 0.0, 40, 9)
        again = row("once-more", codes[0], "training", 40, "test_accuracy", 0.1, 0.0, 40, 1)
        log.append([shared, *scored, failed, rescued, opinion, again])
        log.close()
        table = import_run(run_folder)
        supernet = table.rows[table.rows["source"] == "supernet:uniform"]
        assert supernet["seconds"].tolist() == [11.0, 11.0, 11.0]
        assert "" not in table.architectures
        curve = table.curve(codes[0], schedule_epochs=40, seed=9)
        assert curve.loc[1].to_dict() == {"validation_accuracy": 0.5, "seconds": 5.0}
        assert table.final("test_accuracy", schedule_epochs=40, seed=1)[codes[0]] != 0.1
        assert table.rows["seconds"].sum() == pytest.approx(before + 30 + 3 + 5)
        assert any("1 numbers measured by two stages" in note for note in table.info.notes)

    def test_all_numbers_of_a_supernet_with_what_they_mean(self, run_folder, codes):
        source, log = "supernet:uniform", EvidenceLog(run_folder / "evidence.sqlite")
        numbers = {
            "validation_accuracy": 0.5, "validation_accuracy_sd": 0.02, "updates": 7.0, "option_updates": 9.5,
            "sampler_score": -1.5,
        }  # fmt: skip
        log.append(
            Evidence(source, f"{source}/{code}", code, source, 10, 10, 0, metric, value)
            for code in codes[:3]
            for metric, value in numbers.items()
        )
        log.append(
            Evidence(source, f"{source} contenders/{codes[0]}", codes[0], f"{source}:contenders", epoch, 2, 0,
                     "validation_accuracy", 0.3 * epoch)
            for epoch in (1, 2)
        )  # fmt: skip
        log.close()
        table = import_run(run_folder)
        assert table.wide(source).loc[codes[1]].to_dict() == numbers
        again = table.rows[table.rows["source"] == f"{source}:contenders"]
        assert again["value"].tolist() == [0.3, 0.6]
        described = table.info.metrics
        assert described["validation_accuracy_sd"] == Metric("lower", "share")
        assert described["updates"] == described["option_updates"] == Metric("none", "count")
        assert described["sampler_score"] == Metric("higher")
        # What was trained on is no supernet of its own.
        assert choose_cheap(table, proxies="none", supernets="uniform=5").supernets == {"uniform": 5.0}
        with pytest.raises(ReplayError, match=r"'uniform:contenders' is not in the table; there are uniform$"):
            choose_cheap(table, proxies="none", supernets="uniform:contenders=5")

    def test_a_run_without_evidence(self, run_folder):
        (run_folder / "evidence.sqlite").unlink()
        EvidenceLog(run_folder / "evidence.sqlite").evidence()
        with pytest.raises(TableError, match="has no evidence yet; continue with `taurank resume"):
            import_run(run_folder)

    def test_knows_its_own_space(self, taurank, run_folder, tmp_path):
        code, _, err = taurank("table", "import", run_folder, "--out", tmp_path / "t.parquet", "--data", "mnist")
        assert code == 2
        assert "a table is made from one run, which defines its space and data; give only its folder" in err
        assert not Path(tmp_path / "t.parquet").exists()
