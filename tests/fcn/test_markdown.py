"""Wrapping Markdown changes where lines break, and nothing that is shown."""

import pytest

from fcn.markdown import wrap

KEPT = [
    "# A heading that is longer than the width\n\nword",
    "| a table | of rows | that are long |\n|---|---|---|\n| a cell | another cell | a third |",
    "```\ncode that is longer\nthan the width, and stays\n```",
    "word\n\n    code that is indented and longer than the width",
    "<p>HTML that is longer than the width</p>",
    "[page]: https://example.org/an/address/that/is/long",
    "one word  \nand a break",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_prose_stays(text):
    assert wrap(text, 20) == text


@pytest.mark.parametrize(
    "text,wrapped",
    [
        ("a line of five words\n", "a line of\nfive words\n"),
        ("50.8\n%. And\nmore", "50.8 %. And\nmore"),
        ("one\ntwo\n\nthree", "one two\n\nthree"),
        ("- a line of words\n- two", "- a line of\n  words\n- two"),
        ("- a\n  b\n\n  c d e f g h i", "- a b\n\n  c d e f g\n  h i"),
        ("1. a line of words", "1. a line of\n   words"),
        ("word `a span of code`, on", "word\n`a span of code`,\non"),
        ("a [link of words](page.md) b", "a\n[link of words](page.md)\nb"),
        ("```\na\nb\n```\nc\nd", "```\na\nb\n```\nc d"),
    ],
)
def test_a_paragraph_is_filled(text, wrapped):
    assert wrap(text, 12) == wrapped
    assert wrap(wrapped, 12) == wrapped


@pytest.mark.parametrize("mark", ["-", "+", "1.", "#", ">", "=="])
def test_no_word_becomes_a_mark(mark):
    assert f"\n{mark}" not in wrap(f"some words {mark} more words", 12)
