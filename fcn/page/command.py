"""The command line of page.py."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from typing import Optional

import bootstrap
from fcn.inference.arguments import add_device, add_net
from fcn.options import natural, positive

__all__ = ["main", "parse"]

#: As the smallest photo that a telephone of 2026 makes in full.
PIXELS, MEGABYTES = 50, 40
LOCAL = "127.0.0.1"


def parse(arguments: Optional[list[str]] = None) -> argparse.Namespace:
    """The command line; paths come back absolute."""
    parser = argparse.ArgumentParser(
        description="Serve a page that labels the image one drops on it, to this machine alone. "
        "Nothing is written, and nothing is loaded from elsewhere.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--port", type=natural, default=8000, help="0: any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--host",
        default=LOCAL,
        help="the address to listen at; another than %(default)s lets others use the page, who "
        "need no password",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which the page may be opened, beside localhost; may be repeated",
    )
    parser.add_argument(
        "--max-bytes",
        type=positive,
        default=MEGABYTES,
        metavar="MB",
        help="the largest file that is taken (default: %(default)s)",
    )
    parser.add_argument(
        "--max-pixels",
        type=positive,
        default=PIXELS,
        metavar="MILLIONS",
        help="the largest image that is taken (default: %(default)s)",
    )
    add_net(parser)
    add_device(parser)
    options = parser.parse_args(arguments)
    if options.port > 65535:
        parser.error(f"--port is at most 65535; received {options.port}")
    if options.mean and not options.classes:
        parser.error("--mean is for a net of --classes; others know theirs")
    named = any(word.split("=")[0] == "--net" for word in arguments or sys.argv[1:])
    options.given = bool(named or options.weights or options.classes or options.onnx)
    # What labelling takes besides.
    options.out = options.palette = options.probabilities = None
    options.batch = 1
    return options


def main(arguments: Optional[list[str]] = None) -> int:
    """Serve until Ctrl-C; the exit status."""
    options = parse(arguments)
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        print(
            f"error: the page needs the package {error.name}: pip install starlette uvicorn, or "
            "this project's extra, pip install '.[page]'",
            file=sys.stderr,
        )
        return 1
    from fcn.page.guard import names_of_host
    from fcn.page.nets import Nets, offers
    from fcn.page.server import app

    bootstrap.enter()
    offered = offers(options, options.given)
    if not offered:
        print(
            "error: no net has weights here; python nets/weights.py fetches some", file=sys.stderr
        )
        return 1
    try:
        listening = _listen(options.host, options.port)
    except OSError as error:
        where = f"{options.host}:{options.port}"
        print(f"error: cannot listen at {where}: {error.strerror or error}", file=sys.stderr)
        return 1
    port = listening.getsockname()[1]
    shown = f"[{options.host}]" if ":" in options.host else options.host
    print(f"nets: {', '.join(offer.name for offer in offered)}")
    print(f"open http://{shown}:{port}  (Ctrl-C ends it)", flush=True)
    if options.host not in (LOCAL, "localhost", "::1"):
        print("everybody who reaches this address can use the page", file=sys.stderr)
    names = names_of_host(options.host, tuple(options.allow_host))
    nets = Nets(offered, options.max_pixels * 1_000_000)
    config = uvicorn.Config(
        app(nets, names, options.max_bytes * 1_000_000),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[listening])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(64)  # who follows the printed address at once waits, and is not refused
    except OSError:
        listening.close()
        raise
    return listening
