"""Build the oracle: a Debian 11 root holding BVLC Caffe 1.0 (CPU), NumPy, SciPy and Pillow.

    python tests/oracle/build.py [--root DIR] [--mirror URL]

Takes about a minute and 1 GB, needs root and debootstrap. Debian 11 is the last Debian with a Caffe
package. The root is built in a temporary folder and renamed when complete, so an interrupted build
leaves nothing that looks finished. A root that exists already is left as it is.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from root import PACKAGES, OracleMissing, default_root, is_built

SUITE = "bullseye"
# Releases leave the main mirrors for the archive some years after their end of life.
GENERIC_MIRRORS = ("http://deb.debian.org/debian", "http://archive.debian.org/debian")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def apt_mirrors(etc="/etc/apt"):
    """Debian mirrors of this machine's apt configuration, in file order."""
    files = [os.path.join(etc, "sources.list")]
    files += sorted(glob.glob(os.path.join(etc, "sources.list.d", "*")))
    found = []
    for name in files:
        if not name.endswith((".list", ".sources")) or not os.path.isfile(name):
            continue
        with open(name, errors="replace") as stream:
            lines = [line for line in stream if re.match(r"\s*(deb\s|URIs:)", line)]
        for url in re.findall(r"https?://\S+", " ".join(lines)):
            # The security and other repositories do not hold a whole release.
            if re.search(r"/debian/?$", url) and url.rstrip("/") not in found:
                found.append(url.rstrip("/"))
    return found


def check_possible():
    if os.geteuid() != 0:
        raise OracleMissing("building the oracle needs root (debootstrap makes device files): sudo")
    if shutil.which("debootstrap") is None:
        raise OracleMissing("debootstrap is not installed: apt-get install debootstrap")


def bootstrap(target, mirror):
    """Return True when `target` became a complete root from `mirror`."""
    command = ["debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES)]
    if os.path.exists(KEYRING):
        command.append("--keyring=" + KEYRING)
    print(f"building from {mirror} …", flush=True)
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(command + [SUITE, target, mirror], stdout=log, stderr=log)
        log.seek(0)
        tail = log.read().decode(errors="replace").splitlines()[-8:]
    if done.returncode == 0 and is_built(target):
        return True
    print("  failed:\n    " + "\n    ".join(tail), file=sys.stderr)
    return False


def build(root, mirror=None):
    """Build `root` unless it exists; raise OracleMissing with the reason if that fails."""
    if is_built(root):
        return
    check_possible()
    if os.path.isdir(root) and os.listdir(root):
        raise OracleMissing(f"{root} exists, is not empty and is not an oracle: move it away")
    parent = os.path.dirname(os.path.abspath(root))
    os.makedirs(parent, exist_ok=True)
    mirrors = [mirror] if mirror else apt_mirrors() + list(GENERIC_MIRRORS)
    for url in dict.fromkeys(mirrors):
        work = tempfile.mkdtemp(prefix="building-", dir=parent)
        try:
            if bootstrap(work, url):
                shutil.rmtree(os.path.join(work, "var/cache/apt/archives"), ignore_errors=True)
                os.chmod(work, 0o755)
                os.rename(work, root)
                return
        finally:
            shutil.rmtree(work, ignore_errors=True)
    raise OracleMissing(
        "no mirror gave a Debian 11 root with {} (tried {}): check the network, or name a mirror "
        "with --mirror".format(PACKAGES[0], ", ".join(mirrors))
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--mirror", help="Debian mirror; default: apt's, then the generic ones")
    arguments = parser.parse_args()
    try:
        build(arguments.root, arguments.mirror)
    except OracleMissing as error:
        sys.exit(f"oracle: {error}")
    print(f"oracle: {arguments.root}")


if __name__ == "__main__":
    main()
