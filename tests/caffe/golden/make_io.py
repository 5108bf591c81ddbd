"""Records what functions of pycaffe's caffe.io return, and which errors they raise.

Run with the Python of BVLC Caffe, in this folder::

    python3 make_io.py             writes io.json

The cases are functions of (io); the tests put the engine's caffe.io through them.  Arrays are kept
as type, shape and values.
"""

import json

import numpy as np


def image(height, width, channels, dtype=np.float32):
    """A picture without symmetries, values 0 to 1, or 0 to 255 for integers."""
    y, x, c = np.ogrid[:height, :width, :channels]
    values = np.sin(0.7 * x + 1.3 * y * (c + 1)) * np.cos(0.4 * y - c) * 0.5 + 0.5
    return (values * (255 if dtype == np.uint8 else 1)).astype(dtype)


def resize_grows(io):
    return io.resize_image(image(5, 7, 3), (9, 8))


def resize_shrinks(io):
    return io.resize_image(image(19, 14, 3), (6, 5))


def resize_shrinks_one_axis(io):
    return io.resize_image(image(12, 4, 1), (5, 9))


def resize_same_size(io):
    return io.resize_image(image(4, 5, 3), (4, 5))


def resize_uint8(io):
    return io.resize_image(image(6, 6, 3, np.uint8), (4, 4))


def resize_range(io):
    return io.resize_image(image(6, 6, 1) * 300 - 100, (8, 4))


def resize_nearest(io):
    return io.resize_image(image(5, 6, 1), (7, 9), interp_order=0)


def resize_cubic(io):
    return io.resize_image(image(6, 5, 3), (9, 7), interp_order=3)


def resize_two_channels(io):
    return io.resize_image(image(5, 6, 2), (7, 4))


def resize_constant(io):
    return io.resize_image(np.full((4, 4, 3), 0.25), (3, 2))


def oversample(io):
    return io.oversample([image(6, 7, 1), image(6, 7, 1) + 1], (3, 4))


def oversample_whole(io):
    return io.oversample([image(3, 4, 2)], (3, 4))


def oversample_too_large(io):
    io.oversample([image(3, 3, 1)], (4, 4))


def blob_roundtrip(io):
    blob = io.array_to_blobproto(image(2, 3, 2), image(2, 3, 2) * 2)
    return [io.blobproto_to_array(blob), io.blobproto_to_array(blob, return_diff=True)]


def blob_legacy(io):
    blob = io.array_to_blobproto(np.arange(6.0).reshape(2, 3))
    blob.ClearField("shape")
    blob.num, blob.channels, blob.height, blob.width = 1, 1, 2, 3
    return io.blobproto_to_array(blob)


def blob_single_value(io):
    blob = io.array_to_blobproto(np.full(1, 3.0))
    blob.ClearField("shape")
    return io.blobproto_to_array(blob)


def blob_without_shape(io):
    blob = io.array_to_blobproto(np.arange(2.0))
    blob.ClearField("shape")
    io.blobproto_to_array(blob)


def blob_with_a_part_of_the_legacy_shape(io):
    blob = io.array_to_blobproto(np.arange(2.0))
    blob.num = 1
    io.blobproto_to_array(blob)


def blob_without_diff(io):
    io.blobproto_to_array(io.array_to_blobproto(np.arange(2.0)), return_diff=True)


def blob_text(io):
    return str(io.array_to_blobproto(np.ones((2, 1)), np.full(2, 3.0)).shape.dim)


def vector_roundtrip(io):
    string = io.arraylist_to_blobprotovector_str([np.arange(3.0), np.ones((1, 2))])
    return [string.hex()] + io.blobprotovector_str_to_arraylist(string)


def datum_bytes(io):
    datum = io.array_to_datum(image(2, 3, 2, np.uint8), 7)
    return [datum.SerializeToString().hex(), io.datum_to_array(datum)]


def datum_floats(io):
    datum = io.array_to_datum(image(2, 3, 2), label=0)
    return [datum.SerializeToString().hex(), io.datum_to_array(datum), datum.HasField("label")]


