"""Wrap the prose of Markdown; tables, code, headings and HTML stay as they are."""

from __future__ import annotations

import re

__all__ = ["WIDTH", "wrap"]

#: Columns of the pages in docs/.
WIDTH = 120
#: A line cannot break within these: code, links, words.
_WHOLE = re.compile(r"(?:`[^`]*`|!?\[[^\]]*\]\([^)\s]*\)|[^\s`])+")
_ITEM = re.compile(r"( *)([-*+]|\d+[.)])( +)(?=\S)")
_FENCE = re.compile(r" *(```|~~~)")
#: Lines that are no prose: headings, tables, HTML, pictures, quotations, what links refer to.
_KEPT = re.compile(r" *(#|\||<|!\[|>|\[[^\]]+\]: |(---|===|\*\*\*)$|!!!|\?\?\?)")
#: What would begin another kind of line.
_BEGINS = re.compile(r"([-*+]|\d+[.)]|[#>|<].*|=+|-+)$")


def wrap(text: str, width: int = WIDTH) -> str:
    """Markdown with each paragraph and each list item filled to `width` columns.

    What is shown stays the same: only where lines break changes. Doing it twice changes nothing.
    """
    lines = text.split("\n")
    done: list[str] = []
    at = inside = 0  # the line; the columns before the text of a list's item
    while at < len(lines):
        line = lines[at]
        indent = len(line) - len(line.lstrip(" "))
        item = _ITEM.match(line)
        if line.strip() and indent < inside and not item:
            inside = 0  # the list is over
        fence = _FENCE.match(line)
        if fence:
            end = at + 1
            while end < len(lines) and not lines[end].lstrip().startswith(fence.group(1)):
                end += 1
            done += lines[at : end + 1]
            at = end + 1
        elif not line.strip() or _KEPT.match(line) or (indent >= inside + 4 and not item):
            done.append(line)
            at += 1
        else:
            lead = item.group() if item else " " * indent
            inside = len(lead) if item else inside
            end = at + 1
            while end < len(lines) and _goes_on(lines[end - 1], lines[end]):
                end += 1
            words = " ".join([line[len(lead) :]] + lines[at + 1 : end])
            done += _filled(lead, words, width)
            if lines[end - 1].endswith("  "):  # a break that is shown
                done[-1] += "  "
            at = end
    return "\n".join(done)


def _goes_on(before: str, line: str) -> bool:
    """Whether a line belongs to the paragraph of the line before it."""
    ends = not line.strip() or before.endswith("  ")
    return not (ends or _KEPT.match(line) or _FENCE.match(line) or _ITEM.match(line))


def _filled(lead: str, words: str, width: int) -> list[str]:
    lines, line = [], lead
    for word in _WHOLE.findall(" ".join(words.split())):
        empty = not line.strip() or line == lead
        if empty or len(line) + 1 + len(word) <= width or _BEGINS.match(word):
            line += word if empty else " " + word
        else:
            lines.append(line)
            line = " " * len(lead) + word
    return lines + [line]
