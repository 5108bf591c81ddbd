"""The one exception of the data layers."""

__all__ = ["DataError"]


class DataError(RuntimeError):
    """Input that is missing, unreadable, contradictory or out of range; names the file."""
