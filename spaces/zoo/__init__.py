"""Models by name: of timm, of torchvision, and of the user's own code."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.spaces.zoo.kept_sizes import KeptSizes
    from taurank.spaces.zoo.space import Zoo
    from taurank.spaces.zoo.torchvision_import import import_torchvision

__all__ = [
    "KeptSizes",
    "Zoo",
    "import_torchvision",
]

__getattr__ = lazy_names(__name__)