def datum_without_label(io):
    return io.array_to_datum(image(2, 3, 2)).HasField("label")


def datum_of_two_axes(io):
    io.array_to_datum(np.ones((2, 2)))


def transformer(io, shape=(1, 3, 4, 5)):
    return io.Transformer({"data": shape})


def full(io, t):
    t.set_transpose("data", (2, 0, 1))
    t.set_channel_swap("data", (2, 0, 1))
    t.set_raw_scale("data", 255)
    t.set_mean("data", np.array([104.0, 117.0, 123.0]))
    t.set_input_scale("data", 0.017)
    return t


def preprocess_nothing(io):
    return transformer(io).preprocess("data", image(4, 5, 3))


def preprocess_all(io):
    return full(io, transformer(io)).preprocess("data", image(4, 5, 3))


def preprocess_resizes(io):
    return full(io, transformer(io)).preprocess("data", image(9, 7, 3))


def preprocess_uint8(io):
    return full(io, transformer(io)).preprocess("data", image(4, 5, 3, np.uint8))


def preprocess_grey(io):
    t = transformer(io, (1, 1, 4, 5))
    t.set_transpose("data", (2, 0, 1))
    t.set_mean("data", np.array([0.5]))
    return t.preprocess("data", image(6, 5, 1))


def deprocess_all(io):
    t = full(io, transformer(io))
    return t.deprocess("data", image(4, 5, 3).transpose(2, 0, 1)[np.newaxis])


def deprocess_grey_without_transpose(io):
    t = transformer(io, (1, 1, 4, 5))
    t.set_raw_scale("data", 2)
    return t.deprocess("data", image(4, 5, 1).transpose(2, 0, 1))


def there_and_back(io):
    t = full(io, transformer(io))
    return t.deprocess("data", t.preprocess("data", image(4, 5, 3)))


def mean_image(io):
    t = transformer(io)
    t.set_mean("data", image(3, 4, 5))
    t.set_transpose("data", (2, 0, 1))
    return t.preprocess("data", image(4, 5, 3))


def mean_per_channel(io):
    t = transformer(io)
    t.set_mean("data", np.arange(3.0))
    return t.mean["data"]


def mean_image_of_another_size(io):
    t = transformer(io)
    t.set_mean("data", image(8, 9, 3).transpose(2, 0, 1) * 50 + 100)
    return t.mean["data"]


def mean_of_the_wrong_length(io):
    transformer(io).set_mean("data", np.ones(4))


def mean_of_four_axes(io):
    transformer(io).set_mean("data", np.ones((1, 3, 4, 5)))


def transpose_of_the_wrong_length(io):
    transformer(io).set_transpose("data", (0, 1))


def swap_of_the_wrong_length(io):
    transformer(io).set_channel_swap("data", (0, 1))


def unknown_input(io):
    transformer(io).preprocess("image", image(4, 5, 3))


def attributes(io):
    return sorted(vars(transformer(io)))


CASES = {
    name: function
    for name, function in list(globals().items())
    if callable(function) and getattr(function, "__code__", None) is not None
    if function.__code__.co_varnames[: function.__code__.co_argcount] == ("io",)
}


def run(name):
    """What the `caffe` that is installed makes of one case, as plain data."""
    from caffe import io

    try:
        return {"value": plain(CASES[name](io))}
    except Exception as error:
        return {"raises": [kind.__name__ for kind in type(error).__mro__]}


def plain(value):
    if isinstance(value, np.ndarray):
        values = [float(f"{v:.8g}") for v in value.ravel().tolist()]
        return {"dtype": str(value.dtype), "shape": list(value.shape), "values": values}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def main():
    import caffe

    if hasattr(caffe, "__engine__"):
        raise SystemExit("this is not BVLC Caffe")
    rows = ['"engine": ' + json.dumps("BVLC Caffe " + caffe.__version__)]
    rows += [json.dumps(name) + ": " + json.dumps(run(name)) for name in CASES]
    with open("io.json", "w") as f:
        f.write("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
