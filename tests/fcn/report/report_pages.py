"""Reads the tags of a report: every one that is opened is closed."""

import html.parser


class Tags(html.parser.HTMLParser):
    """Every tag that is opened is closed, and in order."""

    EMPTY = ("meta", "img", "br", "circle", "line", "polyline")

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag, tag


def tags(text):
    parser = Tags()
    parser.feed(text)
    assert not parser.open
    return parser.seen
