"""Label images: python infer.py photo.jpg, a folder of photos, or 'folder/*.jpg'

Writes for each the label map as a palette PNG of the image's size and an overlay with a legend, and
prints the share of each class found.  Any size and kind of image will do; EXIF rotation is applied.
--classes labels with a published net that is no experiment of this repository.
A photo larger than the net's training pictures is labelled at their size, because a net knows
things at the size that they had there; --size says otherwise.
"""

import argparse
import os
import sys
from typing import Any, NamedTuple, Optional

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe prints every net, layer by layer

import bootstrap
from data import names_of
from fcn import catalog, device
from fcn.console import exit_code
from fcn.inference.inputs import InputError, Job, jobs
from fcn.inference.memory import text
from fcn.inference.model import Model, photo_input
from fcn.inference.pictures import LEAST, OPACITY, class_shares, overlay, read_photo, with_legend
from fcn.inference.published import PublishedModel, one_file, read_classes
from fcn.inference.scaling import enlarge_label, scale_to, side, size_for
from fcn.options import natural
from fcn.palette import save_atomic, save_label_png
from fcn.weights import find

#: Bytes for each pixel of a photo: itself, labels, overlay and what writes them.
PIXEL = 16

#: How many classes are named before the work begins.
MOST_NAMES = 25


