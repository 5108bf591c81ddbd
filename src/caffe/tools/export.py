"""``caffe export``: a net and its weights as an ONNX file, proved against the engine; or the
weights in Caffe's other format."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np

from caffe.errors import Error
from caffe.tools.flags import Flag, UsageError, parse, usage

__all__ = ["main"]

FLAGS = {
    "to": Flag("onnx", "onnx, or caffemodel or hdf5: the weights in that format"),
    "outputs": Flag("", "blobs, separated by ','; by default what no layer reads"),
    "dynamic": Flag(False, "leave batch, height and width open, as far as the net allows"),
    "axes": Flag("", "which of batch,height,width have to be open; an error where they cannot"),
    "shape": Flag("", "other shapes of inputs: data=1,3,224,224 (several separated by ';')"),
    "mean": Flag("", "the graph subtracts these from the image first, in the net's order: B,G,R"),
    "rgb": Flag(False, "the graph takes RGB images and turns them into BGR first"),
    "scale": Flag(1.0, "the graph multiplies the image with this, after the mean"),
    "half": Flag(False, "store the weights in 16 bits; prints how far that moves the outputs"),
    "image": Flag("", "images to compare with too, files separated by ','"),
    "seed": Flag(0, "of the random numbers to compare with"),
    "no-check": Flag(False, "do not compare with the engine; the file's metadata say so"),
}
USAGE = """\
usage: caffe export MODEL.prototxt WEIGHTS OUT.onnx [FLAGS]

Writes the net in TEST as ONNX: nodes have the names of the layers, tensors those of the blobs.
Data layers become inputs; losses and Accuracy are left out. ONNX Runtime runs the file against the
engine on random numbers before it is there: where an output differs by more than 1e-4 of its
largest value, no file is written and the first layer that differs is named.
Opset 13, the default and the only one: the first whose Softmax works along one axis, as Caffe's.
Tried with ONNX Runtime, OpenCV 5.0 and OpenVINO. ONNX Runtime from 1.6 on and TensorRT from 8 on
should read it, by their documentation; no TensorRT was there to try.
Needs: pip install "pycaffe-torch[onnx]"
"""


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status.

    Raises:
        Error: the net cannot be read or exported, or the file not be written.
    """
    flags, rest = parse(argv, FLAGS, USAGE)
    if len(rest) != 3:
        return usage(USAGE, FLAGS)
    model, weights, path = rest
    if flags.to == "onnx":
        _onnx(model, weights, path, flags)
    else:
        from caffe.export.formats import FORMATS, convert

        if flags.to not in FORMATS:
            raise UsageError(f"--to is onnx, {' or '.join(FORMATS)}; received '{flags.to}'")
        names = convert(model, weights, path, flags.to)
        print(f"wrote {path}: {flags.to}, the parameters of {len(names)} layers, read back")
    return 0


def _onnx(model: str, weights: str, path: str, flags: SimpleNamespace) -> None:
    from caffe.export import to_onnx

    shapes = _shapes(flags.shape)
    axes = [name for name in flags.axes.split(",") if name]
    made = to_onnx(
        model,
        weights,
        path,
        outputs=[name for name in flags.outputs.split(",") if name],
        dynamic=axes or flags.dynamic,
        shapes=shapes,
        mean=_numbers(flags.mean, "--mean"),
        rgb=flags.rgb,
        scale=flags.scale,
        half=flags.half,
        images=[read for name in flags.image.split(",") if name for read in [_image(name, flags)]],
        check=not getattr(flags, "no-check"),
        seed=flags.seed,
    )
    for note in made.notes:
        print(note)
    for proof in made.proofs:
        inputs = ", ".join(f"{name} {_text(shape)}" for name, shape in proof.shapes.items())
        print(f"on {proof.what} ({inputs}) the largest relative difference is")
        for name, value in proof.differences.items():
            print(f"  {value:8.1e}  {name}")
    if made.half is not None:
        print("weights of 16 bits move")
        for name, value in made.half.items():
            print(f"  {value:8.1e}  {name}")
    if not made.proofs:
        print("not compared with the engine (--no-check)")
    for what, tensors in (("takes", made.inputs), ("gives", made.outputs)):
        print(f"{what} {', '.join(f'{name} {_text(dims)}' for name, dims in tensors.items())}")
    print(f"wrote {path}: {made.nodes} operators, {os.path.getsize(path) / 1e6:.1f} MB")


def _text(dims: Any) -> str:
    return " x ".join(map(str, dims)) or "a number"


def _numbers(text: str, flag: str) -> list[float]:
    try:
        return [float(n) for n in text.split(",") if n]
    except ValueError:
        raise UsageError(f"{flag} takes numbers separated by ','; received '{text}'") from None


def _shapes(text: str) -> dict[str, list[int]]:
    result = {}
    for part in text.split(";"):
        if not part:
            continue
        name, equals, numbers = part.rpartition("=")
        try:
            dims = [int(n) for n in numbers.split(",")]
        except ValueError:
            dims = []
        if not equals or not dims or min(dims) < 1:
            raise UsageError(f"--shape takes NAME=N,C,H,W; received '{part}'")
        result[name] = dims
    return result


def _image(path: str, flags: SimpleNamespace) -> np.ndarray:
    """An image file as the graph takes it, (C, H, W) of 0 to 255: RGB with --rgb, else BGR."""
    from caffe.io import load_image

    try:
        pixels = load_image(path) * 255
    except (OSError, ValueError) as error:
        raise Error(f"--image {path} cannot be read: {error}") from error
    pixels = pixels if flags.rgb else pixels[:, :, ::-1]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
