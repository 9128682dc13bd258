"""The output of `taurank plan`: the stages, the predicted tau, and the forecasts of other budgets."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from taurank.orchestrator.planning import Forecast, Option, Outlook, counts, training_epochs
from taurank.orchestrator.report.figures import budget_in_words, left_over, predicted
from taurank.orchestrator.text import print_line


def print_outlook(console: Console, outlook: Outlook, *, notes: tuple[str, ...] = ()) -> None:
    """Prints the plan on the terminal, ``notes`` at the end."""
    question, setting, chosen = outlook.request, outlook.request.setting, outlook.chosen
    whole, budget = question.whole, chosen.forecast.budget
    allowed = f"{budget:.4g}x cheaper, {whole / budget:,.1f} epochs"
    if question.asked is not None:
        allowed = budget_in_words(question.asked, whole, whole / budget)
    print_line(
        console,
        f"{question.candidates:,} candidates{f' of {setting.space}' if setting.space else ''}; full training is "
        f"{setting.full_epochs} epochs each, {whole:,} in all; budget: {allowed}",
    )
    if outlook.progress is not None:
        _print_progress(console, outlook)
    console.print(_stages(outlook), highlight=False)
    stages = chosen.stages
    left = left_over(
        stages.trainings,
        question.candidates,
        setting.full_epochs,
        spent=outlook.epochs(stages),
        budget=whole / budget,
        in_time=question.asked is not None and question.asked.is_time,
    )
    if left:
        print_line(console, left)
    end = "" if outlook.progress is None else " at the end"
    print_line(console, f"predicted tau{end}: {predicted(chosen.forecast)}")
    console.print()
    console.print(_neighbours(outlook), highlight=False)
    for note in notes:
        print_line(console, note)


def outlook_document(outlook: Outlook, *, notes: tuple[str, ...] = ()) -> dict[str, Any]:
    """The plan as one JSON object; NaN for what is unknown."""
    question, progress = outlook.request, outlook.progress
    content: dict[str, Any] = {
        "space": question.setting.space or None,
        "candidates": question.candidates,
        "full_epochs": question.setting.full_epochs,
        "epoch_seconds": question.epoch_seconds,
        "plan": _as_dict(outlook, outlook.chosen),
        "neighbours": [_as_dict(outlook, option) for option in outlook.neighbours],
        "basis": outlook.chosen.forecast.basis,
        "replays": [asdict(row) for row in outlook.chosen.forecast.near],
        "notes": list(notes),
    }
    if progress is not None:
        content["progress"] = {
            "spent_epochs": progress.spent,
            "expected_tau": progress.expected_tau,
            "low": progress.interval[0],
            "high": progress.interval[1],
            "certainty": progress.certainty,
            "forecast": None if outlook.now is None else _tau_as_dict(outlook.now),
        }
    return content


def _print_progress(console: Console, outlook: Outlook) -> None:
    progress, now = outlook.progress, outlook.now
    assert progress is not None
    if now is None:
        print_line(console, "spent so far: nothing")
        return
    share = progress.spent / outlook.request.whole
    print_line(console, f"spent so far: {progress.spent:,.1f} epochs, {share:.1%} of full training")
    low, high = progress.interval
    print_line(
        console,
        f"expected tau now: {progress.expected_tau:.2f} ({low:.2f} to {high:.2f}), {progress.certainty}; replays that "
        f"spent as much: {predicted(now)}",
    )


def _hours(hours: float) -> str:
    """Two decimals, or two digits of what would be less than 0.1."""
    return f"{hours:,.2f}" if hours >= 0.1 else f"{hours:.2g}"


def _stages(outlook: Outlook) -> Table:
    question, stages = outlook.request, outlook.chosen.stages
    table = _table("stage", "number", "epochs each", "epochs at most", "share of full")
    timed = math.isfinite(question.epoch_seconds)
    if timed:
        table.add_column("hours on one device", justify="right")

    def add(name: str, many: str, each: str, epochs: float) -> None:
        hours = [_hours(epochs * question.epoch_seconds / 3600)] if timed else []
        table.add_row(name, many, each, f"{epochs:,.1f}", f"{epochs / question.whole:.1%}", *hours)

    if stages.timing:
        add("timing", "", "", stages.timing)
    if stages.proxies:
        add("proxies", "all", "", stages.proxies)
    for supernet in stages.supernets:
        add(supernet.stage, "1", f"{supernet.epochs}", supernet.cost(question.candidates, question.images))
    for spec in stages.trainings:
        many = question.candidates if spec.candidates == "all" else spec.candidates
        kind = spec.task or ("full" if spec.is_full(question.setting.full_epochs) else "short")
        cut = "" if spec.until is None else f" of {spec.epochs}"
        add(f"{kind} trainings", f"{many:,}", f"{spec.last_epoch}{cut}", training_epochs(spec, question.candidates))
    add("total", "", "", outlook.epochs(stages))
    return table


def _neighbours(outlook: Outlook) -> Table:
    question = outlook.request
    table = _table("budget", "short", "full", "epochs", "predicted tau", "90 %", "retained")
    timed = math.isfinite(question.epoch_seconds)
    if timed:
        table.add_column("hours", justify="right")
    for option in outlook.neighbours:
        shorts, fulls = counts(option.stages.trainings, question.candidates, question.setting.full_epochs)
        found = option.forecast
        hours = [_hours(outlook.hours(option.stages))] if timed else []
        table.add_row(
            f"{found.budget:.4g}x",
            f"{shorts:,}",
            f"{fulls:,}",
            f"{outlook.epochs(option.stages):,.1f}",
            f"{found.tau:.2f}" if found.is_informative else "",
            f"{found.low:.2f} to {found.high:.2f}",
            f"{found.retained:.2f}" if found.is_informative else "",
            *hours,
            style="bold" if option is outlook.chosen else "",
        )
    return table


def _as_dict(outlook: Outlook, option: Option) -> dict[str, Any]:
    question, stages = outlook.request, option.stages
    shorts, fulls = counts(stages.trainings, question.candidates, question.setting.full_epochs)
    return {
        "budget": option.forecast.budget,
        "shorts": shorts,
        "fulls": fulls,
        "trainings": [spec.model_dump(mode="json") for spec in stages.trainings],
        "supernets": [spec.model_dump(mode="json") for spec in stages.supernets],
        "epochs": outlook.epochs(stages),
        "hours": outlook.hours(stages),
        **_tau_as_dict(option.forecast),
    }


def _tau_as_dict(forecast: Forecast) -> dict[str, float]:
    return {
        "predicted_tau": forecast.tau,
        "low": forecast.low,
        "high": forecast.high,
        "retained": forecast.retained,
    }


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table
