"""A toy dataset in PASCAL VOC's layout, drawn at random: it needs no download.

    python data/toy.py [--out DIR] [--train 200] [--val 40] [--size 160x120] [--seed 0]
    python data/toy.py --plain my-data            photos and masks in colours, as people have them

Discs, squares, triangles and stars, each with a texture and a family of colours of its own, on a
soft background.  Borders between regions are labelled 255, as VOC's are.  The same arguments give
the same pictures.
"""

import argparse
import math
import os
import random
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from data.preparing.report import ROOT
from fcn.atomic import write_text
from fcn.palette import save_atomic, save_label_png, with_colours

__all__ = ["CLASSES", "PALETTE", "draw", "generate", "generate_plain"]

CLASSES = ("background", "disc", "square", "triangle", "star")
PALETTE = with_colours([(0, 0, 0), (214, 66, 60), (60, 150, 80), (62, 96, 190), (232, 178, 56)])

IGNORE = 255
#: Each pixel of the image is the mean of so many squared: smooth edges.
OVERSAMPLING = 3
#: RGB around which a class's colour varies, by class.
COLOURS = {1: (205, 70, 60), 2: (70, 160, 85), 3: (65, 100, 195), 4: (230, 185, 70)}

Point = tuple[float, float]


def _outline(kind: int, x: float, y: float, radius: float, angle: float) -> list[Point]:
    """The corners of a shape around (x, y)."""

    def corner(turn: float, length: float) -> Point:
        direction = angle + 2 * math.pi * turn
        return x + length * math.cos(direction), y + length * math.sin(direction)

    if kind == 1:
        return [corner(i / 64, radius * 0.9) for i in range(64)]
    if kind == 2:
        return [corner(i / 4, radius * 1.1) for i in range(4)]
    if kind == 3:
        return [corner(i / 3, radius * 1.2) for i in range(3)]
    return [corner(i / 10, radius * (1.2, 0.55)[i % 2]) for i in range(10)]


def _texture(kind: int, rows: np.ndarray, columns: np.ndarray, angle: float) -> np.ndarray:
    """A class's texture, -1 to 1, at points in units of its period: checks, stripes or dots."""
    along = 2 * math.pi * (columns * math.cos(angle) + rows * math.sin(angle))
    across = 2 * math.pi * (rows * math.cos(angle) - columns * math.sin(angle))
    if kind == 1:
        return np.zeros(along.shape)
    if kind == 2:
        return np.sign(np.sin(along) * np.sin(across))
    if kind == 3:
        return np.sign(np.sin(along))
    return np.where(np.cos(along) + np.cos(across) > 1, 1.0, -0.3)


def _background(height: int, width: int, rng: random.Random) -> np.ndarray:
    """Soft clouds of two muted colours, float32 (height, width, 3)."""
    base = rng.randint(90, 190)
    ends = np.array([[base + rng.randint(-28, 28) for _ in range(3)] for _ in range(2)], np.float32)
    coarse = Image.new("L", (6, 5))
    coarse.putdata([rng.randint(0, 255) for _ in range(30)])
    blend = np.asarray(coarse.resize((width, height), Image.BICUBIC), np.float32)[:, :, None] / 255
    return ends[0] * blend + ends[1] * (1 - blend)


def _fill(outline: list[Point], width: int, height: int) -> np.ndarray:
    """The inside of an outline: bool (height, width)."""
    canvas = Image.new("L", (width, height))
    # Pillow's coordinates are those of pixel centres, ours begin at the corner.
    ImageDraw.Draw(canvas).polygon([(x - 0.5, y - 0.5) for x, y in outline], fill=1)
    return np.array(canvas, dtype=bool)


def _grown(mask: np.ndarray, by: int) -> np.ndarray:
    """The mask extended by ``by`` pixels to all sides."""
    image = Image.fromarray(mask.astype(np.uint8))
    return np.array(image.filter(ImageFilter.MaxFilter(2 * by + 1)), dtype=bool)


def _paint(
    pixels: np.ndarray,
    kind: int,
    outline: list[Point],
    x: float,
    y: float,
    radius: float,
    rng: random.Random,
) -> None:
    """Paint a shape around (x, y) on ``pixels``, float (H, W, 3), lit from the top left."""
    height, width = pixels.shape[:2]
    left, top = (max(0, int(min(axis)) - 1) for axis in zip(*outline))
    right, bottom = (int(max(axis)) + 2 for axis in zip(*outline))
    window = pixels[top:bottom, left:right]
    inside = _fill(outline, width, height)[top:bottom, left:right]
    rows, columns = np.mgrid[top : top + window.shape[0], left : left + window.shape[1]]

    colour = np.array([c + rng.randint(-22, 22) for c in COLOURS[kind]], float)
    period = min(height, width) * rng.uniform(0.08, 0.14)
    pattern = _texture(kind, rows / period, columns / period, rng.uniform(0, math.pi))
    distance = np.hypot(columns - x + radius / 3, rows - y + radius / 3) / radius
    shade = 1.1 - 0.35 * np.minimum(distance, 1.4)
    surface = (colour + 26 * pattern[:, :, None]) * shade[:, :, None]
    window[inside] = surface[inside]


