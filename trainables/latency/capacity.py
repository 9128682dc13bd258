"""What stands for how much an option can represent."""

from typing import Literal

Capacity = Literal["flops", "parameters"]
"""Multiply-accumulates of one image, or trainable weights."""
