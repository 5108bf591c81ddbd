"""Run a Python script under real BVLC Caffe, inside the oracle's root.

    python tests/oracle/enter.py [--root DIR] [--bind DIR]… SCRIPT ARGUMENT…

The checkout, the current folder and each --bind folder are visible inside under their own paths, so
the same arguments work on both sides. The mounts live in a namespace of this one process and go
with it, also when the script aborts. GLOG_minloglevel (default 2) and OPENBLAS_NUM_THREADS
(default 1) are taken from the environment. The exit status is the script's; 134 or -6 stands for a
failed check.
"""

import argparse
import os
import shutil
import subprocess
import sys

from root import CHECKOUT, OracleMissing, check_built, default_root

# $1 = root, $2 = number of folders to bind, then the folders, the working folder and the command.
ENTER = r"""
set -e
root=$1; count=$2; shift 2
mount --bind "$root" "$root"  # not recursive: whatever is mounted in the root elsewhere stays out
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
while [ "$count" -gt 0 ]; do
    mkdir -p "$root$1"; mount --bind "$1" "$root$1"; shift; count=$((count - 1))
done
work=$1; shift
exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "$work" "$@"
"""


def command_line(root, script, arguments=(), binds=()):
    """The command that runs `script` inside `root`; for subprocess, without a shell.

    Raises OracleMissing when the root is absent or namespaces cannot be made here.
    """
    folders = [CHECKOUT, os.getcwd(), os.path.dirname(os.path.abspath(script))]
    folders = outermost([os.path.realpath(name) for name in folders + list(binds)])
    command = ["python3", os.path.realpath(script)] + [str(a) for a in arguments]
    return inside(root, command, folders, os.path.realpath(os.getcwd()))


def inside(root, command, folders=(), work="/"):
    """The command line that runs `command` in the folder `work` of `root`, `folders` visible.

    Raises OracleMissing when the root is absent or namespaces cannot be made here.
    """
    check_built(root)
    if shutil.which("unshare") is None:
        raise OracleMissing("the command `unshare` (package util-linux) is not installed")
    if os.geteuid() != 0:
        raise OracleMissing("entering the oracle needs root (mounts and chroot): sudo")
    unshare = ["unshare", "--mount", "--propagation", "private"]
    probe = subprocess.run(unshare + ["true"], capture_output=True, text=True)
    if probe.returncode != 0:
        raise OracleMissing("cannot make a mount namespace here: " + probe.stderr.strip())
    shell = ["sh", "-c", ENTER, "enter", os.path.realpath(root), str(len(folders))]
    return unshare + shell + list(folders) + [work] + list(command)


def outermost(folders):
    """Drop what lies within another folder: mounting the outer one shows it already."""
    kept = []
    for name in sorted(set(folders), key=len):
        if name != "/" and not any((name + "/").startswith(outer + "/") for outer in kept):
            kept.append(name)
    return kept


def environment():
    """A clean environment: nothing of the host's Python leaks in; no byte code is written."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    env["GLOG_minloglevel"] = os.environ.get("GLOG_minloglevel", "2")
    env["OPENBLAS_NUM_THREADS"] = os.environ.get("OPENBLAS_NUM_THREADS", "1")
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    return env


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--bind", action="append", default=[], help="folder to show inside")
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    try:
        command = command_line(given.root, given.script, given.arguments, given.bind)
    except OracleMissing as error:
        sys.exit(f"oracle: {error}")
    sys.exit(subprocess.run(command, env=environment()).returncode)


if __name__ == "__main__":
    main()
