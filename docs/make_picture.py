"""Make the pictures of the README from what `make demo` left.

docs/images/demo.png: generated photos above, what FCN-8s says below.
docs/images/photos.jpg: the same of photographs that scikit-image's package ships, by
voc-fcn4s-lite0; docs/photos.md names their authors and licences.
docs/images/photos-worst.jpg: of those that it fails on, where they are labelled too.

python docs/make_picture.py [--photos data/toy/JPEGImages] [--pictures demo/pictures]
    [--photographs DIR] [--labelled demo/photographs]
"""

import argparse
import glob
import os
import sys

from PIL import Image

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)
import bootstrap  # noqa: E402

TOYS = [f"toy_val_{i:04d}.jpg" for i in range(4)]
#: In the public domain, all of them.
PHOTOGRAPHS = ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"]
#: Two photographs, a drawing and a stained tissue; free to use, all of them.
WORST = ["camera.png", "horse.png", "cell.png", "ihc.png"]
SKIMAGE = ".venv/lib/python3*/site-packages/skimage/data"
GAP = 8  # pixels between columns
HEIGHT = 240  # of a photograph
JPEG = dict(quality=85)


def _open(folder, name, height=None):
    image = Image.open(os.path.join(folder, name), formats=("JPEG", "PNG")).convert("RGB")
    if height and image.height > height:
        image = image.resize((round(image.width * height / image.height), height), Image.LANCZOS)
    return image


def sheet(photos, overlays):
    """Photos in a row, below each its overlay with the legend, which may be higher."""
    widths = [max(photo.width, overlay.width) for photo, overlay in zip(photos, overlays)]
    top = max(photo.height for photo in photos)
    height = top + GAP + max(overlay.height for overlay in overlays)
    made = Image.new("RGB", (sum(widths) + GAP * (len(photos) - 1), height), "white")
    x = 0
    for photo, overlay, width in zip(photos, overlays, widths):
        made.paste(photo, (x, 0))
        made.paste(overlay, (x, top + GAP))
        x += width + GAP
    return made


def _overlays(folder, names):
    return [os.path.splitext(name)[0] + "_overlay.jpg" for name in names]


def toys(photos, pictures):
    above = [_open(photos, name) for name in TOYS]
    return sheet(above, [_open(pictures, name) for name in _overlays(pictures, TOYS)])


def photographs(folder, labelled, names):
    """At a common height; the legend keeps the letters' size beside the picture's."""
    above = [_open(folder, name, HEIGHT) for name in names]
    below = []
    for name, photo in zip(_overlays(labelled, names), above):
        overlay = _open(labelled, name)
        height = round(overlay.height * photo.width / overlay.width)
        below.append(overlay.resize((photo.width, height), Image.LANCZOS))
    return sheet(above, below)


def main():
    p = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    for name, place in (
        ("photos", "data/toy/JPEGImages"),
        ("pictures", "demo/pictures"),
        ("photographs", SKIMAGE),
        ("labelled", "demo/photographs"),
    ):
        p.add_argument(
            "--" + name, type=bootstrap.user_path, default=os.path.join(bootstrap.ROOT, place)
        )
    args = p.parse_args()
    found = glob.glob(args.photographs) or p.error(f"nothing is in {args.photographs}")
    for name, picture, options in (
        ("demo.png", lambda: toys(args.photos, args.pictures), dict(optimize=True)),
        ("photos.jpg", lambda: photographs(found[0], args.labelled, PHOTOGRAPHS), JPEG),
        ("photos-worst.jpg", lambda: photographs(found[0], args.labelled, WORST), JPEG),
    ):
        worst = [os.path.join(args.labelled, each) for each in _overlays(args.labelled, WORST)]
        if "worst" in name and not all(map(os.path.isfile, worst)):
            print(f"left out {name}: {', '.join(WORST)} are not labelled")
            continue
        path = os.path.join(bootstrap.ROOT, "docs/images", name)
        picture().save(path, **options)
        print("wrote", bootstrap.shown(path))


if __name__ == "__main__":
    main()
