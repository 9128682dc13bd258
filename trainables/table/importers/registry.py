"""Importers by name, and their selection by the contents of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taurank.spaces import get_space, list_spaces
from taurank.spaces.names import hint_or
from taurank.trainables.table.format import TableError
from taurank.trainables.table.importers.a4nn import A4NN
from taurank.trainables.table.importers.help_latency import HELP_LATENCY
from taurank.trainables.table.importers.importer import Importer
from taurank.trainables.table.importers.mit_curves import MIT_CURVES
from taurank.trainables.table.importers.naap440 import NAAP440
from taurank.trainables.table.importers.nasbench201 import NASBENCH201
from taurank.trainables.table.importers.nats_bench import NATS_BENCH
from taurank.trainables.table.importers.recording import Recording, open_recording
from taurank.trainables.table.importers.spikenas import SPIKENAS
from taurank.trainables.table.importers.timm_results import TIMM
from taurank.trainables.table.recorded import RecordedTable

SHOWN_CHARACTERS = 200
SHOWN = 12
"""Columns in a line about a file."""
_IMPORTERS = {
    importer.name: importer
    for importer in (A4NN, HELP_LATENCY, MIT_CURVES, NAAP440, NASBENCH201, NATS_BENCH, SPIKENAS, TIMM)
}


def list_importers() -> tuple[Importer, ...]:
    """All importers, in alphabetical order of their names."""
    return tuple(_IMPORTERS.values())


def import_table(paths: Sequence[Path], *, importer: str = "", space: str = "", data: str = "") -> RecordedTable:
    """Makes one table of the files of one recording.

    Args:
        paths: the files, all of one kind.
        importer: name of the importer; by default the one that recognises the files by what is in them.
        space: name of the search space, where the importer's is not right.
        data: name of the data set; which one, where the files hold several.

    Raises:
        TableError: nothing or no single importer recognises the files, or the importer refuses them.
    """
    recordings = [open_recording(path) for path in paths]
    chosen = _named(importer, recordings) if importer else _recognised(recordings)
    try:
        table = chosen.read(recordings, data)
    except TableError:
        raise
    except Exception as error:  # arrays of other types and shapes fail in any way
        names = ", ".join(str(recording.path) for recording in recordings)
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:SHOWN_CHARACTERS]
        raise TableError(f"{names}: not what {chosen.name} reads ({reason}); fetch it again") from None
    info = replace(table.info, origin=chosen.origin, licence=chosen.licence)
    return in_space(replace(table, info=info), space or info.space)


def is_recognised(path: Path) -> bool:
    """Whether one of the importers reads such a file.

    Raises:
        TableError: there is no such file, or it cannot be read.
    """
    recording = open_recording(path)
    return any(importer.recognises(recording) for importer in _IMPORTERS.values())


def in_space(table: RecordedTable, space: str) -> RecordedTable:
    """The table with its architectures in the normal spelling of a space, where that is registered with taurank.

    Raises:
        TableError: a text is not of the registered space.
    """
    named = replace(table, info=replace(table.info, space=space))
    if space not in list_spaces():
        return named
    known = get_space(space, **table.info.space_options)
    texts = table.rows["architecture"].cat.categories
    try:
        codes = {text: known.parse(text).code for text in texts}
    except ValueError as error:
        raise TableError(f"space {space}: {error}; name another space with --space") from None
    if len(set(codes.values())) < len(codes):
        seen: dict[str, str] = {}
        first, second = next((seen[code], text) for text, code in codes.items() if seen.setdefault(code, text) != text)
        raise TableError(f"space {space}: {first!r} and {second!r} are the same architecture; leave one")
    return replace(named, rows=table.rows.assign(architecture=table.rows["architecture"].cat.rename_categories(codes)))


def _named(name: str, recordings: Sequence[Recording]) -> Importer:
    if name not in _IMPORTERS:
        hint = hint_or(name, _IMPORTERS, f"there are {', '.join(_IMPORTERS)}")
        raise TableError(f"--format: unknown importer {name!r}; {hint}")
    chosen = _IMPORTERS[name]
    for recording in recordings:
        if chosen is not NATS_BENCH and not chosen.recognises(recording):
            lacking = ", ".join(chosen.lacks(recording))
            missing = f"; it lacks the columns {lacking}" if lacking else ""
            raise TableError(f"{recording.path} is not of format {name}, which reads {chosen.reads}{missing}")
    return chosen


def _recognised(recordings: Sequence[Recording]) -> Importer:
    for recording in recordings:
        if not any(importer.recognises(recording) for importer in _IMPORTERS.values()):
            raise TableError(
                f"{recording.path}: no importer recognises it{_nearly(recording)}; `taurank table import --help` lists "
                "them, and a CSV needs a column architecture, or --map architecture=COLUMN,value=COLUMN"
            )
    found = [importer for importer in _IMPORTERS.values() if all(map(importer.recognises, recordings))]
    if len(found) != 1:
        kinds = " and ".join(
            importer.name for importer in _IMPORTERS.values() if any(map(importer.recognises, recordings))
        )
        raise TableError(f"the files are of different kinds ({kinds}); give those of one, or name it with --format")
    return found[0]


def _nearly(recording: Recording) -> str:
    """What a file has, and what importers that know some of it would need besides."""
    if not recording.names:
        return ""
    nothing = replace(recording, names=frozenset())
    lacking = {importer.name: importer.lacks(recording) for importer in _IMPORTERS.values()}
    near = [
        f"{name} lacks {', '.join(missing)}"
        for name, missing in lacking.items()
        if 0 < len(missing) < len(_IMPORTERS[name].lacks(nothing))
    ]
    names = sorted(" ".join(name.split()) for name in recording.names)
    has = ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
    return f" (it has {has}{''.join(f'; {text}' for text in near)})"
