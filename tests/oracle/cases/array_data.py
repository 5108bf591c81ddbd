"""Data layers that read arrays and windows: HDF5Data, HDF5Output, MemoryData, WindowData."""

from cases.make import case, feed, inputs, layer, net, text

#: After a data layer: parameters that show how many words of Caffe's stream it drew.
FILLED = layer(
    "InnerProduct",
    ["data"],
    ["product"],
    name="filled",
    inner_product_param={"num_output": 2, "bias_term": False, "weight_filler": {"type": "uniform"}},
)
PARAMS = {"op": "record", "what": "params"}


def rest_of_shape(choice, least=0):
    return [choice.int(1, 4) for _ in range(choice.int(least, 3))]


def hdf5_data(number, choice):
    """Batches that end within a file, across files and beyond all of them; every number type."""
    tops = ["data", "label", "more"][: choice.int(1, 3)]
    shapes = {top: rest_of_shape(choice) for top in tops}
    counts = [choice.int(1, 6) for _ in range(choice.int(1, 3))]
    files = []
    for i, count in enumerate(counts):
        arrays = {}
        for top in tops:
            kind = choice.pick(["float32", "float64", "int8", "uint8", "int64"])
            shape = [count] + shapes[top]
            if kind.startswith("float"):
                arrays[top] = dict(choice.normal(shape), dtype=kind)
            else:
                arrays[top] = dict(choice.ties(shape, 1, 100), dtype=kind)
        arrays["not a top"] = dict(choice.normal([2]), dtype="float32")
        files.append({"name": f"{i}.h5", "kind": "hdf5", "datasets": arrays})
    separator = choice.pick(["\n", " ", "\n\n"])
    listed = separator.join(f["name"] for f in files)
    files.append({"name": "list.txt", "kind": "text", "text": listed})
    shuffle = number % 4 == 3
    # A shuffled order cannot be compared, what is in whole rounds can.
    batch = sum(counts) if shuffle else choice.int(1, 2 * sum(counts))
    param = {"source": "list.txt", "batch_size": batch, "shuffle": shuffle}
    body = layer("HDF5Data", [], tops, name="rows", hdf5_data_param=param)
    if shuffle:
        steps = [{"op": "rows", "blobs": tops, "passes": 3}]
    else:
        steps = [{"op": "forward"}] * 4
    return case(
        "HDF5Data",
        number,
        net(body, force_backward=False),
        steps,
        phase=choice.pick(["TRAIN", "TEST"]),
        files=files,
    )


def hdf5_output(number, choice):
    """The file after one forward pass: blobs of up to four axes, as N×C×H×W."""
    items = choice.int(1, 5)
    arrays = {
        "data": choice.normal([items] + rest_of_shape(choice)),
        "label": choice.normal([items] + rest_of_shape(choice)),
    }
    if number % 5 == 4:  # another size than that of the prototxt
        shapes = {blob: [items + 1] + a["shape"][1:] for blob, a in arrays.items()}
    else:
        shapes = {blob: a["shape"] for blob, a in arrays.items()}
    body = layer(
        "HDF5Output", ["data", "label"], [], name="out", hdf5_output_param={"file_name": "out.h5"}
    )
    steps = feed(arrays) + [{"op": "forward"}, {"op": "hdf5", "file": "out.h5"}]
    return case(
        "HDF5Output",
        number,
        net(inputs(shapes), body, force_backward=False),
        steps,
        phase=choice.pick(["TRAIN", "TEST"]),
    )


def memory_data(number, choice):
    """Arrays walked through in place; some are edited, some replaced; no transform is applied."""
    batch, item = choice.int(1, 4), [choice.int(1, 4) for _ in range(3)]
    param = dict(zip(("batch_size", "channels", "height", "width"), [batch] + item))
    transform = None
    if number % 4 == 1:
        transform = {"scale": 3, "mirror": choice.yes()}
    elif number % 4 == 2:
        transform = {"crop_size": 1, "mean_value": 7}

    def arrays():
        items = batch * choice.int(1, 3)
        labels = [items] if choice.yes() else [items, 1, 1, 1]
        return {
            "op": "set_input_arrays",
            "data": choice.normal([items] + item),
            "labels": choice.labels(labels, 9) if items > 1 else choice.normal(labels),
        }

    first = arrays()
    steps = [PARAMS, first] + [{"op": "forward"}] * choice.int(2, 4)
    if number % 2:
        steps += [{"op": "edit_arrays", "data": choice.normal(first["data"]["shape"])}]
        steps += [{"op": "forward"}] * 2
    if number % 3 == 0:
        steps += [arrays(), {"op": "forward"}, {"op": "forward"}]
    body = layer(
        "MemoryData",
        [],
        ["data", "label"],
        name="memory",
        memory_data_param=param,
        transform_param=transform,
    )
    return case(
        "MemoryData",
        number,
        net(body, FILLED, force_backward=False),
        steps,
        phase=choice.pick(["TRAIN", "TEST"]),
        seed=number + 1,
        zero_ok={"data/label": "the only labels drawn may be 0"},
    )


