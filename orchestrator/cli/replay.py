"""The command `taurank replay`.

It imports what it needs itself: torch and Ray take seconds, and --help should not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.terminal import make_console

if TYPE_CHECKING:
    from orchestrator.replay import Row


def replay(
    table: Annotated[
        Path, typer.Option("--table", help="A table of recorded trainings (taurank table import).", show_default=False)
    ],
    candidates: Annotated[int, typer.Option("--candidates", min=2, help="How many are drawn and ranked.")] = 1000,
    budget: Annotated[str, typer.Option("--budget", help="How many times cheaper than training all of them.")] = "10x",
    draws: Annotated[int, typer.Option("--draws", min=1, help="How often.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draws and of the ranking.")] = 0,
    truth: Annotated[
        str,
        typer.Option(
            "--truth",
            help="'seeds 1,2', 'test', or 'SOURCE/METRIC seeds 1,2'. Default: validation accuracy of all seeds but the "
            "one bought; test accuracy where there is one seed.",
            show_default=False,
        ),
    ] = "",
    buy_seed: Annotated[
        int | None,
        typer.Option(
            "--buy-seed", help="Seed of the full trainings. Default: the first not in the truth.", show_default=False
        ),
    ] = None,
    among: Annotated[
        str,
        typer.Option("--among", help="distinct: live and different as functions. live: no dead parts. all: everybody."),
    ] = "distinct",
    proxies: Annotated[str, typer.Option("--proxies", help="all, none, or names with commas.")] = "all",
    supernets: Annotated[
        str,
        typer.Option(
            "--supernets",
            help="Scores of supernets: NAME=EPOCHS with commas. No table says what one cost: give it in epochs of "
            "training one candidate.",
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
    workers: Annotated[int, typer.Option("--workers", min=1, help="Trainings at once.")] = 8,
    ray: Annotated[
        bool, typer.Option("--ray", help="Run the trainings through Ray Tune instead: the same order, slower.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Draws in so many processes.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a CSV, one row per draw.", show_default=False)
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object with draws and means, nothing else.")] = (
        False
    ),
) -> None:
    """Replay campaigns over a table of recorded trainings: the order that a budget buys, and how good it is."""
    from rich.console import Console

    from orchestrator.interruption import EXIT_CODE, RunInterruptedError
    from orchestrator.replay import (
        choose_cheap,
        make_bench,
        plan_replay,
        print_draw,
        print_head,
        print_summary,
        read_trainings,
        replay_draws,
        say,
        to_json,
        write_rows,
    )
    from trainables.table import read_table

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
    )
    # Progress goes beside the JSON.
    console = Console(stderr=True) if json_ else make_console()
    print_head(console, bench, plan, draws)
    rows: list[Row] = []
    if out is not None:
        write_rows(rows, out)  # before anything is spent
    try:
        for row in replay_draws(bench, plan, draws, jobs=jobs, through_ray=ray):
            rows.append(row)
            print_draw(console, row)
            if out is not None:
                write_rows(rows, out)
    except RunInterruptedError:
        say(console, "interrupted")
        raise typer.Exit(EXIT_CODE) from None
    if json_:
        print(to_json(bench, plan, rows))
        return
    print_summary(console, plan, rows)
    if out is not None:
        say(console, f"written: {out}")
