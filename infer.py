"""Label images: python infer.py photo.jpg, a folder of photos, 'folder/*.jpg', a video, or -

Writes for each the label map as a palette PNG of the image's size and an overlay with a legend, and
prints the share of each class found.  Any size and kind of image will do; EXIF rotation is applied.
--classes labels with a published net that is no experiment of this repository.
A photo larger than the net's training pictures is labelled at their size, because a net knows
things at the size that they had there; --size says otherwise.
"""

import argparse
import io
import json
import os
import sys
import time
from typing import Optional

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import bootstrap
from fcn.console import exit_code
from fcn.inference import labelling, video
from fcn.inference.arguments import parse
from fcn.inference.contact_sheet import Sheet
from fcn.inference.inputs import STDIN, Job
from fcn.inference.loading import Loaded, known, load
from fcn.inference.pictures import read_first_photo
from fcn.inference.progress import Progress
from fcn.inference.results import lines, record, write

#: Bytes of standard input that are taken for an image at most.
MOST_STDIN = 1 << 30

#: What concerns one image alone: told in a line, and the next one follows.
ERRORS = (RuntimeError, OSError, MemoryError)


def _read(job: Job):
    """The image, uint8 (H, W, 3), and how many its file holds: it is the first one."""
    if job.path != STDIN:
        return read_first_photo(job.path)
    content = sys.stdin.buffer.read(MOST_STDIN + 1)
    if not content:
        raise OSError("standard input is empty; expected an image")
    if len(content) > MOST_STDIN:
        raise OSError(f"standard input holds more than {MOST_STDIN >> 20} MB")
    return read_first_photo("standard input", io.BytesIO(content))


class Run:
    """One call of infer.py: what it labels with, and what came of it."""

    def __init__(self, loaded: Loaded, options: argparse.Namespace) -> None:
        self.loaded, self.options = loaded, options
        self.failed = 0
        self.sheet = Sheet(options.contact_sheet) if options.contact_sheet else None
        self.progress = Progress(len(options.jobs), "image", sys.stderr if options.json else None)

    def all(self) -> None:
        """Label every image, neighbours of one size together."""
        waiting: list = []  # (job, pixels, how many its file holds, seconds) of one size
        size, most = None, labelling.batch_size(self.options)
        try:
            for job in self.options.jobs:
                if job.video:
                    self._label(waiting)
                    self._video(job)
                    continue
                began = time.perf_counter()
                try:
                    pixels, several = _read(job)
                except ERRORS as error:
                    self._error(job, error)
                    continue
                now = labelling.size_of(pixels, self.loaded, self.options)
                if now != size or len(waiting) >= most:
                    self._label(waiting)
                size = now
                waiting.append((job, pixels, several, time.perf_counter() - began))
            self._label(waiting)
        finally:
            self.progress.close()
            if self.sheet:
                self._sheet()

    def _label(self, waiting: list) -> None:
        """Label what waits, write its files, say what was found; nothing waits then."""
        batch, waiting[:] = list(waiting), []
        if not batch:
            return
        began = time.perf_counter()
        images = [pixels for _, pixels, _, _ in batch]
        try:
            found = labelling.label(images, self.loaded, self.options, self.progress.tiles)
        except BrokenPipeError:
            raise
        except ERRORS as error:
            if len(batch) > 1:  # which one it was, they tell one by one
                for item in batch:
                    self._label([item])
            else:
                self._error(batch[0][0], error)
            return
        each = (time.perf_counter() - began) / len(batch)
        for (job, _, several, reading), done in zip(batch, found):
            try:
                self._tell(job, done._replace(several=several), reading + each)
            except BrokenPipeError:
                raise
            except ERRORS as error:
                self._error(job, error)

    def _tell(self, job: Job, done: labelling.Labelled, seconds: float) -> None:
        began = time.perf_counter()
        files, picture = write(job, done, self.loaded, self.options)
        seconds += time.perf_counter() - began
        where = bootstrap.shown(job.path) if job.path != STDIN else STDIN
        if self.sheet:
            self.sheet.add(where, picture, done.found[0], done.nothing)
        if self.options.json:
            self._object(record(where, done, self.loaded, files, seconds))
        else:
            self.progress.say("\n".join(lines(where, done, self.loaded, files)))
        self.progress.step()

    def _object(self, value: dict) -> None:
        print(json.dumps(value), flush=True)

    def _error(self, job: Job, error: BaseException, told: bool = False) -> None:
        shown = bootstrap.shown(job.path) if job.path != STDIN else STDIN
        message = f"{error}" or "out of memory"
        if job.path != STDIN and os.path.basename(job.path) not in message:
            message = f"{shown}: {message}"
        self.failed += 1
        if self.options.json and not told:
            self._object({"file": shown, "error": message})
        self.progress.say(f"error: {message}", error=True)
        self.progress.step()

    def _video(self, job: Job) -> None:
        try:
            done = video.label_video(job, self.loaded, self.options)
        except ERRORS as error:
            self._error(job, error)
            return
        shown = bootstrap.shown(job.path)
        if self.options.json:
            self._object(video.record(shown, done, self.loaded))
        else:
            self.progress.say("\n".join(video.lines(shown, done, self.loaded)))
        if isinstance(done.problem, KeyboardInterrupt):
            raise done.problem
        if done.problem:
            self._error(job, done.problem, told=True)
        else:
            self.progress.step()

    def _sheet(self) -> None:
        try:
            text = self.sheet.save() if self.sheet else ""
        except OSError as error:
            self.failed += 1
            self.progress.say(f"error: {error}", error=True)
        else:
            self.progress.say(text)


def main(arguments: Optional[list[str]] = None) -> int:
    """The command line; the exit status: 0, or 1 if an image could not be labelled."""
    options = parse(arguments)
    bootstrap.enter()
    try:
        loaded = load(options)
    except LookupError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 1
    # The engine's errors are RuntimeErrors too; a damaged experiment.json is a ValueError.
    except (RuntimeError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    run = Run(loaded, options)
    shown = bootstrap.shown(os.path.abspath(loaded.weights))
    run.progress.say(f"{known(loaded)}\n{shown} on {loaded.device}")
    if options.left_out:
        run.progress.say(f"{options.left_out} earlier results are left out")
    run.all()
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
