"""Where the oracle lives: a Debian 11 root with real BVLC Caffe 1.0, outside the checkout."""

import os

PACKAGES = (
    "python3-caffe",
    "caffe",
    "python3-numpy",
    "python3-scipy",
    "python3-pil",
    "python3-pytest",
    "python3-lmdb",
    "python3-plyvel",
    "python3-pydot",
    "graphviz",
)
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class OracleMissing(RuntimeError):
    """The oracle cannot be built or entered here; the message says why and what helps."""


def default_root():
    """ORACLE_ROOT, or a folder in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("ORACLE_ROOT") or os.path.join(cache, "caffe-oracle", "bullseye")


def is_built(root):
    """True when `root` holds a usable system; a root is renamed into place only when complete."""
    return os.path.isdir(os.path.join(root, "usr/lib/python3/dist-packages/caffe"))


def check_built(root):
    if not is_built(root):
        raise OracleMissing(
            f"no oracle in {root}: run `python tests/oracle/build.py` as root, or name an "
            "existing root with --root or ORACLE_ROOT"
        )


def missing_packages(root):
    """Those of PACKAGES that `root` lacks: a root may be older than the list."""
    installed = set()
    with open(os.path.join(root, "var/lib/dpkg/status"), encoding="utf-8") as stream:
        for paragraph in stream.read().split("\n\n"):
            fields = dict(
                line.split(": ", 1)
                for line in paragraph.splitlines()
                if line.startswith(("Package: ", "Status: "))
            )
            if fields.get("Status") == "install ok installed":
                installed.add(fields["Package"])
    return [name for name in PACKAGES if name not in installed]


def check_complete(root):
    """Like check_built, and raise OracleMissing when a package is missing."""
    check_built(root)
    missing = missing_packages(root)
    if missing:
        raise OracleMissing(
            f"the oracle in {root} lacks {', '.join(missing)}: run `python tests/oracle/build.py` "
            "as root, which adds it"
        )
