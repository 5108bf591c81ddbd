"""Prose is wrapped at 120 columns, so that a change of one sentence is one line of a difference.

`python docs/wrap.py FILE` does it.
"""

import os

import pytest

from fcn.markdown import WIDTH, wrap

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "tests/README.md"]
PAGES += [
    f"docs/{n}" for n in sorted(os.listdir(os.path.join(CHECKOUT, "docs"))) if n[-3:] == ".md"
]
#: Columns; a shorter line within a paragraph is a leftover of an edit.
SHORT = 60


def badly_wrapped(text):
    """(number, line) of each line that is too long or, within a paragraph, short."""
    right = set(wrap(text).split("\n"))
    return [
        (number, line)
        for number, line in enumerate(text.split("\n"), 1)
        if line not in right and (len(line) > WIDTH or len(line) < SHORT)
    ]


def test_long_and_short_lines_are_found_but_in_tables_and_code():
    prose, row = "word " * 30, "| " + "word " * 30
    text = "\n".join(
        ["short", "", prose, "", row, "", "```", "code " * 30, "```", "", prose[:99], "50", "%"]
    )
    assert [number for number, _ in badly_wrapped(text)] == [3, 12, 13]


@pytest.mark.parametrize("page", PAGES)
def test_prose_is_wrapped(page):
    with open(os.path.join(CHECKOUT, page), encoding="utf-8") as file:
        assert badly_wrapped(file.read()) == [], f"run python docs/wrap.py {page}"
