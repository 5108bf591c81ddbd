"""What a section found, kept on disk from the first check on, so that a crash loses nothing."""

import contextlib
import json
import os
import time
import traceback

__all__ = ["Record"]

LONGEST = 1500  # characters kept of an error


class Record:
    """Collects checks, measurements and facts of one part of a section.

    A check holds or does not; a measurement (`report`) is only told. Everything is written to
    `path` at once.
    """

    def __init__(self, path, options, part=0, parts=1):
        self.path, self.options, self.part, self.parts = path, options, part, parts
        self.began = time.time()
        self.checks, self.facts = [], {}
        self.finished = False
        self._write()

    def check(self, name, holds, text=""):
        """Say whether something holds, with the figures that show it; returns `holds`."""
        holds = bool(holds)
        self._add(name, "holds" if holds else "FAILS", text)
        return holds

    def report(self, name, text):
        """Tell a measurement that has no limit."""
        self._add(name, "", text)

    def left_out(self, name, why):
        """Tell what was not done; it neither holds nor fails."""
        self._add(name, "left out", why)

    def fact(self, key, value):
        """Keep a value for programs; it must be plain JSON."""
        self.facts[key] = value
        self._write()

    @contextlib.contextmanager
    def step(self, name):
        """Turn an exception into a failed check, and go on behind the block."""
        try:
            yield
        except Exception as error:  # each step's failure is reported, the next step still runs
            lines = traceback.format_exc().strip().splitlines()
            where = [line.strip() for line in lines if line.strip().startswith("File ")][-1:]
            text = f"{type(error).__name__}: {error} ({' '.join(where)})"
            self.check(name, False, text[:LONGEST])
            print(traceback.format_exc(), flush=True)

    def finish(self):
        """Say that the section came to its end."""
        self.finished = True
        self._write()

    def _add(self, name, verdict, text):
        self.checks.append({"name": name, "verdict": verdict, "text": text})
        print(f"[{time.time() - self.began:6.1f} s] {name}: {verdict} {text}", flush=True)
        self._write()

    def _write(self):
        found = {
            "checks": self.checks,
            "facts": self.facts,
            "finished": self.finished,
            "seconds": round(time.time() - self.began, 2),
        }
        with open(self.path + ".part", "w") as stream:
            json.dump(found, stream)
        os.replace(self.path + ".part", self.path)
