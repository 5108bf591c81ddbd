"""Files that are either whole or absent: see `atomic`, which the data's preparation shares."""

from atomic import flush, replacing, write_text

__all__ = ["flush", "replacing", "write_text"]
