"""Architectures of a space scored by proxies, outside of any run: what is asked for, and getting it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from taurank.orchestrator.cluster import connect
from taurank.orchestrator.experiment import ResourceSpec
from taurank.orchestrator.proxy_scores.score_file import ScoreFile
from taurank.orchestrator.proxy_scores.workers import score_candidates, worker_slot
from taurank.orchestrator.session import Interruption
from taurank.orchestrator.text import PLAIN_LINE_SECONDS, Console, print_line, progress_bar
from taurank.spaces import SearchSpace
from taurank.trainables.data import ImageData, load_dataset, make_splits
from taurank.trainables.proxies import SETS, ProxyBatch, ProxyConfig, ProxyError, get_proxy, list_proxies

HELD_OUT = 0.2
"""Share of a data set without an official test set that is cut off for one; no score looks at it."""


class ProxyRequestError(ValueError):
    """Something that cannot be scored; one line with the way out."""


@dataclass(frozen=True)
class Request:
    """What is scored.

    Attributes:
        space: what the architectures are of.
        codes: of the architectures.
        data: name of the data set.
        images: in the batch.
        initialisations: that a score is the mean of.
        seed: of the batch, and of the first initialisation.
        names: of the proxies.
    """

    space: SearchSpace
    codes: tuple[str, ...]
    data: str
    images: int
    initialisations: int
    seed: int
    names: tuple[str, ...]

    @property
    def settings(self) -> str:
        """What scores depend on beside architecture and proxy, as text."""
        options = "".join(f" {key}={value}" for key, value in self.space.options.items())
        return (
            f"{self.space.name}{options}; {self.data}; images {self.images}; "
            f"initialisations {self.initialisations}; seed {self.seed}"
        )

    def missing(self, rows: pd.DataFrame) -> list[tuple[str, ProxyConfig]]:
        """What is not among the rows: the candidates that lack a score, each with the proxies that it lacks."""
        there = set(zip(rows["architecture"], rows["proxy"], strict=True))
        seeds = tuple(range(self.seed, self.seed + self.initialisations))
        lacking = {code: tuple(name for name in self.names if (code, name) not in there) for code in self.codes}
        return [(code, ProxyConfig(names, seeds)) for code, names in lacking.items() if names]


def read_names(text: str) -> tuple[str, ...]:
    """Proxies from ``all``, or from names and names of sets with commas.

    Raises:
        ProxyRequestError: there is none of that name.
    """
    names: list[str] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word == "all":
            names += list_proxies()
        elif word in SETS:
            names += SETS[word]
        else:
            try:
                names.append(get_proxy(word).name)
            except ProxyError as error:
                raise ProxyRequestError(f"--proxies: {error} (sets: {', '.join(SETS)}; or all)") from None
    if not names:
        raise ProxyRequestError("--proxies: names none; `taurank proxies` lists what there is")
    return tuple(dict.fromkeys(names))


def read_options(texts: Sequence[str]) -> dict[str, Any]:
    """Options of a space from ``name=value``, the values read as YAML.

    Raises:
        ProxyRequestError: one is not written so.
    """
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            options[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals or not name.strip():
            raise ProxyRequestError(f"--option: {text!r} is not name=value, as width=4")
    return options


def read_candidates(space: SearchSpace, text: str, seed: int) -> tuple[str, ...]:
    """Codes from ``all``, from a number of random ones, or from codes with commas; or semicolons, if one has a comma.

    Raises:
        ProxyRequestError: the space has no such codes, or not so many.
    """
    try:
        if text == "all":
            return tuple(architecture.code for architecture in space.enumerate())
        if text.isdecimal():
            drawn = space.sample(int(text), np.random.default_rng([seed, 0]))
            codes = tuple(architecture.code for architecture in drawn)
        else:
            parts = text.split(";" if ";" in text or _is_code(space, text) else ",")
            codes = tuple(dict.fromkeys(space.parse(part).code for part in parts if part.strip()))
    except ValueError as error:
        raise ProxyRequestError(f"--candidates: {error}") from None
    if not codes:
        raise ProxyRequestError(f"--candidates: {text!r} names none; give a number, codes with commas, or all")
    return codes


def _is_code(space: SearchSpace, text: str) -> bool:
    try:
        space.parse(text)
    except ValueError:
        return False
    return True


def read_images(name: str, *, root: Path | None, download: bool) -> ImageData:
    """What a run with the default split has of a data set; the batch is drawn from its training images.

    Raises:
        DataError: the data set is not there.
    """
    dataset = load_dataset(name, root=root, download=download)
    test = None if dataset.test is not None else HELD_OUT
    return make_splits(dataset, seed=0, validation=HELD_OUT, test=test)


def score_missing(
    request: Request,
    batch: ProxyBatch,
    file: ScoreFile,
    *,
    console: Console,
    workers: int | None = None,
    address: str | None = None,
) -> None:
    """Scores what the file lacks, and adds it to the file as it comes in.

    Raises:
        RunInterruptedError: the user wants it to end; what was scored is in the file.
        ClusterError: it cannot run, in one line.
        ScoreFileError: the file is of other scores.
    """
    wanted = request.missing(file.open())
    there = len(request.codes) - len(wanted)
    already = f", {there:,} of them before" if there else ""
    print_line(
        console, f"{len(request.codes):,} architectures of {request.space.name}{already}; {len(request.names)} proxies"
    )
    if not wanted:
        return
    with Interruption() as interruption:
        print_line(console, "starting Ray ..." if address is None else f"joining Ray at {address} ...")
        with connect(address, resources=ResourceSpec()) as cluster:
            interruption.install()  # Ray takes SIGTERM when it starts
            slot, count = worker_slot(cluster, workers)
            said = began = time.monotonic()
            with progress_bar("scoring", console=console) as report:
                found = score_candidates(request.space, batch, wanted, slot=slot, workers=count)
                for done, rows in enumerate(found, start=1):
                    file.append(rows)
                    report(done, len(wanted))
                    if not console.is_terminal and time.monotonic() - said >= PLAIN_LINE_SECONDS:
                        said = time.monotonic()
                        print_line(console, f"  {done:,} of {len(wanted):,} scored")
            took = time.monotonic() - began
            print_line(
                console, f"{len(wanted):,} scored in {took:.1f} s by {count} workers, {len(wanted) / took:.1f} a second"
            )