def window_file(choice, images):
    """Three to six windows an image, around the thresholds that the cases use."""
    lines = []
    for i, (name, height, width) in enumerate(images):
        windows = []
        for j in range(choice.int(3, 6)):
            x1, y1 = choice.int(0, width - 8), choice.int(0, height - 8)
            x2, y2 = choice.int(x1 + 4, width - 1), choice.int(y1 + 4, height - 1)
            # One window at least is foreground and one background, whatever the thresholds.
            options = [0.5, 0.75, 0.9] if j % 2 else [0.45, 0.25, 0]
            overlap = choice.pick(options[-1:] if j < 2 else options)
            windows.append(f"{choice.int(1, 9)} {overlap} {x1} {y1} {x2} {y2}")
        lines += [f"# {i}", name, "3", str(height), str(width), str(len(windows))] + windows
    return "\n".join(lines) + "\n"


def window_data(number, choice):
    """Windows at random, warped or squared, with context, mirror, means; the stream is BVLC's."""
    images, files = [], []
    for i in range(choice.int(1, 3)):
        height, width = choice.int(16, 48), choice.int(16, 48)
        images.append((f"{i}.png", height, width))
        files.append(
            {
                "name": f"images/{i}.png",
                "kind": "png",
                "array": choice.ties([height, width, 3], 0, 256),
            }
        )
    files.append({"name": "windows.txt", "kind": "text", "text": window_file(choice, images)})
    crop = choice.int(7, 14)
    param = {
        "source": "windows.txt",
        "root_folder": "images/",
        "batch_size": choice.int(4, 7),
        "fg_threshold": choice.pick([None, 0.75]),
        "bg_threshold": choice.pick([None, 0.45]),
        "fg_fraction": choice.pick([None, 0.5, 1 / 3, 0.9]),
        "context_pad": choice.int(1, 3) if number % 2 else None,
        "crop_mode": choice.pick(["warp", "square", None]),
        "cache_images": number % 5 == 0 or None,
        "scale": choice.pick([None, 0.0078125, 2]),
    }
    transform = {"crop_size": crop, "mirror": choice.yes() or None}
    if number % 3 == 1:
        transform["mean_value"] = [choice.real(50, 150) for _ in range(choice.pick([1, 3]))]
    elif number % 3 == 2:
        size = crop + choice.int(0, 5)
        transform["mean_file"] = "mean.binaryproto"
        files.append(
            {
                "name": "mean.binaryproto",
                "kind": "blobproto",
                "legacy": True,
                "array": choice.uniform([1, 3, size, size], 50, 150),
            }
        )
    phase = choice.pick(["TRAIN", "TEST"])
    if number % 10 == 9:  # V1 kept its transformation in the layer's own message
        means = {key: transform.pop(key) for key in ("mean_value",) if key in transform}
        param.update(transform)
        body = text(
            {
                "layers": {
                    "name": "windows",
                    "type": "WINDOW_DATA",
                    "top": ["data", "label"],
                    "transform_param": means,
                    "window_data_param": param,
                }
            }
        )
        body = body.replace('"WINDOW_DATA"', "WINDOW_DATA")
        steps = []
    else:
        body = (
            layer(
                "WindowData",
                [],
                ["data", "label"],
                name="windows",
                transform_param=transform,
                window_data_param=param,
            )
            + FILLED
        )
        steps = [PARAMS]
    return case(
        "WindowData",
        number,
        net(body, force_backward=False),
        steps + [{"op": "forward"}] * 2,
        phase=phase,
        seed=number + 1,
        files=files,
    )


TYPES = {
    "HDF5Data": hdf5_data,
    "HDF5Output": hdf5_output,
    "MemoryData": memory_data,
    "WindowData": window_data,
}
