"""Who may ask the page's server, and what every answer says to the browser.

A page of somebody else's must not use the server of a visitor. So the name in Host must be one that
this server goes by (a name whose address was changed to this machine's afterwards, DNS rebinding,
is none), and what changes something must come from the page itself.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

__all__ = ["HEADERS", "Guard", "names_of_host"]

#: Nothing is loaded from elsewhere, shown within other pages, or kept.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def names_of_host(host: str, more: tuple[str, ...] = ()) -> frozenset[str]:
    """The names that the server goes by: those of this machine to itself, the address that it was
    told to listen at, and what the user adds."""
    own = () if host in ("", "0.0.0.0", "::") else (host,)
    return frozenset(name.lower() for name in (*LOOPBACK, *own, *more))


class Guard:
    """ASGI middleware: refuses what does not come to one of ``names`` or from another page."""

    def __init__(self, app: Any, names: frozenset[str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # no websockets here
        refused = self._refused(scope)
        if refused:
            response = JSONResponse({"error": refused}, 403, HEADERS)
            await response(scope, receive, send)
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refused(self, scope: Any) -> str:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or self._name("//" + hosts[0].decode("latin-1")) not in self.names:
            return (
                "this server does not go by that name; open it as http://127.0.0.1:PORT, or add "
                "the name by --allow-host"
            )
        if scope["method"] in ("GET", "HEAD"):
            return ""
        # Browsers send it with every POST; programs that send none are no pages.
        for origin in headers.get(b"origin", []):
            text = origin.decode("latin-1")
            if self._place(text) != self._place("//" + hosts[0].decode("latin-1")):
                return "images are taken from this server's own page only"
        return ""

    @staticmethod
    def _place(url: str) -> tuple[str, Any]:
        try:
            parts = urlsplit(url)
            return (parts.hostname or "").lower(), parts.port
        except ValueError:
            return "", None

    def _name(self, url: str) -> str:
        return self._place(url)[0]
