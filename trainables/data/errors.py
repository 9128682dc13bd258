"""What goes wrong with data."""


class DataError(ValueError):
    """Data that is missing, broken, or asked for in a way it cannot be had; one line, with the way out."""


class NoTestSetError(DataError):
    """A data set that has no official test set, where nobody said what to cut off for one."""


class IncompleteError(DataError):
    """Some of the files of a data set are there and some are not, as a broken-off download leaves them."""
