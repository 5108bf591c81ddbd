"""Videos: every frame labelled, an overlay video of the same times, and the label maps.

Frames are read, labelled and written one after another, so a film takes no more memory than a few
frames. Needs the package av, which holds FFmpeg's libraries.
"""

import argparse
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Optional

import numpy as np

import bootstrap
from fcn.atomic import replacing
from fcn.inference import labelling
from fcn.inference.inputs import Job
from fcn.inference.loading import Loaded
from fcn.inference.pictures import LEAST, beside, overlay, with_legend
from fcn.inference.progress import Progress
from fcn.inference.sound import Sound
from fcn.inference.video_labels import writer_of

__all__ = ["Outcome", "VideoError", "label_video", "lines", "record"]

#: Rows of the legend: its height is that of every frame.
LEGEND = 2
#: Of H.264: good pictures, and encoding takes less time than labelling.
CODEC, SETTINGS = "libx264", {"crf": "20", "preset": "veryfast"}


class VideoError(RuntimeError):
    """A video cannot be read or written; the message says what to do."""


class Outcome:
    """What came of a video. ``problem``: why it ended early, None at its end."""

    def __init__(self) -> None:
        self.frames, self.problem = 0, None  # type: int, Optional[BaseException]
        self.pixels: list[dict[int, int]] = []  # of each head's classes, over all frames
        self.seen: list[dict[int, int]] = []  # in how many frames
        self.size, self.rate = (0, 0), 0.0
        self.silent: Optional[str] = None  # why the sound is left out
        self.files: list[str] = []
        self.seconds = 0.0


def label_video(job: Job, loaded: Loaded, options: argparse.Namespace) -> Outcome:
    """Label a video; its files are whole even where it ends early.

    Raises VideoError where nothing of it could be labelled, OSError where nothing can be written.
    """
    av = _av()
    began, outcome = time.perf_counter(), Outcome()
    os.makedirs(os.path.dirname(job.target), exist_ok=True)
    ending = "_side.mp4" if options.side_by_side else "_overlay.mp4"
    begins = [f"{job.target}_{h.prefix}" if h.prefix else job.target for h in loaded.heads]
    try:
        source = av.open(job.path)
    except av.error.FFmpegError as error:
        raise VideoError(f"cannot read the video '{job.path}': {error.strerror}") from error
    with source:
        if not source.streams.video:
            raise VideoError(f"'{job.path}' holds no video stream")
        stream = source.streams.video[0]
        sound = Sound(av, source.streams.audio[0]) if source.streams.audio else None
        outcome.rate = float(stream.average_rate or stream.guessed_rate or 25)
        progress = Progress(_frames(stream, outcome.rate), "frame")
        outcome.pixels = [{} for _ in begins]
        outcome.seen = [{} for _ in begins]
        with contextlib.ExitStack() as stack:
            outputs = []
            for number, (begin, head) in enumerate(zip(begins, loaded.heads)):
                temporary = stack.enter_context(replacing(begin + ending, durable=False))
                maps = stack.enter_context(writer_of(options.video_labels, begin, head.palette))
                film = _Film(av, temporary, stream, None if number else sound)
                outputs.append((stack.enter_context(film), maps))
            stopped = stack.enter_context(_until_ctrl_c())
            stack.callback(progress.close)
            frames = _decoded(source, stream, sound)
            _all(av, frames, outputs, loaded, options, outcome, progress, stopped)
            if not outcome.frames:
                problem = outcome.problem or "it holds no frames"
                raise VideoError(f"nothing of '{job.path}' could be labelled: {problem}")
            for begin, (_, maps) in zip(begins, outputs):
                outcome.files += [begin + ending, *maps.files()]
        outcome.silent = sound.problem if sound else None
    outcome.seconds = time.perf_counter() - began
    return outcome


