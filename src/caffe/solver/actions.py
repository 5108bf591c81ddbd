"""What may be asked of a running solver from outside: to stop, or to write a snapshot."""

from __future__ import annotations

from enum import Enum

__all__ = ["Action"]


class Action(Enum):
    """A solver asks for one after each iteration and before each batch of a test."""

    NONE = "none"
    STOP = "stop"
    SNAPSHOT = "snapshot"