def draw(width: int, height: int, rng: random.Random) -> tuple[Image.Image, np.ndarray]:
    """One picture, RGB of ``width`` × ``height``, and its label map, uint8 (height, width)."""
    fine = OVERSAMPLING
    pixels = _background(height * fine, width * fine, rng)
    label = np.zeros((height, width), np.uint8)
    border = np.zeros((height, width), bool)
    for _ in range(rng.randint(2, 4)):
        kind = rng.randint(1, len(CLASSES) - 1)
        radius = min(width, height) * rng.uniform(0.16, 0.34)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        outline = _outline(kind, x, y, radius, rng.uniform(0, 2 * math.pi))
        larger = [(fine * column, fine * row) for column, row in outline]
        _paint(pixels, kind, larger, fine * x, fine * y, fine * radius, rng)

        mask = _fill(outline, width, height)
        label[mask] = kind
        # What lies under the shape is gone, its borders too.
        border &= ~mask
        border |= _grown(mask, 2) & _grown(~mask, 1)
    label[border] = IGNORE

    pixels = pixels.reshape(height, fine, width, fine, 3).mean(axis=(1, 3))
    noise = np.random.RandomState(rng.getrandbits(32)).randn(height, width, 1) * 4
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)), label


def generate(out: str, train: int, val: int, size: tuple[int, int], seed: int) -> None:
    """Write the dataset to ``out``: ``size`` is (width, height) in pixels.

    Refuses a directory whose split lists are somebody else's.  The lists come last, so that an
    interrupted run leaves no list with missing pictures.
    """
    lists = os.path.join(out, "ImageSets", "Segmentation")
    for split in ("train", "val"):
        path = os.path.join(lists, split + ".txt")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as lines:
                if any(line.strip() and not line.startswith("toy_") for line in lines):
                    raise FileExistsError(
                        f"'{path}' lists pictures that are not ours; choose another --out"
                    )
            os.remove(path)
    folders = [os.path.join(out, name) for name in ("JPEGImages", "SegmentationClass")]
    for folder in folders + [lists]:
        os.makedirs(folder, exist_ok=True)
    for split, count in (("train", train), ("val", val)):
        names = [f"toy_{split}_{i:04d}" for i in range(count)]
        for name in names:
            # A seed for each picture: more pictures do not change those there are.
            image, label = draw(size[0], size[1], random.Random(f"{seed}:{name}"))
            save_atomic(image, os.path.join(folders[0], name + ".jpg"), "JPEG", quality=92)
            save_label_png(os.path.join(folders[1], name + ".png"), label, PALETTE)
        path = os.path.join(lists, split + ".txt")
        write_text(path, "".join(name + "\n" for name in names))


def generate_plain(out: str, count: int, size: tuple[int, int], seed: int) -> None:
    """Write ``count`` pictures as people have them: photos/, masks/ in colours, and palette.txt."""
    folders = [os.path.join(out, name) for name in ("photos", "masks")]
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
    for name in (f"picture_{i:04d}" for i in range(count)):
        image, label = draw(size[0], size[1], random.Random(f"{seed}:{name}"))
        save_atomic(image, os.path.join(folders[0], name + ".jpg"), "JPEG", quality=92)
        mask = Image.fromarray(PALETTE[label])
        save_atomic(mask, os.path.join(folders[1], name + ".png"), "PNG")
    lines = ["{} {} {} {}\n".format(*PALETTE[i], name) for i, name in enumerate(CLASSES)]
    lines.append("{} {} {} void\n".format(*PALETTE[IGNORE]))
    write_text(os.path.join(out, "palette.txt"), "".join(lines))


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(v) for v in text.lower().split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < 16:
        raise argparse.ArgumentTypeError(
            f"expected WIDTHxHEIGHT of at least 16x16; received '{text}'"
        )
    return width, height


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1; received '{text}'")
    return int(text)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Draw a toy dataset in PASCAL VOC's layout."
    )
    parser.add_argument(
        "--out",
        default=os.path.join(ROOT, "data", "toy"),
        metavar="DIR",
        help="(default: data/toy in the repository, where the nets look)",
    )
    parser.add_argument(
        "--train", type=_count, default=200, metavar="N", help="pictures to train on (default: 200)"
    )
    parser.add_argument(
        "--val", type=_count, default=40, metavar="N", help="pictures to score (default: 40)"
    )
    parser.add_argument(
        "--size",
        type=_size,
        default=(160, 120),
        metavar="WxH",
        help="width and height in pixels (default: 160x120)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of everything random (default: 0)"
    )
    parser.add_argument(
        "--plain",
        metavar="DIR",
        help="write photos, masks in colours and a palette file to DIR instead, so many as --train "
        "and --val say together: something to try train.py on",
    )
    options = parser.parse_args()
    try:
        if options.plain:
            count = options.train + options.val
            generate_plain(options.plain, count, options.size, options.seed)
            print(f"{options.plain}: {count} photos and masks, and palette.txt")
            return
        generate(options.out, options.train, options.val, options.size, options.seed)
    except OSError as error:
        sys.exit(f"error: {error}")
    print(
        "{}: {} pictures for training, {} for validation, {}x{}, classes {}".format(
            options.out,
            options.train,
            options.val,
            options.size[0],
            options.size[1],
            ", ".join(CLASSES),
        )
    )


if __name__ == "__main__":
    main()