def _all(
    av: Any,
    frames: Iterator[tuple[np.ndarray, int]],
    outputs: list[tuple[Any, Any]],
    loaded: Any,
    options: Any,
    outcome: Any,
    progress: Any,
    stopped: list[int],
) -> None:
    """Label frame after frame, until the end or a problem."""
    waiting: list[Any] = []
    most = labelling.batch_size(options)
    while outcome.problem is None:
        try:
            frame = next(frames, None)
        except av.error.FFmpegError as error:
            outcome.problem = VideoError(f"the video cannot be read further: {error.strerror}")
            frame = None
        if frame is not None:
            waiting.append(frame)
        if waiting and (len(waiting) >= most or frame is None or stopped):
            done = labelling.label([pixels for pixels, _ in waiting], loaded, options)
            for one, (_, moment) in zip(done, waiting):
                for number, (film, maps) in enumerate(outputs):
                    film.add(_picture(one, number, loaded, options), moment)
                    maps.add(one.labels[number], float(moment * film.base))
                    _count(one.found[number], outcome.pixels[number], outcome.seen[number])
                outcome.size = one.pixels.shape[:2]
                outcome.frames += 1
                progress.step()
            waiting.clear()
        if stopped:
            outcome.problem = KeyboardInterrupt()
        if frame is None:
            return


def _count(found: Any, pixels: dict[int, int], seen: dict[int, int]) -> None:
    for one in found:
        pixels[one.number] = pixels.get(one.number, 0) + one.pixels
        seen[one.number] = seen.get(one.number, 0) + 1


def _picture(
    done: labelling.Labelled, number: int, loaded: Loaded, options: argparse.Namespace
) -> np.ndarray:
    """A frame's overlay by the labels of one head."""
    head, label = loaded.heads[number], done.labels[number]
    background = 0 if head.names[0] == "background" else -1
    picture = overlay(done.pixels, label, head.palette, background, options.opacity)
    shown = with_legend(picture, label, head.names, head.palette, LEGEND)
    return np.asarray(beside(done.pixels, shown) if options.side_by_side else shown)


def _decoded(source: Any, stream: Any, sound: Optional[Sound]) -> Iterator[tuple[np.ndarray, int]]:
    """(RGB pixels upright, time stamp in units of the stream) of each frame, times rising; what
    is read of the sound goes there."""
    stream.thread_type = "AUTO"
    first: Optional[int] = None
    last, size = -1, None
    step = max(1, round(1 / (float(stream.average_rate or 25) * float(stream.time_base))))
    for frame in _frames_of(source, stream, sound):
        size = size or (frame.width, frame.height)  # another one amid the stream is scaled to it
        pixels = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
        turns = round(getattr(frame, "rotation", 0) / 90) % 4  # as telephones store them
        moment = frame.pts if frame.pts is not None else last + step
        if first is None:
            first = moment
            if sound:
                sound.origin = first * Fraction(stream.time_base)
        last = max(moment - first, last + 1)
        yield np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels), last


def _frames_of(source: Any, stream: Any, sound: Optional[Sound]) -> Iterator[Any]:
    streams = [stream, sound.stream] if sound else [stream]
    for packet in source.demux(streams):
        if packet.stream is stream or packet.stream.index == stream.index:
            yield from packet.decode()
        elif sound:
            sound.take(packet)


