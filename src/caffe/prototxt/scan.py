"""Where things stand in a prototxt: a light scanner for error messages and foreign fields.

protobuf's parser says at which line it stopped, but not inside which layer; and of required fields
that are missing it knows only the path.  Re-reading the text up to a point gives both.  The tree of
:func:`entries` serves those who edit the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Entry", "Scope", "Token", "entries", "opening_of", "scopes_at", "tokens"]

_TOKEN = re.compile(
    r"""(?P<skip>(?:[ \t\r\n\f\v]|\#[^\n]*)+)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[A-Za-z_0-9.+-]+)
    |(?P<mark>[\x21-\x7e])
    |(?P<bad>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass
class Token:
    """One token: its kind (string, word, mark or bad), text, 1-based line and column, offset."""

    kind: str
    text: str
    line: int
    column: int
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass
class Scope:
    """An open message: the field that holds it, where it begins, what is known of it so far."""

    name: str
    index: int
    line: int
    column: int
    values: dict[str, str] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)
    last_field: str = ""

    @property
    def step(self) -> str:
        """The scope's part of a path, as ``layer[3]``."""
        return f"{self.name}[{self.index}]"


def tokens(text: str) -> Iterator[Token]:
    """Yields the tokens of ``text`` without white space and comments."""
    line, start = 1, 0  # `start` is the offset of the line's first character
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "skip"
        if kind != "skip":
            column = match.start() - start + 1
            yield Token(kind, match.group(), line, column, match.start())
        breaks = match.group().count("\n")
        if breaks:
            line += breaks
            start = match.start() + match.group().rindex("\n") + 1


def _walk(text: str) -> Iterator[tuple[Token, list[Scope]]]:
    """Yields each token with the stack of messages that are open after it, the file first."""
    stack = [Scope("", 0, 1, 1)]
    in_value = in_list = False  # after `field:` and between brackets words are values, not fields
    for token in tokens(text):
        scope = stack[-1]
        if token.text in ("{", "<"):
            name = scope.last_field
            scope.counts[name] += 1
            stack.append(Scope(name, scope.counts[name] - 1, token.line, token.column))
            in_value = False
        elif token.text in ("}", ">"):
            if len(stack) > 1:
                stack.pop()
            in_value = False
        elif token.text == ":":
            in_value = True
        elif token.text in ("[", "]"):
            in_list = in_value = token.text == "[" and in_value
        elif token.text in (",", ";"):
            pass
        elif in_value:
            scope.values.setdefault(scope.last_field, token.text.strip("\"'"))
            in_value = in_list
        elif token.kind == "word":
            scope.last_field = token.text
        yield token, stack


def scopes_at(text: str, line: int, column: int) -> list[Scope]:
    """Returns the messages that are open just before the token at ``line:column``.

    ``last_field`` of the innermost is the field that was being read there.
    """
    before = [Scope("", 0, 1, 1)]
    for _, stack in _walk(text[: _offset(text, line, column)]):
        before = stack
    return before


def _offset(text: str, line: int, column: int) -> int:
    """Returns the offset of a 1-based position."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start + column - 1


def opening_of(text: str, path: str) -> Scope | None:
    """Returns the scope of a path as ``layer[0].clip_param``; None if the text has no such one."""
    wanted = [step if step.endswith("]") else f"{step}[0]" for step in path.split(".") if step]
    for _, stack in _walk(text):
        if [scope.step for scope in stack[1:]] == wanted:
            return stack[-1]
    return None


@dataclass
class Entry:
    """A field as it stands in the text: ``text[start:end]`` is its name and value."""

    name: str
    line: int
    column: int
    start: int
    end: int
    parent: Entry | None = None
    values: list[str] = field(default_factory=list)  # of a scalar or a list, as written
    children: list[Entry] = field(default_factory=list)  # of a message


def entries(text: str) -> Entry:
    """The file as a tree of its fields, under a root without a name.

    The root has no children where the text is no valid prototxt: whoever parses it says why.
    """
    root = Entry("", 1, 1, 0, len(text))
    nothing = Entry("", 1, 1, 0, len(text))
    stack, todo = [root], list(tokens(text))[::-1]
    while todo:
        token = todo.pop()
        if token.text in ("}", ">"):
            if len(stack) == 1:
                return nothing
            stack.pop().end = token.end
            continue
        if token.text in (",", ";"):
            continue
        if token.kind != "word":
            return nothing
        entry = Entry(token.text, token.line, token.column, token.start, token.end, stack[-1])
        stack[-1].children.append(entry)
        if todo and todo[-1].text == ":":
            todo.pop()
        if not todo:
            return nothing
        value = todo.pop()
        if value.text in ("{", "<"):
            stack.append(entry)
        elif value.text == "[":
            while value.text != "]":
                if not todo:
                    return nothing
                value = todo.pop()
                if value.kind in ("word", "string"):
                    entry.values.append(value.text)
        else:
            entry.values.append(value.text)
            while value.kind == "string" and todo and todo[-1].kind == "string":
                value = todo.pop()
                entry.values.append(value.text)
        entry.end = value.end
    return root if len(stack) == 1 else nothing
