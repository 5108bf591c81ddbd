"""Build the oracle: a Debian 11 root holding BVLC Caffe 1.0 (CPU), NumPy, SciPy, Pillow, pytest.

    python tests/oracle/build.py [--root DIR] [--mirror URL]

Takes about a minute and 1 GB, needs root and debootstrap. Debian 11 is the last Debian with a Caffe
package. The root is built in a temporary folder and renamed when complete, so an interrupted build
leaves nothing that looks finished. A root that exists already only gets the packages it lacks.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import enter
from root import PACKAGES, OracleMissing, default_root, is_built, missing_packages

SUITE = "bullseye"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# $1 = the line of sources.list, then the packages.
INSTALL = r"""
set -e
echo "$1" > /etc/apt/sources.list; shift
export DEBIAN_FRONTEND=noninteractive
dpkg --configure -a
apt-get -q update
apt-get -q -y --no-install-recommends install "$@"
apt-get clean
"""


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


def succeeds(command, mirror, **options):
    """Run `command` with its output hidden; True when it ends well, else show the output's end."""
    print(f"  from {mirror} …", flush=True)
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        log.seek(0)
        tail = log.read().decode(errors="replace").splitlines()[-8:]
    if done.returncode != 0:
        print("  failed:\n    " + "\n    ".join(tail), file=sys.stderr)
    return done.returncode == 0


def bootstrap(target, mirror):
    """Return True when `target` became a complete root from `mirror`."""
    command = ["debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES)]
    if os.path.exists(KEYRING):
        command.append("--keyring=" + KEYRING)
    return succeeds(command + [SUITE, target, mirror], mirror) and is_built(target)


def install(root, packages, mirror):
    """Return True when `packages` were added to `root` from `mirror`.

    The root stays usable meanwhile, and an interrupted installation is taken up by the next.
    """
    if os.path.isfile("/etc/resolv.conf"):
        shutil.copyfile("/etc/resolv.conf", os.path.join(root, "etc/resolv.conf"))
    proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    source = f"deb {mirror} {SUITE} main"
    command = enter.inside(root, ["sh", "-c", INSTALL, "install", source, *packages])
    return succeeds(command, mirror, env=dict(enter.environment(), **proxies))


def build(root, mirror=None):
    """Build `root`, or add what it lacks; raise OracleMissing with the reason if that fails."""
    mirrors = [mirror] if mirror else apt_mirrors()
    if is_built(root):
        missing = missing_packages(root)
        if not missing:
            return
        print(f"adding {', '.join(missing)} to {root}")
        if any(install(root, missing, url) for url in mirrors) and not missing_packages(root):
            return
        raise no_mirror(missing, mirrors)
    check_possible()
    if os.path.isdir(root) and os.listdir(root):
        raise OracleMissing(f"{root} exists, is not empty and is not an oracle: move it away")
    parent = os.path.dirname(os.path.abspath(root))
    os.makedirs(parent, exist_ok=True)
    print(f"building {root}")
    for url in mirrors:
        work = tempfile.mkdtemp(prefix="building-", dir=parent)
        try:
            if bootstrap(work, url):
                shutil.rmtree(os.path.join(work, "var/cache/apt/archives"), ignore_errors=True)
                os.chmod(work, 0o755)
                os.rename(work, root)
                return
        finally:
            shutil.rmtree(work, ignore_errors=True)
    raise no_mirror(PACKAGES, mirrors)


def no_mirror(packages, mirrors):
    return OracleMissing(
        "no mirror gave Debian 11's {} (tried {}): check the network, or name a mirror with "
        "--mirror; some years after a release's end of life only Debian's archive has it".format(
            ", ".join(packages), ", ".join(mirrors) or "none: apt's configuration names no mirror"
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=default_root(), help="default: %(default)s")
    parser.add_argument("--mirror", help="Debian mirror; default: those of this machine's apt")
    arguments = parser.parse_args()
    try:
        build(arguments.root, arguments.mirror)
    except OracleMissing as error:
        sys.exit(f"oracle: {error}")
    print(f"oracle: {arguments.root}")


if __name__ == "__main__":
    main()