class _Film:
    """The overlay video, with sound or without: opened by its first picture, closed whole."""

    def __init__(self, av: Any, path: str, source: Any, sound: Optional[Sound] = None) -> None:
        self.av, self.path, self.base = av, path, Fraction(source.time_base)
        self.rate = source.average_rate or Fraction(25)
        self.container: Any = None
        self.stream: Any = None
        self.sound = sound

    def __enter__(self) -> "_Film":
        return self

    def add(self, picture: np.ndarray, moment: int) -> None:
        """RGB (H, W, 3), shown from ``moment`` on, in units of the source's time base."""
        height, width = (length + length % 2 for length in picture.shape[:2])
        if picture.shape[:2] != (height, width):  # H.264 halves the colours' size
            missing = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
            picture = np.pad(picture, missing, mode="edge")
        if self.container is None:
            self._open(height, width)
        frame = self.av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = moment, self.base
        self._write(frame)

    def _open(self, height: int, width: int) -> None:
        try:
            self.container = self.av.open(self.path, "w", format="mp4")
            self.stream = self.container.add_stream(CODEC, rate=self.rate, options=dict(SETTINGS))
        except (self.av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"this build of the package av cannot write H.264: {error}") from error
        self.stream.width, self.stream.height = width, height
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = self.base
        if self.sound:
            self.sound.open(self.container)

    def _write(self, frame: Any) -> None:
        try:
            for packet in self.stream.encode(frame):
                self.container.mux(packet)
            if self.sound and frame is not None:
                self.sound.pass_on()
            elif self.sound:
                self.sound.close()
        except self.av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror, self.path) from error

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self.container is None:
            return
        if kind is None:
            self._write(None)
        self.container.close()


@contextlib.contextmanager
def _until_ctrl_c() -> Iterator[list[int]]:
    """A list that is empty until Ctrl-C, which then ends the video after the frames at hand; a
    second Ctrl-C ends it at once, without files."""
    stopped: list[int] = []

    def stop(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        stopped.append(number)

    try:
        before = signal.signal(signal.SIGINT, stop)
    except ValueError:  # not in the main thread: who runs us stops us
        yield stopped
        return
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _frames(stream: Any, rate: float) -> Optional[int]:
    if stream.frames:
        return int(stream.frames)
    if stream.duration:
        return round(float(stream.duration * stream.time_base) * rate)
    return None


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise VideoError(
            "labelling videos needs the package av: pip install av, or this project's extra, "
            "pip install '.[video]'"
        ) from error
    return av


def lines(where: str, done: Outcome, loaded: Loaded) -> list[str]:
    """What is printed of a video."""
    height, width = done.size
    told = [
        f"{where}: {width}x{height}, {done.frames} frames of {done.rate:.4g} a second, "
        f"{done.seconds:.1f} s ({done.frames / max(done.seconds, 1e-9):.1f} frames a second)"
    ]
    for head, pixels, seen in zip(loaded.heads, done.pixels, done.seen):
        for number, share in _shares(pixels):
            value = f"{share:6.1%}" if share >= LEAST else f"{f'<{LEAST:.1%}':>6}"
            told.append(f"  {value}  {head.names[number]}, in {seen[number]} frames")
    if done.silent:
        told.append(f"  the sound is left out: {done.silent}")
    told += [f"  wrote {bootstrap.shown(path)}" for path in done.files]
    return told


def record(where: str, done: Outcome, loaded: Loaded) -> dict[str, Any]:
    """What ``--json`` prints of a video."""

    def classes(head: int) -> list[dict[str, Any]]:
        pixels, seen = done.pixels[head], done.seen[head]
        return [
            {
                "number": number,
                "name": loaded.heads[head].names[number],
                "pixels": pixels[number],
                "share": round(share, 6),
                "frames": seen[number],
            }
            for number, share in _shares(pixels)
        ]

    return {
        "file": where,
        "width": done.size[1],
        "height": done.size[0],
        "frames": done.frames,
        "frames_per_second": round(done.rate, 4),
        "complete": done.problem is None,
        "audio_left_out": bool(done.silent),
        "classes": classes(0),
        "heads": {loaded.heads[i].prefix: classes(i) for i in range(1, len(loaded.heads))},
        "files": [bootstrap.shown(path) for path in done.files],
        "seconds": round(done.seconds, 3),
    }


def _shares(pixels: dict[int, int]) -> list[tuple[int, float]]:
    total = sum(pixels.values())
    order = sorted(pixels, key=lambda number: (-pixels[number], number))
    return [(number, pixels[number] / total) for number in order]
