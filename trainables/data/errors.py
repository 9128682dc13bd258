"""What goes wrong with data."""


class DataError(ValueError):
    """Data that is missing, broken, or asked for in a way it cannot be had; one line, with the way out."""


class IncompleteError(DataError):
    """Some of the files of a data set are there and some are not, as a broken-off download leaves them."""
