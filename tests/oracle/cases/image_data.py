"""Data (LMDB and LevelDB) and ImageData: files made here, what the layers make of them."""

import case_images

from cases.make import case, dims, layer, net

JPEGS = case_images.read_jpegs()

EQUAL = "whole numbers in, one rounding a step: equal bit for bit"
DECODED = "JPEG: two grey levels between two versions of libjpeg"
RESIZED = "resizing: one grey level"


def pixels(choice, height, width, channels):
    """(H, W, C) of whole numbers for an image file."""
    return {
        "kind": "integers",
        "seed": choice.seed(),
        "lo": 0,
        "hi": 256,
        "shape": [height, width, channels],
    }


def planes(choice, channels, height, width, floats):
    """(C, H, W) for a datum of bytes or of numbers."""
    shape = [channels, height, width]
    if floats:
        return choice.normal(shape, scale=50)
    return {"kind": "integers", "seed": choice.seed(), "lo": 0, "hi": 256, "shape": shape}


def transform(choice, number, size):
    """(transform_param, files it reads, scale) for pictures of `size`, (C, H, W)."""
    channels, height, width = size
    param, files = {}, []
    if number % 2 or number % 5 == 0:
        param["crop_size"] = choice.int(3, min(height, width) - 1)
    if number % 3 == 1:
        param["mirror"] = True
    if number % 4 == 1:
        param["mean_value"] = [choice.real(20, 150) for _ in range(choice.pick([1, channels]))]
    elif number % 4 == 3:
        param["mean_file"] = "mean.binaryproto"
        files.append(
            {
                "name": "mean.binaryproto",
                "kind": "blobproto",
                "legacy": number % 8 == 3,
                "array": choice.uniform([1] + list(size), 50, 150),
            }
        )
    scale = choice.pick([1, 0.017, 0.00390625, 2]) if number % 6 else 1
    if scale != 1:
        param["scale"] = scale
    return param, files, scale


def run(kind, number, choice, fields, files, levels, reason, forwards, **more):
    """The case: the layer, then a random filler, which shows where Caffe's own stream stands."""
    tops = more.pop("tops", ["data", "label"])
    phase = more.pop("phase", "TEST" if number % 4 == 2 else "TRAIN")
    body = [
        layer(kind, [], tops, name="source", **fields),
        layer(
            "DummyData",
            [],
            ["noise"],
            name="noise",
            dummy_data_param={"shape": [dims([3])], "data_filler": [{"type": "uniform"}]},
        ),
    ]
    tolerance = {"data/data": {"absolute": levels, "reason": reason}}
    if "label" in tops:
        tolerance["data/label"] = {"absolute": 0, "reason": "whole numbers"}
    return case(
        kind,
        number,
        net(*body, force_backward=False),
        [{"op": "forward"}] * forwards,
        phase,
        seed=choice.seed(),
        files=files,
        tolerance=tolerance,
        **more,
    )


DATA_KINDS = ["raw", "raw", "floats", "png", "jpeg", "png"]


