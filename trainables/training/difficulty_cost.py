"""Length and cost of the training that measures how hard images are."""

EPOCHS = 3
"""Epochs of it: which images are hard shows early (Paul et al. 2021, arXiv 2107.07075)."""
COST = EPOCHS + 1 / 3
"""Epoch-equivalents of it: the training, and a forward pass over the training images at a third."""
