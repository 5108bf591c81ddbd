"""Pictures that lie, explode or hold something else: each is read or ends in one error, in time.

    python tests/fuzz/hostile_pictures.py [--step 1]

Truncated at every tenth of their length, bits flipped, sizes that ask for gigabytes, no pixels, 16
bits, CMYK, animated, with palettes and alpha, PostScript and other formats under an image's name,
compressed bombs, pipes. Read by the four readers there are: ``caffe.io.load_image``, the data
layers' (OpenCV's pixels), the FCN layers' and infer.py's. Memory is limited to 2 GiB beyond the
start and each picture to 20 seconds. Prints how many were tried; the exit status is 1 if one ended
otherwise.
"""

import argparse
import io
import itertools
import os
import random
import resource
import struct
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src"), str(HERE.parents[1])]
sys.path.append(str(HERE.parents[1] / "layers"))

from hostile_prototxts import Late, in_time  # noqa: E402

import caffe  # noqa: E402
from caffe.data import image_files  # noqa: E402
from fcn.inference.pictures import read_photo  # noqa: E402
from segdata.errors import DataError  # noqa: E402
from segdata.images import open_image  # noqa: E402

ROOM = 2 << 30


def saved(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def png(width, height, depth, colour, rows):
    """A PNG of these header fields and these compressed rows, whatever they are."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def good():
    """{name: file} of pictures that are as they should be."""
    pixels = np.random.RandomState(0).randint(0, 256, (40, 50, 4)).astype(np.uint8)
    colour, alpha = Image.fromarray(pixels[..., :3]), Image.fromarray(pixels)
    frames = [Image.fromarray(pixels[..., i]) for i in range(4)]
    wide = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    return {
        "rgb.jpg": saved(colour, "JPEG"),
        "cmyk.jpg": saved(colour.convert("CMYK"), "JPEG"),
        "rgb.png": saved(colour, "PNG"),
        "rgba.png": saved(alpha, "PNG"),
        "palette.png": saved(colour.quantize(16), "PNG"),
        "16 bits.png": saved(wide, "PNG"),
        "rgb.bmp": saved(colour, "BMP"),
        "rgb.ppm": saved(colour, "PPM"),
        "rgb.tif": saved(colour, "TIFF"),
        "animated.gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "animated.png": saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "rgb.webp": saved(colour, "WEBP"),
    }


def cases(seed=1):
    """(name, content)"""
    draw = random.Random(seed)
    for name, content in good().items():
        yield name, content
        for tenth in range(10):
            yield f"cut {tenth} {name}", content[: len(content) * tenth // 10]
        for number in range(20):
            damaged = bytearray(content)
            for _ in range(draw.randint(1, 8)):
                damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
            yield f"flipped {number} {name}", bytes(damaged)
    zeros = zlib.compress(bytes(1 << 26), 9)
    for width, height in ((0, 0), (0, 5), (1 << 16, 1 << 16), (2**31 - 1, 2**31 - 1), (1 << 30, 1)):
        for depth, colour in ((8, 2), (1, 0), (16, 6)):
            yield f"{width} {height} {depth}.png", png(width, height, depth, colour, zeros)
    yield "bomb.ppm", b"P6 100000 100000 255\n" + b"\0" * 1000
    yield (
        "bomb.bmp",
        saved(Image.new("RGB", (1, 1)), "BMP").replace(
            struct.pack("<2i", 1, 1), struct.pack("<2i", 1 << 30, 1 << 30), 1
        ),
    )
    yield "script.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n"
    yield "page.png", b"<html><script>x</script></html>"
    yield "drawing.jpg", b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "packed.jpg", b"\x1f\x8b\x08" + bytes(100)
    yield "nothing.jpg", b""
    yield "noise.jpg", random.Random(seed).randbytes(5000)


def read_label(path):
    with open_image(path) as image:
        return np.asarray(image)


READERS = {
    "load_image": caffe.io.load_image,
    "data layers": lambda path: image_files.read(path, True),
    "FCN layers": read_label,
    "infer.py": read_photo,
}


def outcome(reader, path):
    """'read', 'refused', or what went wrong."""
    try:
        with in_time():
            pixels = np.asarray(reader(path))
        return "read" if pixels.size and pixels.ndim >= 2 else f"pixels of {pixels.shape}"
    except (caffe.Error, DataError, OSError) as error:
        return "refused" if str(error) else f"{type(error).__name__} without a word"
    except Late:
        return "a hang"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def run(step=1):
    """({reader: {outcome: count}}, [what was wrong])"""
    counts, wrong = {name: {} for name in READERS}, []
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.RLIM_INFINITY))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in itertools.islice(cases(), 0, None, step):
            path = os.path.join(folder, name)
            Path(path).write_bytes(content)
            for who, reader in READERS.items():
                result = outcome(reader, path)
                counts[who][result] = counts[who].get(result, 0) + 1
                if result not in ("read", "refused"):
                    wrong.append(f"{who}, {name}: {result[:300]}")
    return counts, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--step", type=int, default=1, help="try every so many-th")
    counts, wrong = run(parser.parse_args().step)
    for who, found in counts.items():
        print(f"{who}: {sum(found.values())} pictures, {found}"[:300])
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
