"""Build both images of the Dockerfile with buildah and run them: no container engine needed.

    python tests/docker/build_images.py [--mirror URL] [--mount PATH[:INSIDE]]… [--keep]

Needs root, buildah and debootstrap. The base images are made by debootstrap, everything runs with
chroot isolation. --mount shows a file or folder of this machine during the build, such as pip's
configuration or certificates (not below /etc/ssl/certs, which the build writes). Then, as the
image's own user,
- both images label one picture: the same label map, pixel by pixel, and a line about the device;
- the toy experiment trains some steps in the image of the engine;
- `caffe --version` answers in both.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(CHECKOUT, "tests", "oracle"))
from build import apt_mirrors  # noqa: E402

# target of the Dockerfile: (its argument for the base, the suite)
IMAGES = {"gpu": ("BASE", "bookworm"), "bvlc": ("BVLC_BASE", "bullseye")}


def run(command, **options):
    print("$ " + " ".join(command[:6]) + (" …" if len(command) > 6 else ""), flush=True)
    return subprocess.run(command, check=True, **options)


def output(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def base_image(suite, mirror):
    """The name of an image of a minimal Debian; made once by debootstrap."""
    name = f"localhost/fcn-base:{suite}"
    if subprocess.run(["buildah", "inspect", name], capture_output=True).returncode == 0:
        return name
    with tempfile.TemporaryDirectory(prefix="base-") as folder:
        root = os.path.join(folder, "root")
        run(["debootstrap", "--variant=minbase", suite, root, mirror], stdout=subprocess.DEVNULL)
        container = output(["buildah", "from", "scratch"])
        run(["buildah", "add", "--quiet", container, root, "/"])
        run(["buildah", "commit", "--quiet", "--rm", container, name], stdout=subprocess.DEVNULL)
    return name


def build(target, mirror, mounts):
    argument, suite = IMAGES[target]
    name = f"localhost/fcn-{target}"
    command = [
        "buildah",
        "bud",
        "--isolation",
        "chroot",
        "--target",
        target,
        "--tag",
        name,
        "--build-arg",
        f"{argument}={base_image(suite, mirror)}",
    ]
    for path in mounts:
        outside, _, inside = path.partition(":")
        command += ["--volume", f"{outside}:{inside or outside}:ro"]
    run([*command, CHECKOUT])
    return name


class Container:
    """A container of an image, with a folder of ours as /data; runs what `docker run` would."""

    def __init__(self, image, data):
        self.name = output(["buildah", "from", "--pull-never", image])
        config = json.loads(output(["buildah", "inspect", "--type", "image", image]))
        self.config = config["OCIv1"]["config"]
        self.data = data

    def run(self, *arguments):
        """(exit status, output of both streams) of a command given to the entry point."""
        command = [
            "buildah",
            "run",
            "--isolation",
            "chroot",
            "--volume",
            f"{self.data}:/data",
            self.name,
            "--",
            *self.config["Entrypoint"],
            *arguments,
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def remove(self):
        subprocess.run(["buildah", "rm", self.name], capture_output=True)


def label(target, image, folder):
    """The label map that an image of ours gives for a picture."""
    shutil.copy(
        os.path.join(CHECKOUT, "docs", "images", "demo.png"), os.path.join(folder, "photo.png")
    )
    container = Container(image, folder)
    try:
        if container.config.get("User") != "fcn":
            raise RuntimeError(f"{target} runs as {container.config.get('User')!r}, not as fcn")
        status, text = container.run("infer", "photo.png")
        expect(
            target, "infer", status == 0 and "running on the CPU: no GPU is visible" in text, text
        )
        status, text = container.run("caffe", "--version")
        expect(target, "caffe --version", status == 0 and "caffe version 1.0.0" in text, text)
        if target == "gpu":
            status, text = container.run("python", "/fcn/data/toy.py", "--out", "/data/toy")
            expect(target, "data/toy.py", status == 0, text)
            status, text = container.run("solve", "toy-fcn32s", "--steps", "20", "--data", "toy")
            made = os.path.exists(os.path.join(folder, "out", "toy-fcn32s.caffemodel"))
            expect(target, "solve toy-fcn32s", status == 0 and made, text)
    finally:
        container.remove()
    with Image.open(os.path.join(folder, "photo_label.png")) as found:
        return np.array(found)


def expect(target, what, true, text):
    if not true:
        raise RuntimeError(f"{target}: {what} did not do what was expected:\n{text[-3000:]}")
    line = next((line for line in text.splitlines() if line.startswith("running on")), "")
    print(f"{target}: {what} works; {line}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirror", help="Debian mirror; default: the first of this machine's apt")
    parser.add_argument("--mount", action="append", default=[], help="shown during the build")
    parser.add_argument("--keep", action="store_true", help="keep the images")
    arguments = parser.parse_args()
    for tool in ("buildah", "debootstrap"):
        if shutil.which(tool) is None:
            sys.exit(f"images: {tool} is not installed: apt-get install {tool}")
    mirror = arguments.mirror or apt_mirrors()[0]
    images = {target: build(target, mirror, arguments.mount) for target in IMAGES}
    maps = {}
    for target, image in images.items():
        with tempfile.TemporaryDirectory(prefix="images-") as folder:
            os.chmod(folder, 0o777)
            maps[target] = label(target, image, folder)
    if maps["gpu"].max() == 0:
        sys.exit("images: the label map is empty, so the comparison says nothing")
    differ = int(np.count_nonzero(maps["gpu"] != maps["bvlc"]))
    print(f"label maps of the two images: {differ} of {maps['gpu'].size} pixels differ")
    if not arguments.keep:
        run(["buildah", "rmi", *images.values()], stdout=subprocess.DEVNULL)
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
