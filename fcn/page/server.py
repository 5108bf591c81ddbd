"""What the browser asks for: the page, the nets on offer, an image labelled, its label map.

Nothing is written to disk. The last few label maps stay in memory, to be downloaded.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import io
import os
import secrets
import time
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fcn.page.guard import Guard
from fcn.page.nets import Nets, TooLarge, result

__all__ = ["app"]

STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}

#: Results that can still be downloaded, and their pixels in all, of which each takes four bytes.
RESULTS, PIXELS = 8, 100_000_000
#: Images that may wait for the net; seconds of an upload.
WAITING, PATIENCE = 8, 120


class Refused(Exception):
    """An answer that is an error: its status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def app(nets: Nets, names: frozenset[str], most_bytes: int) -> Starlette:
    """The ASGI application.

    Args:
        nets: the nets on offer.
        names: what the server may be called in Host.
        most_bytes: of an upload.
    """
    service = _Service(nets, most_bytes)

    @contextlib.asynccontextmanager
    async def life(_: Any) -> AsyncIterator[None]:
        yield
        nets.close()

    routes = [Route(path, functools.partial(_file, *file)) for path, file in FILES.items()]
    routes += [
        Route("/nets", service.offered),
        Route("/label", service.label, methods=["POST"]),
        Route("/results/{number}/label.png", service.label_png),
        Route("/results/{number}/photo.jpg", service.photo),
    ]
    handlers: Any = {
        Refused: lambda _, error: JSONResponse({"error": str(error)}, error.status),
        404: lambda *_: JSONResponse({"error": "there is nothing here"}, 404),
        405: lambda *_: JSONResponse({"error": "not in this way"}, 405),
        500: lambda *_: JSONResponse({"error": "the server failed; its terminal says how"}, 500),
    }
    guards = [Middleware(Guard, names=names)]
    return Starlette(routes=routes, lifespan=life, exception_handlers=handlers, middleware=guards)


async def _file(name: str, kind: str, request: Request) -> Response:
    with open(os.path.join(STATIC, name), "rb") as file:
        return Response(file.read(), media_type=kind)


class _Service:
    def __init__(self, nets: Nets, most_bytes: int) -> None:
        self.nets, self.most_bytes = nets, most_bytes
        self.waiting = 0
        self.results: OrderedDict[str, tuple[Any, Any]] = OrderedDict()

    async def offered(self, request: Request) -> Response:
        return JSONResponse(
            {
                "nets": [{"name": o.name, "knows": o.knows} for o in self.nets.offered.values()],
                "bytes": self.most_bytes,
                "pixels": self.nets.pixels,
            }
        )

    async def label(self, request: Request) -> Response:
        """The image in the body, labelled by ``?net=NAME``."""
        if self.waiting >= WAITING:
            raise Refused(503, "too many images wait for the net; try again in a moment")
        self.waiting += 1
        try:
            content = await self._body(request)
            began = time.perf_counter()
            loop = asyncio.get_running_loop()
            loaded, done = await loop.run_in_executor(
                self.nets.thread, self.nets.label, request.query_params.get("net", ""), content
            )
        except TooLarge as error:
            raise Refused(413, str(error)) from error
        except LookupError as error:
            raise Refused(404, f"{error.args[0]}") from error
        except MemoryError as error:
            raise Refused(507, "not enough memory for an image of that size") from error
        except (RuntimeError, OSError, ValueError) as error:
            raise Refused(422, str(error)) from error
        finally:
            self.waiting -= 1
        number = secrets.token_urlsafe(12)
        self._keep(number, loaded, done)
        answer = result(loaded, done)
        packed = zlib.compress(done.labels[0].tobytes(), 1)
        answer["labels"] = base64.b64encode(packed).decode("ascii")
        answer["seconds"] = round(time.perf_counter() - began, 3)
        answer["result"] = number
        return JSONResponse(answer)

    def _keep(self, number: str, loaded: Any, done: Any) -> None:
        self.results[number] = (loaded, done)
        sizes = [done.labels[0].size for _, done in self.results.values()]
        while len(sizes) > RESULTS or (len(sizes) > 1 and sum(sizes) > PIXELS):
            self.results.popitem(last=False)
            sizes.pop(0)

    async def _body(self, request: Request) -> bytes:
        """What was sent, of which no more is read than is taken."""
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self.most_bytes:
            raise Refused(413, self._too_many())
        parts, size = [], 0
        try:
            async with asyncio.timeout(PATIENCE) if hasattr(asyncio, "timeout") else _forever():
                async for part in request.stream():
                    size += len(part)
                    if size > self.most_bytes:
                        raise Refused(413, self._too_many())
                    parts.append(part)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise Refused(408, f"the image did not arrive within {PATIENCE} s") from error
        except ClientDisconnect as error:
            raise Refused(400, "the image did not arrive whole") from error
        if not size:
            raise Refused(400, "no image was sent")
        return b"".join(parts)

    def _too_many(self) -> str:
        return f"the file is larger than {self.most_bytes / 1e6:.0f} MB (--max-bytes)"

    def _result(self, request: Request) -> tuple[Any, Any]:
        try:
            return self.results[request.path_params["number"]]
        except KeyError:
            raise Refused(404, "that result is gone; label the image again") from None

    async def label_png(self, request: Request) -> Response:
        """The label map as infer.py writes it."""
        loaded, done = self._result(request)
        image = Image.fromarray(done.labels[0])
        image.putpalette(loaded.heads[0].palette.tobytes())
        content = io.BytesIO()
        image.save(content, "PNG", optimize=False)
        return Response(content.getvalue(), media_type="image/png")

    async def photo(self, request: Request) -> Response:
        """The image as the net saw it, for kinds of files that browsers do not show."""
        content = io.BytesIO()
        Image.fromarray(self._result(request)[1].pixels).save(content, "JPEG", quality=92)
        return Response(content.getvalue(), media_type="image/jpeg")


@contextlib.asynccontextmanager
async def _forever() -> AsyncIterator[None]:
    """Before Python 3.11, which has asyncio.timeout."""
    yield