def data(number, choice):
    """Raw, float and encoded records; keys out of order; wrapping; every transformation."""
    backend = ["lmdb", "leveldb"][number % 2]
    kind = DATA_KINDS[number // 2 % 6]
    channels, height, width = choice.pick([1, 3]), choice.int(7, 12), choice.int(7, 12)
    force = {}
    if kind in ("png", "jpeg"):
        force = [{}, {"force_color": True}, {"force_gray": True}][number % 3]
    if kind == "jpeg":
        chosen = [JPEGS[4 * choice.int(0, 4) + n % 2] for n in range(5)]
        channels, height, width = 3, 16, 20
        force = force or {"force_color": True}  # some of the files are grey
    elif kind == "png":
        channels = choice.pick([1, 3, 4])
    sizes = [(height, width)] * choice.int(3, 6)
    batch = choice.int(1, 4)
    fits = number % 2 or number % 5 == 0  # cropped: pictures may differ in size
    records = []
    for n, (h, w) in enumerate(sizes):
        if fits and number % 4 != 3 and kind in ("raw", "png") and n:
            h, w = h + choice.int(0, 3), w + choice.int(0, 3)
        record = {"key": f"{choice.int(0, 99) * 10 + n:03d}_{n}", "label": n + 1}
        if kind == "png":
            record["image"] = {"format": "png", "array": pixels(choice, h, w, channels)}
        elif kind == "jpeg":
            record["image"] = chosen[n % len(chosen)]
        else:
            record["array"] = planes(choice, channels, h, w, kind == "floats")
            record["floats"] = kind == "floats"
        records.append(record)
    seen = {"force_color": 3, "force_gray": 1}.get(next(iter(force), None), channels)
    param, files, scale = transform(choice, number, (seen, height, width))
    files.append({"name": "db", "kind": backend, "records": records})
    settings = {"source": "db", "backend": backend.upper(), "batch_size": batch}
    settings.update([{}, {"prefetch": 1}, {"rand_skip": 5}, {"prefetch": 9}][number // 3 % 4])
    tops = ["data"] if number % 7 == 6 else ["data", "label"]
    param.update(force)
    levels, reason = (2 * scale, DECODED) if kind == "jpeg" else (0, EQUAL)
    return run(
        "Data",
        number,
        choice,
        {"data_param": settings, "transform_param": param or None},
        files,
        levels,
        reason,
        forwards=1 + 2 * len(sizes) // batch,
        tops=tops,
    )


IMAGE_KINDS = ["png", "ppm", "jpeg", "png16", "gamma", "png", "alpha", "jpeg"]


def image_file(kind, choice, height, width, n):
    """The description of one image file."""
    if kind == "jpeg":
        return JPEGS[choice.int(0, len(JPEGS) - 1)]
    channels = {"ppm": choice.pick([1, 3]), "alpha": choice.pick([2, 4])}.get(
        kind, choice.pick([1, 3])
    )
    image = {
        "format": kind if kind in ("ppm", "png16") else "png",
        "array": pixels(choice, height, width, channels),
    }
    if kind == "png16":
        image["array"]["hi"] = 1 << 16
    if kind == "gamma":
        image["gamma"] = choice.pick([45455, 100000, 30000])
    if kind == "ppm" and n % 2:
        image["maximum"], image["array"]["hi"] = 100, 101
    return image


def image_data(number, choice):
    """Files of every kind, colour and grey, resized or not; order, shuffling, skipping."""
    kind = IMAGE_KINDS[number % 8]
    count, batch = choice.int(3, 9), choice.int(1, 4)
    color = number % 3 != 2
    settings = {"source": "list.txt", "batch_size": batch, "is_color": color}
    resized = number % 2 == 0 or kind == "jpeg"
    height, width = choice.int(7, 15), choice.int(7, 15)
    if not resized and number % 5 == 0:
        settings["batch_size"] = batch = 1  # each picture has its own size
    if resized:
        settings["new_height"], settings["new_width"] = height, width
    files, lines = [], []
    folder = choice.pick(["", "images/", "images/set_"])
    for n in range(count):
        h, w = height, width
        if resized or batch == 1:
            h, w = choice.int(8, 30), choice.int(8, 30)
        if resized and n == 1:
            h, w = 2 * height, 2 * width  # exactly half: means of four
        name = "{} {}.img".format(n, "x" * n) if number % 4 == 1 else f"{n}.img"
        files.append(
            {"name": folder + name, "kind": "image", "image": image_file(kind, choice, h, w, n)}
        )
        lines.append("{} {}{}".format(name, n + 1, ["", "\r", "\t"][number % 3] if n == 2 else ""))
    files.append(
        {
            "name": "list.txt",
            "kind": "text",
            "text": "\n".join(lines) + ("\n" if number % 2 else ""),
        }
    )
    if folder:
        settings["root_folder"] = folder
    settings["shuffle"] = number % 5 in (1, 4)
    if number % 6 == 3:
        settings["rand_skip"] = choice.int(1, count)
    fixed = resized or batch > 1
    param, more, scale = transform(
        choice, number if fixed else 4, (3 if color else 1, height, width)
    )
    levels, reason = 0, EQUAL
    if kind == "jpeg":
        levels, reason = 2 * scale, DECODED
    elif resized:
        levels, reason = scale, RESIZED
    return run(
        "ImageData",
        number,
        choice,
        {"image_data_param": settings, "transform_param": param or None},
        files + more,
        levels,
        reason,
        forwards=1 + 3 * count // batch,
    )


TYPES = {"Data": data, "ImageData": image_data}
