"""How every command ends when its reader goes away or the user stops it."""

import os
import signal
import sys

__all__ = ["exit_code"]


def exit_code(command, *arguments):
    """What `command` returns; 130 after Ctrl-C, 141 where nobody reads the output any more.

    Both are the shell's customs: 128 and the signal's number.
    """
    try:
        code = command(*arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # What is still buffered would be told about once more when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
