"""Label an image: python infer.py image.jpg

Writes the label map as a palette PNG of the image's size and an overlay with a legend, and prints
the share of each class found.  Any size and kind of image will do; EXIF rotation is applied.  An
image too large for the memory is computed in tiles, with the same result.
"""

import argparse
import os
import sys
from typing import Optional

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import bootstrap
import caffe
from data import names_of
from data.palette import save_atomic, save_label_png
from inference.memory import text
from inference.model import Model, photo_input
from inference.photo import read_photo
from inference.pictures import class_shares, overlay, with_legend
from nets import catalog, weights


def parse(arguments: Optional[list[str]] = None) -> argparse.Namespace:
    """The command line; paths come back absolute."""
    parser = argparse.ArgumentParser(
        description="Label images: writes NAME_label.png and NAME_overlay.jpg for each."
    )
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        type=bootstrap.user_path,
        help="any file that Pillow reads; EXIF rotation is applied",
    )
    parser.add_argument(
        "--net",
        default="camvid-fcn8s",
        metavar="NAME",
        help="a folder that nets/make.py wrote, or an experiment of nets/catalog: "
        + ", ".join(catalog.EXPERIMENTS)
        + " (default: %(default)s)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        type=bootstrap.user_path,
        help="a caffemodel (default: the one trained here, in out; else the one next to the net)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default=bootstrap.START,
        type=bootstrap.user_path,
        help="where the pictures go (default: here)",
    )
    parser.add_argument("--gpu", type=int, metavar="N", help="the GPU to use (default: the CPU)")
    parser.add_argument(
        "--memory",
        type=_gigabytes,
        metavar="GB",
        help="what an image may take (default: 80%% of what is free)",
    )
    options = parser.parse_args(arguments)
    stems = [_stem(path) for path in options.images]
    for stem in stems:
        if stems.count(stem) > 1:
            parser.error(
                f"two images are called '{stem}', so their results would be too; "
                "run them one by one with different --out"
            )
    return options


def _gigabytes(given: str) -> int:
    try:
        value = float(given)
    except ValueError:
        value = 0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0; received '{given}'")
    return int(value * 1e9)


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _progress(done: int, total: int) -> None:
    if total > 1 and sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rtile {min(done + 1, total)} of {total}", end=end, file=sys.stderr, flush=True)


def infer(model: Model, colours, path: str, options: argparse.Namespace) -> None:
    """Label one image, write its two pictures and print what was found.

    ``colours`` is the dataset's module, with CLASSES and PALETTE.
    """
    pixels = read_photo(path)
    height, width = pixels.shape[:2]
    plan = model.plan(height, width, options.gpu, options.memory)
    needed = text(model.memory(height, width))
    if len(plan) > 1:
        print(
            f"{bootstrap.shown(path)}: {width}x{height} takes {needed}, more than may be used: "
            f"{len(plan)} tiles instead, with the same result"
        )
    label = model.label(pixels, plan, _progress)

    found = class_shares(label)
    print(f"{bootstrap.shown(path)}: {width}x{height}")
    for number, share in found:
        print(f"  {share:6.1%}  {colours.CLASSES[number]}")

    os.makedirs(options.out, exist_ok=True)
    target = os.path.join(options.out, _stem(path))
    save_label_png(target + "_label.png", label, colours.PALETTE)
    background = 0 if colours.CLASSES[0] == "background" else -1
    picture = overlay(pixels, label, colours.PALETTE, untouched=background)
    picture = with_legend(picture, found, colours.CLASSES, colours.PALETTE)
    save_atomic(picture, target + "_overlay.jpg", "JPEG", quality=92)
    print(f"  wrote {bootstrap.shown(target)}_label.png and _overlay.jpg")


def main(arguments: Optional[list[str]] = None) -> int:
    """The command line; the exit status: 0, or 1 if an image could not be labelled."""
    options = parse(arguments)
    bootstrap.enter()
    try:
        experiment = catalog.experiment(options.net)
        photo_input(experiment)  # before anybody is sent to fetch weights that would not do
        if options.gpu is not None:
            caffe.set_device(options.gpu)
            caffe.set_mode_gpu()
        path = weights.find(
            weights.trained(experiment.name),
            options.weights,
            f"{experiment.name} has no weights here",
        )
        model = Model.from_catalog(experiment.name, path)
        colours = names_of(experiment.dataset)
    except LookupError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 1
    # The engine's errors are RuntimeErrors too; a damaged experiment.json is a ValueError.
    except (RuntimeError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{experiment.name} with {bootstrap.shown(os.path.abspath(path))}")
    failed = 0
    for path in options.images:
        try:
            infer(model, colours, path, options)
        except (RuntimeError, OSError, MemoryError) as error:
            print(f"error: {error or 'out of memory'}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
