"""The run folder: opened, created, extended, and the session of a process on it."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.runs.creation import (
        RGB,
        create_run,
        first_log,
        make_folder,
        note_large_batch,
        write_experiment,
    )
    from taurank.orchestrator.runs.extension import Changes, extend, read_stages
    from taurank.orchestrator.runs.image_loading import load_images, read_images, split_images
    from taurank.orchestrator.runs.planned import plan_run
    from taurank.orchestrator.runs.run import LOG_FILE, TABLE_FILE, Run, RunError
    from taurank.orchestrator.runs.session import RaySession, run_session
    from taurank.orchestrator.runs.table import import_run

__all__ = [
    "LOG_FILE",
    "RGB",
    "TABLE_FILE",
    "Changes",
    "RaySession",
    "Run",
    "RunError",
    "create_run",
    "extend",
    "first_log",
    "import_run",
    "load_images",
    "make_folder",
    "note_large_batch",
    "plan_run",
    "read_images",
    "read_stages",
    "run_session",
    "split_images",
    "write_experiment",
]

__getattr__ = lazy_names(__name__)
