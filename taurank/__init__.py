"""taurank: ranks neural network architectures for a tenth of what training them all would cost.

The four layers are the packages ``taurank.spaces``, ``taurank.trainables``, ``taurank.schedulers`` and
``taurank.orchestrator``. In a checkout they are links to the folders of these names beside this one, so that every way
of importing them (installed, editable, a checkout on ``sys.path``, a Ray working directory) finds the same modules
under the same names; a wheel holds plain folders (docs/decisions/0007-one-namespace.md).
"""

__version__ = "0.1.0"
