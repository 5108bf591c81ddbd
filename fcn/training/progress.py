"""What training shows: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

WIDTH = 24  # of the bar, in characters


def duration(seconds: float) -> str:
    """3:07 or 2:15:00"""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{seconds:02d}"
    return f"{minutes}:{seconds:02d}"


class Progress:
    """Reports steps `first` … `total`, with the loss per pixel averaged over the last `window`.

    losses: (loss, loss per pixel) pairs that an interrupted run had in its window. epoch: how many
    images the training set has, if the epochs are to be told.

    The losses of a step come as a function, which is called when they are shown or asked for, at
    most `every` steps later: on a GPU nobody has to wait for a loss that nobody sees.

    told: called with (iteration, loss, loss per pixel, rate) for each line, on a terminal too. A
    `fcn.training.log.Log` as the stream has the lines in its file and the bar on the screen alone.
    """

    def __init__(
        self,
        first: int,
        total: int,
        window: int = 20,
        every: int = 20,
        losses: Iterable[Sequence[float]] = (),
        stream: TextIO | None = None,
        epoch: int | None = None,
        told: Callable[..., None] = lambda *values: None,
    ) -> None:
        stream = stream or sys.stdout
        self.stream = getattr(stream, "screen", stream)
        self.bar = self.stream.isatty()
        self._told, self._record = told, getattr(stream, "record", lambda text: None)
        self.total, self.every, self.epoch = total, every, epoch
        self._losses = deque((tuple(pair) for pair in losses), maxlen=max(1, window))
        self._unread: list[Callable[[], tuple[float, ...]]] = []
        self._times: deque[tuple[int, float]] = deque(
            maxlen=max(1, window)
        )  # (images, seconds) of the last steps
        self._shown = 0.0
        self._open = False

    @property
    def losses(self) -> deque[tuple[float, ...]]:
        """The window: (loss, loss per pixel) pairs."""
        self.read()
        return self._losses

    def read(self) -> None:
        """Call the functions of the steps whose losses are not read yet; raises what they raise."""
        while self._unread:
            self._losses.append(self._unread.pop(0)())

    def step(
        self,
        iteration: int,
        read: Callable[[], tuple[float, ...]],
        images: int,
        seconds: float,
        rate: float | None,
    ) -> None:
        """One step is done: `images` in `seconds`, at learning rate `rate` (None: not known).

        read: a function without arguments that gives (loss, loss per pixel).
        """
        self._unread.append(read)
        if len(self._unread) >= self.every:
            self.read()
        self._times.append((images, seconds))
        if self.bar:
            now = time.time()
            if now - self._shown > 0.1 or iteration == self.total:
                self._draw(iteration)
                self._shown = now
        if iteration % self.every == 0 or iteration == self.total:
            losses = self.losses
            loss, per_pixel = (sum(values) / len(losses) for values in zip(*losses))
            text = f"Iteration {iteration}, loss = {loss:.6g}, loss per pixel = {per_pixel:.4f}"
            if rate is not None:
                text += f", lr = {rate:.4g}"
            text += f", {self._speed():.2f} images/s"
            if self.epoch:
                text += f", epoch {iteration * images / self.epoch:.2f}"
            text += f", {self._left(iteration)} left"
            if not self.bar:
                print(text, file=self.stream, flush=True)
            self._record(text + "\n")
            self._told(iteration, loss, per_pixel, rate)

    def _left(self, iteration: int) -> str:
        each = sum(s for _, s in self._times) / len(self._times)
        return duration(each * (self.total - iteration))

    @property
    def seconds_per_image(self) -> float:
        """Of the last steps."""
        return 1 / self._speed()

    def _speed(self) -> float:
        images, seconds = (sum(values) for values in zip(*self._times))
        return images / max(seconds, 1e-9)

    def _draw(self, iteration: int) -> None:
        losses = self.losses
        per_pixel = sum(p for _, p in losses) / len(losses)
        text = (
            f"{iteration}/{self.total}  loss per pixel {per_pixel:.4f}  "
            f"{self._speed():.2f} images/s  {self._left(iteration)} left"
        )
        # A line that wraps cannot be drawn over: the bar yields, then the text.
        columns = shutil.get_terminal_size().columns - 1
        width = min(WIDTH, columns - len(text) - len("[] "))
        if width > 0:
            done = width * iteration // self.total
            text = "[{}{}] {}".format("#" * done, "-" * (width - done), text)
        self.stream.write(f"\r{text[:columns]}\x1b[K")
        self.stream.flush()
        self._open = True

    def pause(self) -> None:
        """End the bar's line, so that something else can be printed."""
        if self._open:
            self.stream.write("\n")
            self.stream.flush()
            self._open = False
