"""How far a long job is: a bar by tqdm where it is installed and somebody looks, else a counter."""

import sys
from typing import Any, Optional

__all__ = ["Progress"]


class Progress:
    """Steps towards ``total`` (None: nobody knows), on standard error if that is a terminal.

    Lines that are said meanwhile go through `say`, so that they and the bar do not mix.
    """

    def __init__(self, total: Optional[int], unit: str, out: Any = None) -> None:
        self.total, self.unit, self.done = total, unit, 0
        self.out = out or sys.stdout
        self.looked_at = sys.stderr.isatty() and total != 1
        self.bar: Any = None
        if self.looked_at:
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.bar = tqdm(total=total, unit=" " + unit, file=sys.stderr, dynamic_ncols=True)

    def say(self, text: str, error: bool = False) -> None:
        stream = sys.stderr if error else self.out
        if self.bar is not None:
            self.bar.clear()
        print(text, file=stream, flush=True)
        if self.bar is not None:
            self.bar.refresh()

    def step(self, count: int = 1) -> None:
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
        elif self.looked_at:
            of = f" of {self.total}" if self.total else ""
            print(f"\r{self.unit} {self.done}{of}", end="", file=sys.stderr, flush=True)

    def tiles(self, done: int, total: int) -> None:
        """Of one large image; a bar of images does not move meanwhile."""
        if total > 1 and sys.stderr.isatty() and self.bar is None:
            end = "\n" if done == total else ""
            text = f"\rtile {min(done + 1, total)} of {total}"
            print(text, end=end, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.looked_at and self.done:
            print(file=sys.stderr)
