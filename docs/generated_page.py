"""What the scripts that write a page of docs/ share: the command line, and what stale means."""

import argparse
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
import bootstrap  # noqa: E402
from fcn.atomic import write_text  # noqa: E402
from fcn.markdown import wrap  # noqa: E402


def main(name, page, description, argv=None):
    """Write what `page()` returns to docs/<name>.md, or compare it with --check; the exit code."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=description.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is stale")
    args = parser.parse_args(argv)
    bootstrap.enter()
    text, path = wrap(page()), os.path.join(ROOT, "docs", name + ".md")
    if not args.check:
        write_text(path, text)
        print(f"wrote docs/{name}.md")
        return 0
    with open(path, encoding="utf-8") as f:
        stale = f.read() != text
    told = f"stale, run python docs/make_{name}.py" if stale else "up to date"
    print(f"docs/{name}.md: {told}")
    return int(stale)
