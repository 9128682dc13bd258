"""Errors of data sets."""


class DataError(ValueError):
    """Data that is missing, broken or requested in an impossible way; one line with the way out."""


class NoTestSetError(DataError):
    """A data set without an official test set, and no size given for one."""


class IncompleteError(DataError):
    """Some files of a data set are missing, as after an interrupted download."""
