"""Copy results into the repository: docs/papers.md, its pictures, and the raw numbers.

    python papers/publish.py [--from DIR]    what the experiments wrote to DIR
    python papers/publish.py --check         only say whether page and raw numbers agree

The page's prose is written by hand. Between the lines `<!-- NAME -->` and `<!-- end -->` stands
what experiment NAME wrote, made from the raw numbers alone.
"""

import argparse
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import bootstrap
from fcn.atomic import write_text
from fcn.markdown import wrap
from papers._common import OUT, markdown

PAGE = "docs/papers.md"
IMAGES = "docs/images/papers"
RAW = "benchmarks/results/2026-11-21-papers.json"
_BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.S)


def raw():
    """{experiment: record} of what is published."""
    if not os.path.exists(RAW):
        return {}
    with open(RAW, encoding="utf-8") as f:
        return json.load(f)


def page(text, records):
    """The page's text with every block made anew. LookupError for a block without a record."""

    def block(match):
        name = match.group(2)
        if name not in records:
            raise LookupError(
                f"{PAGE} has a block '{name}', of which {RAW} holds no record: run "
                f"papers/{name}.py, then publish.py"
            )
        return match.group(1) + markdown(records[name], "images/papers") + match.group(3)

    missing = set(records) - {match.group(2) for match in _BLOCK.finditer(text)}
    if missing:
        raise LookupError(
            "{} has no block for {}: write a section with the lines <!-- NAME --> "
            "and <!-- end -->".format(PAGE, ", ".join(sorted(missing)))
        )
    return wrap(_BLOCK.sub(block, text))


def read_page():
    with open(PAGE, encoding="utf-8") as f:
        return f.read()


def collect(folder, records):
    """Add the records in a folder to `records`; copy their pictures. Returns their names."""
    names = []
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".json"):
            continue
        with open(os.path.join(folder, file), encoding="utf-8") as f:
            fields = json.load(f)
        if fields["quick"]:
            raise ValueError(
                f"{os.path.join(folder, file)} is of a --quick run, which shows "
                "nothing: run it again without"
            )
        records[fields["name"]] = fields
        names.append(fields["name"])
        for plot in fields["plots"]:
            os.makedirs(IMAGES, exist_ok=True)
            shutil.copyfile(os.path.join(folder, plot["file"]), os.path.join(IMAGES, plot["file"]))
    return names


def main(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument(
        "--from",
        dest="folder",
        type=bootstrap.user_path,
        default=OUT,
        metavar="DIR",
        help="(default: out/papers)",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if stale")
    args = parser.parse_args(argv)
    bootstrap.enter()
    records = raw()
    try:
        if args.check:
            stale = page(read_page(), records) != read_page()
            print(f"{PAGE}: {'stale, run papers/publish.py' if stale else 'up to date'}")
            return int(stale)
        names = collect(args.folder, records)
        text = page(read_page(), records)
    except (OSError, LookupError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    write_text(RAW, json.dumps(records, separators=(",", ":"), sort_keys=True) + "\n")
    write_text(PAGE, text)
    print("published: " + ", ".join(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
