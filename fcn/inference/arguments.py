"""The command line of infer.py."""

import argparse
import os
from typing import Optional

import bootstrap
from fcn import catalog
from fcn.inference.inputs import STDIN, InputError, jobs
from fcn.inference.pictures import OPACITY
from fcn.inference.scaling import side
from fcn.options import natural, positive

__all__ = ["add_device", "add_net", "parse"]

STATUS = """exit status:
  0    every image is labelled
  1    an image could not be labelled (the others are), or nothing could be: no weights, no
       GPU, no folder that can be written into
  2    the command line is wrong, or a result would replace one of the images
  130  stopped by Ctrl-C; every file that was named is whole
  141  nobody reads the output any more
"""


def parse(arguments: Optional[list[str]] = None) -> argparse.Namespace:
    """The command line; paths come back absolute, and the images as ``jobs``."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.mean and not options.classes:
        parser.error("--mean is for a net of --classes; others know theirs")
    for name in ("weights", "classes", "gpu"):
        if options.onnx and getattr(options, name) is not None:
            parser.error(f"--onnx holds its weights and runs on the CPU: leave out --{name}")
    if STDIN in options.images and len(options.images) > 1:
        parser.error("- is the only image where it is given: standard input holds one")
    sheet = [options.contact_sheet] if options.contact_sheet else []
    try:
        options.jobs, left_out = jobs(options.images, options.out, options.name, sheet)
    except InputError as error:
        parser.error(str(error))
    options.left_out = left_out
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Label images: writes NAME_label.png and NAME_overlay.jpg for each; of a "
        "video NAME_overlay.mp4 and a label map for each frame.",
        epilog=STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        type=lambda text: text if text == STDIN else bootstrap.user_path(text),
        help="a file, a folder (all images below it, mirrored in --out), a quoted pattern, a "
        "video, or - for an image on standard input",
    )
    add_net(parser)
    _results(parser)
    add_device(parser)
    _batches(parser)
    return parser


def add_net(parser: argparse.ArgumentParser) -> None:
    """Which net labels, for `fcn.inference.loading.load`."""
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
        "--onnx",
        metavar="FILE",
        type=bootstrap.user_path,
        help="run this file, which `caffe export` made of the net, by ONNX Runtime on the CPU",
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


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        metavar="DIR",
        default=bootstrap.START,
        type=bootstrap.user_path,
        help="where the pictures go (default: here)",
    )
    parser.add_argument(
        "--name",
        default="stdin",
        type=_name,
        help="what the results of standard input are called (default: %(default)s)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object a line for each image, and nothing else on standard output",
    )
    parser.add_argument(
        "--opacity",
        "--overlay-alpha",
        type=_share,
        default=OPACITY,
        metavar="SHARE",
        help="of the colours over the photo, from 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--palette",
        metavar="FILE|NAME",
        help="other colours: a file with R G B a line, in the order of the classes, or the name "
        "of a dataset",
    )
    parser.add_argument(
        "--side-by-side",
        action="store_true",
        help="write NAME_side.jpg too, the photo beside its overlay; of a video NAME_side.mp4 in "
        "place of the overlay alone",
    )
    parser.add_argument(
        "--contact-sheet",
        metavar="FILE",
        type=bootstrap.user_path,
        help="one picture of all overlays, small, with names and classes (.jpg or .png)",
    )
    parser.add_argument(
        "--probabilities",
        choices=("float16", "float32"),
        help="write NAME_probabilities.npz too: of every class at every pixel, at the size at "
        "which the image was labelled; not of videos",
    )
    parser.add_argument(
        "--video-labels",
        choices=("png", "npz", "none"),
        default="png",
        help="label maps of a video: a folder NAME_labels of PNGs, one file NAME_labels.npz, or "
        "none (default: %(default)s)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where it runs, at what size of images, in how much memory."""
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
        "the net's training pictures, where the image is larger, or of VOC's nets also smaller)",
    )
    parser.add_argument(
        "--mirror",
        action="store_true",
        help="label the mirror image too and take the mean of both: somewhat better labels in "
        "twice the time",
    )
    parser.add_argument(
        "--memory",
        type=_gigabytes,
        metavar="GB",
        help="what the program may take in all (default: 80%% of what is free)",
    )


def _batches(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help="how many images of one size pass through the net at once, memory permitting "
        "(default: 4 on the CPU, 8 on a GPU)",
    )


def _gigabytes(given: str) -> int:
    try:
        value = float(given)
    except ValueError:
        value = 0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number above 0; received '{given}'")
    return int(value * 1e9)


def _mean(given: str) -> tuple[float, ...]:
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


def _name(given: str) -> str:
    if not given or os.path.basename(given) != given or given in (".", ".."):
        raise argparse.ArgumentTypeError(
            f"expected a name without folders (--out names the folder); received '{given}'"
        )
    return given
