"""``caffe summarize NET``: one line a layer: name, type, learning rates, bottoms -> tops, sizes.

Sizes are written as BVLC's tools/extra/summarize.py writes them: ``7/2+3 64`` is a kernel of 7,
stride 2, pad 3 and 64 outputs, ``/2`` behind the outputs two groups.  ``x10`` is a learning rate
multiplied by 10, ``Dx0`` a weight decay multiplied by 0.  On a terminal each blob has a colour; a
bottom that no layer makes is red, a top that no layer reads bold.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from caffe.prototxt import read_net

__all__ = ["main", "table"]

_COLOURS = ("92", "93", "94", "95", "97", "96", "42", "43;30", "100", "44", "103;30", "107;30")
_MISSING = "41"
_ESCAPE = re.compile(r"\033\[[\d;]+m")


def main(argv: Sequence[str] | None = None) -> int:
    """Run with these arguments (default: the process's); returns the exit status.

    Raises:
        PrototxtError: the net cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="caffe summarize", description="One line a layer of a net.", allow_abbrev=False
    )
    parser.add_argument("filename", metavar="NET", help="the net's prototxt, of any generation")
    parser.add_argument(
        "-w", "--max-width", type=int, default=30, help="of a column (default: %(default)s)"
    )
    words = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(["--help" if word == "-help" else word for word in words])
    rows = table(read_net(args.filename))
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    if not coloured:
        rows = [[_ESCAPE.sub("", cell) for cell in row] for row in rows]
    for line in _lines(rows, args.max_width):
        print(line)
    return 0


def table(net: Any) -> list[list[str]]:
    """The cells of each layer of a NetParameter: name, type, param, bottoms, ``->``, tops, sizes.

    The names of blobs stand in ANSI's codes for colours.
    """
    unread: set[str] = set()
    for layer in net.layer:
        unread = (unread - set(layer.bottom)) | set(layer.top)
    colours: dict[str, str] = dict.fromkeys(net.input, _COLOURS[-1])
    rows = []
    for layer in net.layer:
        bottoms = [_in_colour(name, colours.get(name, _MISSING)) for name in layer.bottom]
        tops = []
        for number, name in enumerate(layer.top):
            colour = colours.setdefault(name, _COLOURS[len(colours) % len(_COLOURS)])
            text = f"\033[1;4m{name}" if name in unread else name
            if number < len(layer.loss_weight):
                text = f"{layer.loss_weight[number]:g} * {text}"
            tops.append(_in_colour(text, colour))
        python = layer.python_param
        kind = f"{python.module}.{python.layer}" if layer.type == "Python" else layer.type
        rates = [_rates(param) for param in layer.param]
        rows.append(
            [
                layer.name,
                kind,
                f"({', '.join(rates)})" if any(rates) else "",
                ", ".join(bottoms),
                "->",
                ", ".join(tops),
                _sizes(layer),
            ]
        )
    return rows


def _in_colour(text: str, colour: str) -> str:
    return f"\033[{colour}m{text}\033[0m"


def _rates(param: Any) -> str:
    """A ParamSpec in words: its name, and the multipliers that are not 1."""
    words = [param.name] if param.name else []
    words += [f"x{param.lr_mult:g}"] if param.lr_mult != 1 else []
    words += [f"Dx{param.decay_mult:g}"] if param.decay_mult != 1 else []
    return " ".join(words)


def _sizes(layer: Any) -> str:
    """Kernel, stride, pad, outputs and groups."""
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    if layer.type == "Pooling":
        param = layer.pooling_param
        if param.global_pooling:
            return "global"
        return _window(param, [param.kernel_size], [param.stride], [param.pad])
    if layer.type not in ("Convolution", "Deconvolution", "DepthwiseConvolution"):
        return ""
    param = layer.convolution_param
    words = _window(param, param.kernel_size, param.stride, param.pad)
    if any(size != 1 for size in param.dilation):
        words += f"*{_axes(param.dilation)}"
    words += f" {param.num_output}"
    return words + (f"/{param.group}" if param.group != 1 else "")


def _window(param: Any, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int]) -> str:
    """``kernel/stride+pad``; sizes that differ by axis with an x between them."""
    if param.HasField("kernel_h") or param.HasField("kernel_w"):
        kernel = [param.kernel_h, param.kernel_w]
    if param.HasField("stride_h") or param.HasField("stride_w"):
        stride = [param.stride_h, param.stride_w]
    if param.HasField("pad_h") or param.HasField("pad_w"):
        pad = [param.pad_h, param.pad_w]
    words = _axes(kernel)
    words += f"/{_axes(stride)}" if any(size != 1 for size in stride) else ""
    return words + (f"+{_axes(pad)}" if any(pad) else "")


def _axes(sizes: Sequence[int]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def _lines(rows: list[list[str]], most: int) -> list[str]:
    """Columns as narrow as possible; what is wider than ``most`` moves only what follows in its
    own line."""
    if not rows:
        return []
    widths = [
        min(max(len(_ESCAPE.sub("", row[i])) + 1 for row in rows), most)
        for i in range(len(rows[0]))
    ]
    lines = []
    for row in rows:
        line, end = "", 0
        for cell, width in zip(row, widths):
            end += width
            line += cell + " "
            line += " " * (end - len(_ESCAPE.sub("", line)))
        lines.append(line.rstrip())
    return lines
