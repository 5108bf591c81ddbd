"""For the site: links that lead out of docs/, to files of the repository, become their paths.

On the repository's own pages they are links; the site has no such files.
"""

import re


def on_page_markdown(markdown: str, **_) -> str:
    """MkDocs calls it with each page's text."""
    return re.sub(r"(?<!!)\[([^\]]+)\]\(\.\./([^)#\s]+)[^)]*\)", _named, markdown)


def _named(found: "re.Match[str]") -> str:
    text, path = found.group(1), found.group(2)
    return f"`{path}`" if text in path or path in text else f"{text} (`{path}`)"
