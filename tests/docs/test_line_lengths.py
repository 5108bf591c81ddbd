"""Prose is wrapped at 120 columns, so that a change of one sentence is one line of a difference."""

import os
import re

import pytest

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WIDTH = 120
WRITTEN_BY_SCRIPTS = {"api.md", "cli.md", "forks.md", "nets.md", "papers.md", "parity.md"}
# A line cannot break within these.
WHOLE = re.compile(r"`[^`]*`|!?\[[^\]]*\]\([^)]*\)|\S+")
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
PAGES += [
    os.path.join("docs", name)
    for name in sorted(os.listdir(os.path.join(CHECKOUT, "docs")))
    if name.endswith(".md") and name not in WRITTEN_BY_SCRIPTS
]


def too_long(lines):
    """The numbers of the lines of prose, 1 for the first, that are too long and could break."""
    numbers, code = [], False
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code and len(line) > WIDTH and not line.lstrip().startswith(("|", "#", "<", "![")):
            if max(len(part) for part in WHOLE.findall(line)) <= WIDTH - 20:
                numbers.append(number)
    return numbers


def test_a_long_line_is_found_but_in_tables_and_code():
    prose = "word " * 30
    assert too_long(["short", prose, "| " + prose, "```", prose, "```", "x" * 130]) == [2]


@pytest.mark.parametrize("page", PAGES)
def test_prose_is_wrapped(page):
    with open(os.path.join(CHECKOUT, page), encoding="utf-8") as file:
        assert too_long(file.read().splitlines()) == []