def parse(arguments: Optional[list[str]] = None) -> argparse.Namespace:
    """The command line; paths come back absolute."""
    parser = argparse.ArgumentParser(
        description="Label images: writes NAME_label.png and NAME_overlay.jpg for each.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        type=bootstrap.user_path,
        help="a file, a folder (all images below it, mirrored in --out) or a quoted pattern",
    )
    parser.add_argument(
        "--net",
        default="voc-fcn4s-lite0",
        metavar="NAME",
        help="a folder that nets/make.py wrote, or an experiment of fcn/catalog: "
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
        "--classes",
        metavar="FILE",
        type=bootstrap.user_path,
        help="then --net is a folder with a published net, deploy.prototxt and a caffemodel, run "
        "at its prototxt's size; FILE names a class a line, and after a tab R G B if wanted",
    )
    parser.add_argument(
        "--mean",
        metavar="B,G,R",
        type=_mean,
        help="what a net of --classes wants to have subtracted (default: nothing)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default=bootstrap.START,
        type=bootstrap.user_path,
        help="where the pictures go (default: here)",
    )
    device_of = parser.add_mutually_exclusive_group()
    device_of.add_argument(
        "--gpu",
        type=natural,
        metavar="N",
        help="the GPU to use (default: GPU 0 if there is one)",
    )
    device_of.add_argument("--cpu", action="store_true", help="use no GPU")
    parser.add_argument(
        "--size",
        type=side,
        metavar="native|N",
        help="label the image at this length of its longer side, or as it is (default: the size of "
        "the net's training pictures, where the image is larger)",
    )
    parser.add_argument(
        "--memory",
        type=_gigabytes,
        metavar="GB",
        help="what the program may take in all (default: 80%% of what is free)",
    )
    parser.add_argument(
        "--opacity",
        type=_share,
        default=OPACITY,
        metavar="SHARE",
        help="of the colours over the photo, from 0 to 1 (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.mean and not options.classes:
        parser.error("--mean is for a net of --classes; others know theirs")
    try:
        options.jobs, left_out = jobs(options.images, options.out)
    except InputError as error:
        parser.error(str(error))
    if left_out:
        print(f"{left_out} earlier results (_label.png, _overlay.jpg) are left out")
    return options


def _gigabytes(given: str) -> int:
    try:
        value = float(given)
    except ValueError:
        value = 0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0; received '{given}'")
    return int(value * 1e9)


def _mean(given: str) -> tuple:
    try:
        values = tuple(float(value) for value in given.split(","))
    except ValueError:
        values = ()
    if len(values) != 3 or not all(-1e6 < value < 1e6 for value in values):
        raise argparse.ArgumentTypeError(f"expected three numbers, B,G,R; received '{given}'")
    return values


def _share(given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1; received '{given}'")
    return value


def _progress(done: int, total: int) -> None:
    if total > 1 and sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rtile {min(done + 1, total)} of {total}", end=end, file=sys.stderr, flush=True)


def infer(model: Model, heads: list, training, job: Job, options: argparse.Namespace) -> None:
    """Label one image, write its pictures and print what was found.

    ``heads``: (what its results' names begin with, names of its classes, palette) for each of the
    model's; ``training``: (height, width) of the training pictures.
    """
    pixels = read_photo(job.path)
    fixed = options.classes is not None
    size = training if fixed else size_for(pixels.shape[:2], training, options.size)
    small = scale_to(pixels, size)
    plan = model.plan(*size, options.gpu, options.memory, PIXEL * pixels.shape[0] * pixels.shape[1])
    where, (height, width) = bootstrap.shown(job.path), pixels.shape[:2]
    scaled = "" if small is pixels else f", labelled at {size[1]}x{size[0]}"
    if len(plan) > 1:
        print(
            f"{where}: {size[1]}x{size[0]} takes {text(model.memory(*size))}, more than may be "
            f"used: {len(plan)} tiles instead, with the same result but for rounding"
        )
    labels = model.labels(small, plan, _progress)
    print(f"{where}: {width}x{height}{scaled}")
    os.makedirs(os.path.dirname(job.target), exist_ok=True)
    for (prefix, names, palette), label in zip(heads, labels):
        label = enlarge_label(label, pixels.shape[:2])
        target = f"{job.target}_{prefix}" if prefix else job.target
        for number, share in class_shares(label):
            value = f"{share:6.1%}" if share >= LEAST else f"{f'<{LEAST:.1%}':>6}"
            print(f"  {value}  {names[number]}")
        save_label_png(target + "_label.png", label, palette)
        background = 0 if names[0] == "background" else -1
        picture = overlay(pixels, label, palette, background, options.opacity)
        picture = with_legend(picture, label, names, palette)
        save_atomic(picture, target + "_overlay.jpg", "JPEG", quality=92)
        print(f"  wrote {bootstrap.shown(target)}_label.png and _overlay.jpg", flush=True)


def _heads(dataset) -> list:
    """What `infer` takes of the heads; results of the first have no prefix."""
    module = names_of(dataset)
    return [
        ("" if i == 0 else output.label, getattr(module, output.names), module.PALETTE)
        for i, output in enumerate(dataset.outputs)
    ]


def _known(heads: list) -> str:
    """The classes of each head in a line; of many the first."""
    lines = []
    for prefix, names, _ in heads:
        shown = ", ".join(names[:MOST_NAMES])
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        lines.append(f"{prefix + ': ' if prefix else ''}{len(names)} classes: {shown}{more}")
    return "\n".join(lines)


def _folder(path: str) -> None:
    """Have a folder that can be written to, before the work and not behind it."""
    os.makedirs(path, exist_ok=True)
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "results cannot be written there", path)


class _Loaded(NamedTuple):
    """What labels the images; see `infer`."""

    name: str
    path: str
    device: str
    model: Any
    heads: list
    training: tuple


def _device(options: argparse.Namespace) -> str:
    if options.gpu is None and not options.cpu:
        options.gpu = device.first_gpu()
    return device.use(options.gpu)


def _experiment(options: argparse.Namespace) -> _Loaded:
    experiment = catalog.experiment(options.net)
    photo_input(experiment)  # before anybody is sent to fetch weights that would not do
    _folder(options.out)
    name = _device(options)
    path = find.find(
        find.trained_of(experiment), options.weights, f"{experiment.name} has no weights here"
    )
    model = Model.from_catalog(experiment.name, path)
    dataset = experiment.dataset
    return _Loaded(experiment.name, path, name, model, _heads(dataset), dataset.deploy_size)


def _published(options: argparse.Namespace) -> _Loaded:
    folder = bootstrap.user_path(options.net)
    deploy = one_file(folder, "*.prototxt", "deploy.prototxt")
    path = options.weights or one_file(folder, "*.caffemodel")
    names, palette = read_classes(options.classes)
    _folder(options.out)
    name = _device(options)
    model = PublishedModel(deploy, path, options.mean or (0, 0, 0), len(names))
    heads = [("", names, palette)]
    return _Loaded(os.path.basename(folder), path, name, model, heads, model.size)


def main(arguments: Optional[list[str]] = None) -> int:
    """The command line; the exit status: 0, or 1 if an image could not be labelled."""
    options = parse(arguments)
    bootstrap.enter()
    try:
        loaded = _published(options) if options.classes else _experiment(options)
    except LookupError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 1
    # The engine's errors are RuntimeErrors too; a damaged experiment.json is a ValueError.
    except (RuntimeError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{loaded.name} with {bootstrap.shown(os.path.abspath(loaded.path))} on {loaded.device}")
    print(_known(loaded.heads), flush=True)
    failed = 0
    for job in options.jobs:
        try:
            infer(loaded.model, loaded.heads, loaded.training, job, options)
        except BrokenPipeError:
            raise
        except (RuntimeError, OSError, MemoryError) as error:
            message, shown = f"{error}" or "out of memory", bootstrap.shown(job.path)
            if os.path.basename(job.path) not in message:
                message = f"{shown}: {message}"
            print(f"error: {message}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
