"""How commands end when nobody reads them, or they are stopped."""

import os
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from fcn.console import exit_code
def main():
    {}
sys.exit(exit_code(main))
"""


def ended(body, command="{}"):
    script = SCRIPT.format(body)
    return subprocess.run(
        ["bash", "-c", command.format('"$0" -c "$1" "$2"'), sys.executable, script, ROOT],
        capture_output=True,
        text=True,
    )


def test_a_reader_that_goes_away_is_no_error():
    done = ended("[print(i) for i in range(10**6)]", "{} | head -1 >&2; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 128 + signal.SIGPIPE and done.stderr == "0\n", done


def test_ctrl_c_is_one_word():
    done = ended("raise KeyboardInterrupt")
    assert done.returncode == 130 and done.stderr == "stopped\n", done


def test_the_commands_own_status():
    assert ended("return 3").returncode == 3
