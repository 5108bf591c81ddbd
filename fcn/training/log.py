"""What a run prints, kept in a file beside its results."""

import io
import sys
from typing import Any

__all__ = ["Log"]


class Log:
    """While active, what is printed is kept: in memory until `keep` names a file, then there.

    So a run that cannot start leaves another's log alone. A progress bar is for the screen alone:
    it writes to `screen`. A full disk ends the file, not the run.
    """

    def __init__(self) -> None:
        self._file: Any = io.StringIO()
        self.screen: Any = sys.stdout

    def __enter__(self) -> "Log":
        self.screen = sys.stdout
        sys.stdout = self
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        sys.stdout = self.screen
        if error is not None:
            self.record(f"error: {error}\n" if str(error) else f"{kind.__name__}\n")
        self._close()

    def keep(self, path: str) -> None:
        """Write all of it to the file `path`, behind what is there."""
        before = self._file.getvalue()
        try:
            self._file = open(path, "a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            self._file = None
            print(f"note: {path} cannot be written ({error.strerror})", file=sys.stderr)
        self.record(before)

    def record(self, text: str) -> None:
        """Write to the file alone."""
        if self._file is None:
            return
        try:
            self._file.write(text)
            self._file.flush()
        except OSError:
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                pass  # what a full disk left no room for

    # What the rest of the program wants of a stream.

    def write(self, text: str) -> int:
        self.screen.write(text)
        self.record(text)
        return len(text)

    def flush(self) -> None:
        self.screen.flush()

    def isatty(self) -> bool:
        return bool(self.screen.isatty())

    def fileno(self) -> int:
        return int(self.screen.fileno())

    @property
    def encoding(self) -> str:
        return getattr(self.screen, "encoding", None) or "utf-8"
