"""docs/cli.md holds what the commands say today."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.mark.skipif(
    not (3, 10) <= sys.version_info[:2] <= (3, 12), reason="argparse words its help otherwise"
)
def test_the_page_is_fresh():
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "docs", "make_cli.py"), "--check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_every_command_is_on_the_page():
    with open(os.path.join(ROOT, "docs", "cli.md"), encoding="utf-8") as f:
        page = f.read()
    for folder in ("nets", "data"):
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            path = os.path.join(ROOT, folder, name)
            if name.endswith(".py"):
                with open(path, encoding="utf-8") as f:
                    if 'if __name__ == "__main__":\n    main' not in f.read().replace(
                        "sys.exit(main", "main"
                    ):
                        continue
                assert f"### `python {folder}/{name}`" in page, name
