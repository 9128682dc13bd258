"""Models by name: of timm, of torchvision, and of the user's own code."""

from taurank.spaces.zoo.space import Zoo
from taurank.spaces.zoo.torchvision_import import import_torchvision

__all__ = [
    "Zoo",
    "import_torchvision",
]
