"""What a net gains by looking at its pictures enlarged or reduced, mirrored too, or at several
sizes at once.

    python benchmarks/picture_scales.py camvid-fcn4s-lite0 --data CAMVID
        [--split val] [--every 4] [--scales 1,1.25,1.5] [--weights FILE]

The val net's data layer serves pictures and labels; a deploy net that enlarges nothing itself
(`enlarged` in fcn/catalog/rows.py) is given each picture at each scale (bicubic), as it is and
mirrored. Probabilities are brought back to the picture's size (bilinear) and averaged.
"""

import argparse
import os
import sys
import tempfile

os.environ.setdefault("GLOG_minloglevel", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np
import torch
import torch.nn.functional as F

import bootstrap
import caffe
import score
from fcn import run_files
from fcn.build import build
from fcn.console import exit_code
from fcn.prototxt import write_prototxt


def probabilities(net, picture, scale, mirrored):
    """Of a picture (1, C, H, W): (1, classes, H, W)."""
    size = picture.shape[2:]
    if scale != 1:
        scaled = [max(1, round(length * scale)) for length in size]
        picture = F.interpolate(picture, size=scaled, mode="bicubic", align_corners=False)
    if mirrored:
        picture = picture.flip(3)
    net.blobs["data"].reshape(*picture.shape)
    net.blobs["data"].data[...] = picture.numpy()
    net.forward()
    scores = torch.from_numpy(np.array(net.blobs["score"].data))
    if mirrored:
        scores = scores.flip(3)
    return F.interpolate(scores, size=size, mode="bilinear", align_corners=False).softmax(1)


def ways(net, picture, scales):
    """{what: label map (H, W)} of a picture."""
    found, every = {}, 0
    for scale in scales:
        plain, mirrored = (probabilities(net, picture, scale, m) for m in (False, True))
        every = every + plain + mirrored
        found[f"{scale:g}"] = plain
        found[f"{scale:g}, and mirrored"] = plain + mirrored
    if len(scales) > 1:
        found["all of these"] = every
    return {what: values[0].argmax(0).numpy() for what, values in found.items()}


def nets(experiment, data, split, weights, folder):
    """(the net whose data layer serves pictures and labels, the net that labels)."""
    changes = run_files.folders_of(experiment, data)
    source = caffe.Net(
        run_files.net(experiment, "val", folder, {**changes, "split": split}), caffe.TEST
    )
    plain = build(experiment._replace(enlarged=None), "deploy")
    path = write_prototxt(os.path.join(folder, "deploy.prototxt"), plain)
    return source, caffe.Net(path, weights, caffe.TEST)


def main(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.split("\n\n")[0])
    parser.add_argument("net", help="a net with weights, of one picture and one output")
    parser.add_argument("--data", required=True, metavar="DIR", type=bootstrap.user_path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="(default: 1)")
    parser.add_argument("--scales", default="1,1.25,1.5", help="(default: 1,1.25,1.5)")
    parser.add_argument("--weights", metavar="FILE", type=bootstrap.user_path)
    args = parser.parse_args(argv)
    bootstrap.enter()
    scales = [float(scale) for scale in args.scales.split(",")]
    experiment = run_files.experiment(args.net)
    weights = args.weights or f"nets/{args.net}/{args.net}.caffemodel"
    with tempfile.TemporaryDirectory() as folder:
        source, net = nets(experiment, [args.data], args.split, weights, folder)
    classes, counts = experiment.dataset.classes, {}
    images = run_files.images(source)
    for number in range(0, len(images), args.every):
        for layer in source.layers:
            if hasattr(layer, "seek"):
                layer.seek(number)
        source.forward(end=source._layer_names[0])
        picture = torch.from_numpy(np.array(source.blobs["data"].data))
        truth = np.array(source.blobs["label"].data[0, 0])
        for what, labels in ways(net, picture, scales).items():
            counts[what] = counts.get(what, 0) + score.fast_hist(truth, labels, classes)
    print(f"{args.net}, {args.split}, every {args.every} of {len(images)} pictures\n")
    print("| scale | mean IU, % | IU of each class, % |\n|---|---:|---|")
    for what, count in counts.items():
        found = score.metrics(count)
        cells = " ".join(f"{100 * iu:.1f}" for iu in found.iu)
        print(f"| {what} | {100 * found.mean_iu:.1f} | {cells} |")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
