"""The command `taurank replay`: campaigns over recorded trainings; with --policy, a comparison of policies.

Imports are inside the function: torch and Ray take seconds to import, and --help should not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console
from taurank.orchestrator.text import print_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from taurank.orchestrator.replay import Bench, Comparison, PolicyRow, ReplayPlan, Row

METRIC = "validation_accuracy"


def replay(
    table: Annotated[
        Path, typer.Option("--table", help="A table of recorded trainings (taurank table import).", show_default=False)
    ],
    candidates: Annotated[
        int | None,
        typer.Option(
            "--candidates",
            min=2,
            help="Number of candidates drawn and ranked. Default: 1000, or all that the table has if it has fewer.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[str, typer.Option("--budget", help="Such as 10x, 10x seconds, 4h or 30 gpu-hours.")] = "10x",
    draws: Annotated[int, typer.Option("--draws", min=1, help="How often.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws and of the ranking.")] = 0,
    truth: Annotated[
        str,
        typer.Option(
            "--truth",
            help="'seeds 1,2', 'test', 'SOURCE/METRIC seeds 1,2', or 'last': the last value of the trainings that are "
            "the evidence, for tables of one seed. Default: validation accuracy of all seeds except that of the "
            "evidence; test accuracy if there is one seed.",
            show_default=False,
        ),
    ] = "",
    buy_seed: Annotated[
        int | None,
        typer.Option(
            "--buy-seed",
            help="Seed of the trainings used as evidence. Default: the first not in the truth.",
            show_default=False,
        ),
    ] = None,
    among: Annotated[
        str,
        typer.Option("--among", help="distinct: live and different as functions. live: no dead parts. all: no filter."),
    ] = "distinct",
    proxies: Annotated[str, typer.Option("--proxies", help="all, none, or names separated by commas.")] = "all",
    supernets: Annotated[
        str,
        typer.Option(
            "--supernets",
            help="Scores of supernets: NAME=EPOCHS, separated by commas. EPOCHS is the cost of the supernet in "
            "epochs of training one candidate.",
            show_default=False,
        ),
    ] = "",
    knowledge: Annotated[
        str,
        typer.Option(
            "--knowledge",
            help="Tables of the same space on other data, whose final accuracies are known at no cost: "
            "TABLE[=RELATION], separated by commas. RELATION is same-kind, other (default) or short.",
            show_default=False,
        ),
    ] = "",
    trainings: Annotated[
        str,
        typer.Option(
            "--trainings",
            help="Stages and their policies: a YAML list as in an experiment, or an experiment. "
            "Default: the budget is split.",
            show_default=False,
        ),
    ] = "",
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            help="Compare policies on the recorded curves at equal cost instead: all, or names separated by commas, "
            "with options as 'order-settling: {goal: top}, asha'.",
            show_default=False,
        ),
    ] = "",
    metric: Annotated[str, typer.Option("--metric", help="With --policy: metric of the curves.")] = METRIC,
    period: Annotated[
        int,
        typer.Option(
            "--period",
            min=1,
            help="With --policy: period of a cyclic learning rate; curves are compared at equal phase.",
        ),
    ] = 1,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Concurrent trainings.")] = 8,
    ray: Annotated[
        bool, typer.Option("--ray", help="Run the trainings through Ray Tune instead: the same order, slower.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Number of processes for the draws.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write a CSV, one row per draw (and policy).", show_default=False),
    ] = None,
) -> Document:
    """Replay campaigns over a table of recorded trainings: rank with a given budget, and score the ranking.

    With --policy: compare policies on the same learning curves at equal cost.
    """
    from taurank.orchestrator.replay import (
        ReplayError,
        choose_cheap,
        compare_policies,
        make_bench,
        plan_replay,
        read_knowledge,
        read_policies,
        read_trainings,
    )
    from taurank.trainables.table import read_table

    if policy:
        unused = {
            "--knowledge": knowledge,
            "--trainings": trainings,
            "--proxies": proxies != "all",
            "--supernets": supernets,
            "--ray": ray,
        }
        for option in (option for option, given in unused.items() if given):
            raise ReplayError(f"{option}: --policy replays learning curves only; omit one of the two")
        policies = read_policies(policy)
        comparison = compare_policies(
            read_table(table),
            policies,
            candidates=candidates,
            budget=budget,
            seed=seed,
            metric=metric,
            period=period,
            truth=truth,
            buy_seed=buy_seed,
            among=among,
            workers=workers,
        )
        return _compare(comparison, draws, jobs=jobs, out=out)
    if (metric, period) != (METRIC, 1):
        raise ReplayError("--metric and --period configure the comparison of policies: use them with --policy")
    recorded = read_table(table)
    cheap = choose_cheap(recorded, proxies=proxies, supernets=supernets)
    stages = read_trainings(trainings) if trainings else None
    bench = make_bench(recorded, truth=truth, buy_seed=buy_seed, among=among)
    plan = plan_replay(
        bench,
        candidates=candidates,
        budget=budget,
        seed=seed,
        workers=workers,
        cheap=cheap,
        trainings=stages,
        knowledge=read_knowledge(knowledge, bench),
    )
    return _campaigns(bench, plan, draws, jobs=jobs, through_ray=ray, out=out)


def _campaigns(
    bench: Bench, plan: ReplayPlan, draws: int, *, jobs: int, through_ray: bool, out: Path | None
) -> Document:
    from taurank.orchestrator.replay import campaigns_document, print_draw, print_head, print_summary, replay_draws

    console = make_progress_console()
    print_head(console, bench, plan, draws)
    rows: list[Row] = []

    def book(row: Row) -> Sequence[Row]:
        rows.append(row)
        print_draw(console, row)
        return rows

    _each(console, replay_draws(bench, plan, draws, jobs=jobs, through_ray=through_ray), book, out)
    print_summary(make_console(), plan, rows)
    _say_written(console, out)
    return campaigns_document(bench, plan, rows)


def _compare(comparison: Comparison, draws: int, *, jobs: int, out: Path | None) -> Document:
    from taurank.orchestrator.replay import (
        policies_document,
        policy_draws,
        print_policy_draw,
        print_policy_head,
        print_policy_summary,
    )

    console = make_progress_console()
    print_policy_head(console, comparison, draws)
    rows: list[PolicyRow] = []

    def book(found: list[PolicyRow]) -> Sequence[PolicyRow]:
        rows.extend(found)
        print_policy_draw(console, found)
        return rows

    _each(console, policy_draws(comparison, draws, jobs=jobs), book, out)
    print_policy_summary(make_console(), comparison, rows)
    _say_written(console, out)
    return policies_document(comparison, rows)


def _each(
    console: Console,
    draws: Iterator[Any],
    book: Callable[[Any], Sequence[Row] | Sequence[PolicyRow]],
    out: Path | None,
) -> None:
    """Writes the draws as they are computed, so that an interrupted command leaves the finished ones."""
    from taurank.orchestrator.replay import write_rows
    from taurank.orchestrator.session import EXIT_CODE

    if out is not None:
        write_rows([], out)  # before anything is spent
    try:
        for draw in draws:
            rows = book(draw)
            if out is not None:
                write_rows(rows, out)
    except KeyboardInterrupt:
        print_line(console, "interrupted")
        raise typer.Exit(EXIT_CODE) from None


def _say_written(console: Console, out: Path | None) -> None:
    if out is not None:
        print_line(console, f"written: {out}")
