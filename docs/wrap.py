"""Wrap the prose of Markdown files at 120 columns, as tests/docs/test_line_lengths.py asks.

python docs/wrap.py README.md docs/*.md
"""

import argparse
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
from fcn.atomic import write_text  # noqa: E402
from fcn.markdown import wrap  # noqa: E402


def main(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE", help="wrapped where it lies")
    for path in parser.parse_args(argv).files:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        wrapped = wrap(text)
        if wrapped != text:
            write_text(path, wrapped)
            print(f"wrapped {path}")


if __name__ == "__main__":
    main()
