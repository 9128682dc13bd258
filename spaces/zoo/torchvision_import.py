"""Import of torchvision that also works where its compiled operators do not load."""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# torch removes an operator when its library object is collected, so that this must live as long as the process.
_libraries: list[torch.library.Library] = []
_lock = threading.Lock()


def import_torchvision() -> ModuleType:
    """Imports torchvision; call it before any use of torchvision, in every process.

    A torchvision wheel built for CUDA beside a CPU-only torch cannot load its compiled part. Its Python part then
    describes an operator (`torchvision::nms`) that is not defined, and the whole import fails. Declaring the missing
    operators lets the import succeed. Data sets, transforms and classification models work; `torchvision.io`,
    `ops.nms` and other functions of the compiled part raise when used.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: torchvision fails for another reason.
    """
    with _lock:  # batches are made in several threads, and none may see what a failed attempt leaves
        try:
            return importlib.import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
        import torch

        # The failed attempt leaves half-initialised submodules, which a second import would reuse.
        for name in [name for name in list(sys.modules) if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        _libraries.append(library)
        return importlib.import_module("torchvision")
