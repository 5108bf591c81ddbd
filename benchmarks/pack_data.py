"""Copies VOC, CamVid and a trunk's weights into one small folder, for a machine that little may be
sent to:  python benchmarks/pack_data.py --voc DIR --camvid DIR --weights FILE --out DIR

Photographs are stored as WebP under the names that the data layers look for; they are opened by
their content. Of val only an even sample is packed: scores of whole splits are for the originals.
Of the weights, what an FCN does not read is left out.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import bootstrap
from caffe.proto import caffe_pb2

#: Layers of a classifier behind its features.
UNREAD = ("fc",)


def photograph(source, target, quality, most=500):
    with Image.open(source) as image:
        image = image.convert("RGB")
        if max(image.size) > most:
            raise ValueError(f"'{source}' is {image.size}, more than {most} pixels; its mask too?")
        image.save(target, "WEBP", quality=quality, method=6)


def mask(source, target):
    with Image.open(source) as image:
        image.save(target, "PNG", optimize=True)


def sample(names, count):
    """`count` of the names, evenly spread."""
    return [names[i * len(names) // count] for i in range(min(count, len(names)))]


def voc(root, out, quality, val):
    """Yields the work: (function, source, target, arguments)."""
    lists = os.path.join("ImageSets", "Segmentation")
    for split, count in (("train", None), ("val", val)):
        with open(os.path.join(root, lists, split + ".txt"), encoding="ascii") as f:
            names = f.read().split()
        names = names if count is None else sample(names, count)
        _write(os.path.join(out, lists, split + ".txt"), names)
        for name in names:
            photo, label = f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png"
            yield photograph, os.path.join(root, photo), os.path.join(out, photo), (quality,)
            yield mask, os.path.join(root, label), os.path.join(out, label), ()


def camvid(root, out, quality, val):
    for split, count in (("train", None), ("val", val)):
        names = sorted(os.path.splitext(name)[0] for name in os.listdir(os.path.join(root, split)))
        names = names if count is None else sample(names, count)
        _write(os.path.join(out, split + ".txt"), names)
        endings = {os.path.splitext(n)[0]: n for n in os.listdir(os.path.join(root, split))}
        for name in names:
            photo = os.path.join(split, endings[name])
            label = os.path.join(split + "annot", name + ".png")
            target = os.path.join(out, split, name + ".jpg")
            yield photograph, os.path.join(root, photo), target, (quality,)
            yield mask, os.path.join(root, label), os.path.join(out, label), ()


def _write(path, names):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write("".join(name + "\n" for name in names))


def weights(source, target):
    net = caffe_pb2.NetParameter()
    with open(source, "rb") as f:
        net.ParseFromString(f.read())
    kept = [layer for layer in net.layer if layer.name not in UNREAD]
    del net.layer[:]
    net.layer.extend(kept)
    with open(target, "wb") as f:
        f.write(net.SerializeToString())


def _do(work):
    function, source, target, arguments = work
    os.makedirs(os.path.dirname(target), exist_ok=True)
    function(source, target, *arguments)
    return os.path.getsize(target)


def main(argv=None):
    p = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    for name in ("voc", "camvid", "weights", "out"):
        p.add_argument("--" + name, required=True, type=bootstrap.user_path)
    p.add_argument("--voc-quality", type=int, default=80)
    p.add_argument("--camvid-quality", type=int, default=86)
    p.add_argument("--voc-val", type=int, default=60, help="images of VOC's val")
    p.add_argument("--camvid-val", type=int, default=25, help="images of CamVid's val")
    args = p.parse_args(argv)
    total = 0
    for name, work in (
        ("voc", voc(args.voc, os.path.join(args.out, "voc"), args.voc_quality, args.voc_val)),
        (
            "camvid",
            camvid(
                args.camvid, os.path.join(args.out, "camvid"), args.camvid_quality, args.camvid_val
            ),
        ),
    ):
        with ProcessPoolExecutor() as pool:
            size = sum(pool.map(_do, work, chunksize=16))
        print(f"{name}: {size / 2**20:.1f} MiB")
        total += size
    target = os.path.join(args.out, os.path.basename(args.weights))
    weights(args.weights, target)
    total += os.path.getsize(target)
    print(f"with {os.path.basename(target)}: {total / 2**20:.1f} MiB in all")


if __name__ == "__main__":
    main()
