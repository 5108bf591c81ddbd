"""Make docs/images/demo.png from what `make demo` left: photos above, what FCN-8s says below.

python docs/make_picture.py [--photos data/toy/JPEGImages] [--pictures demo/pictures]
"""

import argparse
import os
import sys

from PIL import Image

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)
import bootstrap  # noqa: E402

NAMES = [f"toy_val_{i:04d}" for i in range(4)]
GAP = 8  # pixels between columns


def _open(folder, name):
    return Image.open(os.path.join(folder, name), formats=("JPEG",))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument(
        "--photos",
        type=bootstrap.user_path,
        default=os.path.join(bootstrap.ROOT, "data/toy/JPEGImages"),
    )
    p.add_argument(
        "--pictures",
        type=bootstrap.user_path,
        default=os.path.join(bootstrap.ROOT, "demo/pictures"),
    )
    args = p.parse_args()
    photos = [_open(args.photos, n + ".jpg") for n in NAMES]
    overlays = [_open(args.pictures, n + "_overlay.jpg") for n in NAMES]
    width = sum(o.width for o in overlays) + GAP * (len(NAMES) - 1)
    height = photos[0].height + GAP + max(o.height for o in overlays)
    sheet = Image.new("RGB", (width, height), "white")
    x = 0
    for photo, overlay in zip(photos, overlays):
        sheet.paste(photo, (x, 0))
        sheet.paste(overlay, (x, photo.height + GAP))
        x += overlay.width + GAP
    path = os.path.join(bootstrap.ROOT, "docs/images/demo.png")
    sheet.save(path, optimize=True)
    print("wrote", bootstrap.shown(path))


if __name__ == "__main__":
    main()
