"""What a training run shows: lines in a file, a bar that fits on a terminal."""

import functools
import io
import os

from fcn.training.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_durations():
    assert duration(187) == "3:07" and duration(8100.9) == "2:15:00" and duration(0) == "0:00"


def test_lines_average_the_window():
    stream = io.StringIO()
    progress = Progress(0, 5, window=2, every=4, losses=[(9, 9), (8, 8)], stream=stream)
    for i, loss in enumerate((40.0, 20.0, 4.0, 6.0, 8.0), 1):
        read = functools.partial(tuple, (loss, loss / 10))
        progress.step(i, read, images=2, seconds=0.5, rate=0.01 if i < 5 else None)
    assert stream.getvalue().splitlines() == [
        "Iteration 4, loss = 5, loss per pixel = 0.5000, lr = 0.01, 4.00 images/s, 0:00 left",
        "Iteration 5, loss = 7, loss per pixel = 0.7000, 4.00 images/s, 0:00 left",
    ]
    assert list(progress.losses) == [(6.0, 0.6), (8.0, 0.8)]


def test_the_bar_never_wraps():
    before = os.environ.get("COLUMNS")
    try:
        for columns in (200, 80, 62, 20):
            os.environ["COLUMNS"] = str(columns)
            stream = Terminal()
            progress = Progress(0, 100000, stream=stream)
            progress.step(50000, lambda: (1e5, 0.5), images=1, seconds=1.0, rate=None)
            line = stream.getvalue()[1 : -len("\x1b[K")]
            assert len(line) < columns, (columns, line)
            assert "50000/100000"[: columns - 1] in line, line
            assert ("#" in line) == (columns >= 80), line
            assert columns < 200 or "[" + 12 * "#" + 12 * "-" + "]" in line, line
            progress.pause()
            progress.pause()
            assert stream.getvalue().count("\n") == 1
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def test_epochs_are_told_where_the_number_of_images_is_known():
    stream = io.StringIO()
    progress = Progress(0, 100, every=10, stream=stream, epoch=40)
    progress.step(10, lambda: (1.0, 0.5), images=8, seconds=2.0, rate=None)
    assert stream.getvalue().endswith("4.00 images/s, epoch 2.00, 3:00 left\n")


def test_losses_are_read_when_they_are_shown():
    reads = []

    def read(i):
        reads.append(i)
        return float(i), float(i)

    progress = Progress(0, 100, window=3, every=4, stream=io.StringIO())
    for i in range(1, 7):
        progress.step(i, functools.partial(read, i), images=1, seconds=1.0, rate=None)
        assert reads == [1, 2, 3, 4][: 4 * (i >= 4)], "four at once, at the line of step 4"
    assert list(progress.losses) == [(4, 4), (5, 5), (6, 6)]
    assert reads == [1, 2, 3, 4, 5, 6], "each once"
