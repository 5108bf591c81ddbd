"""``caffe shim``: BVLC's programs under their own paths, for scripts that call them there.

Below DIR, a folder of yours or BVLC's source tree, it writes ``build/tools/caffe``,
``build/tools/convert_imageset`` and the others, with and without ``.bin``, ``build/examples``,
``python/classify.py``, ``detect.py``, ``draw_net.py`` and ``train.py``, and the programs of
``tools/extra``; each runs this engine's tool of that name.  A file that is there and
that `caffe shim` did not write is left alone.

It also lets scripts run that put BVLC's ``python`` folder first on ``sys.path``: two small files in
this Python's site-packages make `import caffe` find this engine where that folder has no compiled
core (``--no-hook`` writes none).  ``--remove`` takes away all that it wrote.
"""

from __future__ import annotations

import argparse
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from caffe import _source_tree
from caffe.atomic import atomic_write
from caffe.errors import Error

__all__ = ["main"]

MARK = "# Written by `caffe shim`: runs pycaffe-torch's tool of this name.\n"
HOOK = "_pycaffe_torch_hook"

# path below DIR: the arguments that come before the user's
_TOOLS = (
    "compute_image_mean",
    "convert_imageset",
    "extract_features",
    "upgrade_net_proto_binary",
    "upgrade_net_proto_text",
    "upgrade_solver_proto_text",
)
PROGRAMS: dict[str, tuple[str, ...]] = {
    "build/tools/caffe": (),
    "build/tools/device_query": ("device_query",),
    **{f"build/tools/{name}": (name,) for name in _TOOLS},
    "build/examples/cifar10/convert_cifar_data": ("convert_cifar_data",),
    "build/examples/mnist/convert_mnist_data": ("convert_mnist_data",),
    "build/examples/siamese/convert_mnist_siamese_data": ("convert_mnist_siamese_data",),
}
SCRIPTS: dict[str, tuple[str, ...]] = {
    **{f"python/{name}.py": (name,) for name in ("classify", "detect", "draw_net")},
    **{
        f"tools/extra/{file}": (name,)
        for file, name in (
            ("extract_seconds.py", "extract_seconds"),
            ("launch_resize_and_crop_images.sh", "resize_and_crop_images"),
            ("parse_log.py", "parse_log"),
            ("parse_log.sh", "parse_log.sh"),
            ("plot_training_log.py", "plot_training_log"),
            ("plot_training_log.py.example", "plot_training_log"),
            ("resize_and_crop_images.py", "resize_and_crop_images"),
            ("summarize.py", "summarize"),
        )
    },
}
# path below DIR: the module of caffe.tools that runs it, where it is no command of `caffe`
OTHERS = {"python/train.py": "train_script"}

# A shell runs the second line, with a Python whose path may hold spaces; for Python it is a text.
_TEXT = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
{mark}import os
import sys

here = os.path.dirname(os.path.realpath(__file__))  # BVLC's own `caffe` may lie beside this file
sys.path[:] = [path for path in sys.path if os.path.realpath(path or ".") != here]
from caffe.{module} import main

sys.exit(main([{arguments}*sys.argv[1:]]))
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run with these arguments (default: the process's); returns the exit status.

    Raises:
        Error: a file cannot be written or removed; names it.
    """
    parser = argparse.ArgumentParser(
        prog="caffe shim", description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("dir", metavar="DIR", help="where build/ and python/ go: your caffe_root")
    parser.add_argument(
        "--no-hook",
        action="store_true",
        help="leave this Python alone: `import caffe` finds what it found",
    )
    parser.add_argument("--remove", action="store_true", help="take away what an earlier run wrote")
    words = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(["--help" if word == "-help" else word for word in words])
    try:
        if args.remove:
            _remove(Path(args.dir), hook=not args.no_hook)
        else:
            _write(Path(args.dir), hook=not args.no_hook)
    except OSError as error:
        raise Error(f"caffe shim: {error.filename or args.dir}: {error.strerror}") from error
    return 0


def _files(root: Path) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """(path, the module of caffe whose main() it runs, the arguments before the user's)"""
    for name, arguments in PROGRAMS.items():
        yield root / name, "cli", arguments
        yield root / f"{name}.bin", "cli", arguments
    for name, arguments in SCRIPTS.items():
        yield root / name, "cli", arguments
    for name, module in OTHERS.items():
        yield root / name, f"tools.{module}", ()


def _is_ours(path: Path) -> bool:
    try:
        return MARK in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _write(root: Path, hook: bool) -> None:
    count = 0
    for path, module, arguments in _files(root):
        if os.path.lexists(path) and not _is_ours(path):
            print(f"kept {path}, which caffe shim did not write")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        text = _TEXT.format(
            python=_quoted(sys.executable),
            mark=MARK,
            module=module,
            arguments="".join(f'"{word}", ' for word in arguments),
        )
        with atomic_write(os.fspath(path)) as stream:
            stream.write(text.encode())
        path.chmod(0o755)
        count += 1
    print(f"wrote {count} programs below {root}, run by {sys.executable}")
    if hook:
        for path in _install_hook():
            print(f"wrote {path}")


def _remove(root: Path, hook: bool) -> None:
    count = 0
    for path, _, _ in _files(root):
        if _is_ours(path):
            path.unlink()
            count += 1
    print(f"removed {count} programs below {root}")
    for folder in _sites() if hook else []:
        for name in (f"{HOOK}.pth", f"{HOOK}.py"):
            if (folder / name).exists():
                (folder / name).unlink()
                print(f"removed {folder / name}")


def _quoted(path: str) -> str:
    return '"' + "".join("\\" + c if c in '"\\$`' else c for c in path) + '"'


def _sites() -> list[Path]:
    """The folders whose ``.pth`` files this Python reads, the most fitting first."""
    found = [Path(sysconfig.get_path("purelib"))]
    if sys.prefix == sys.base_prefix and site.ENABLE_USER_SITE:
        found.append(Path(site.getusersitepackages()))
    return found


def _install_hook() -> list[Path]:
    """Write the hook where this Python finds it when it starts; returns the two files."""
    source = Path(_source_tree.__file__).read_text(encoding="utf-8")
    folder = Path(__file__).resolve().parents[2]
    filled = source.replace('FOLDER = ""', f"FOLDER = {os.fspath(folder)!r}", 1)
    for place in _sites():
        # The .pth comes last: it must never import what is not there.
        texts = {place / f"{HOOK}.py": filled, place / f"{HOOK}.pth": f"import {HOOK}\n"}
        try:
            place.mkdir(parents=True, exist_ok=True)
            for path, text in texts.items():
                with atomic_write(os.fspath(path)) as stream:
                    stream.write(text.encode())
        except (PermissionError, Error):  # atomic_write wraps what the system says
            continue
        return list(texts)
    raise Error(
        f"caffe shim: cannot write {' or '.join(map(str, _sites()))}: as another user, or with "
        "--no-hook and `import caffe` before your script changes sys.path"
    )
