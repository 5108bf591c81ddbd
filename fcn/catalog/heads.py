"""The table of heads: what builds each, and what it goes with.

To add one: write `add` in a file in fcn/heads/, and a row here. Nothing here imports `caffe`; the
builder is imported when a net is built.
"""

import importlib
from typing import Any, Callable, NamedTuple, Optional

__all__ = ["HEADS", "Head"]


class Head(NamedTuple):
    """One row."""

    #: The file in fcn/heads, see `fcn.heads`.
    module: str
    #: It adds up scores of its streams: so it has `fuse`, and can train all streams at once.
    sums: bool
    #: It reads fc6 and fc7 of trunks that have them.
    classifier: bool
    #: Of the minibatch recipe, where layers of its own start at random: too fast for a trained
    #: trunk's heavy momentum. None: the backbone's recipe and rate.
    rate: Optional[float] = None

    @property
    def add(self) -> Callable[..., Any]:
        """add(d, features, output). Imports `caffe`."""
        return importlib.import_module("fcn.heads." + self.module).add

    @property
    def fuse(self) -> Callable[..., Any]:
        """fuse(d, trunks, output): the same for several trunks, whose scores are averaged."""
        return importlib.import_module("fcn.heads." + self.module).fuse


HEADS = {
    "sum": Head("sums", sums=True, classifier=True),
    "light": Head("light", sums=True, classifier=False, rate=1e-3),
    "concat": Head("concat", sums=False, classifier=True, rate=1e-3),
    "pyramid": Head("pyramid", sums=False, classifier=False, rate=1e-3),
    "fusion": Head("fusion", sums=False, classifier=True, rate=1e-3),
    "classes": Head("classes", sums=False, classifier=True, rate=1e-3),
    "unet": Head("unet", sums=False, classifier=False, rate=1e-3),
}
