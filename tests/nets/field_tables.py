"""Trunks of the published nets as tables, and how a layer becomes a line of such a table."""

# One line a layer: name, type, bottoms, ">", tops, "|", lr_mult/decay_mult of each param entry
# ("-" for a field that is absent), "|", every other field, submessages in braces.
VGG_TRUNK = """
conv1_1 Convolution data > conv1_1 | 1/1 2/0 | num_output 64 pad 100 kernel_size 3 stride 1
relu1_1 ReLU conv1_1 > conv1_1 | |
conv1_2 Convolution conv1_1 > conv1_2 | 1/1 2/0 | num_output 64 pad 1 kernel_size 3 stride 1
relu1_2 ReLU conv1_2 > conv1_2 | |
pool1 Pooling conv1_2 > pool1 | | pool MAX kernel_size 2 stride 2
conv2_1 Convolution pool1 > conv2_1 | 1/1 2/0 | num_output 128 pad 1 kernel_size 3 stride 1
relu2_1 ReLU conv2_1 > conv2_1 | |
conv2_2 Convolution conv2_1 > conv2_2 | 1/1 2/0 | num_output 128 pad 1 kernel_size 3 stride 1
relu2_2 ReLU conv2_2 > conv2_2 | |
pool2 Pooling conv2_2 > pool2 | | pool MAX kernel_size 2 stride 2
conv3_1 Convolution pool2 > conv3_1 | 1/1 2/0 | num_output 256 pad 1 kernel_size 3 stride 1
relu3_1 ReLU conv3_1 > conv3_1 | |
conv3_2 Convolution conv3_1 > conv3_2 | 1/1 2/0 | num_output 256 pad 1 kernel_size 3 stride 1
relu3_2 ReLU conv3_2 > conv3_2 | |
conv3_3 Convolution conv3_2 > conv3_3 | 1/1 2/0 | num_output 256 pad 1 kernel_size 3 stride 1
relu3_3 ReLU conv3_3 > conv3_3 | |
pool3 Pooling conv3_3 > pool3 | | pool MAX kernel_size 2 stride 2
conv4_1 Convolution pool3 > conv4_1 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu4_1 ReLU conv4_1 > conv4_1 | |
conv4_2 Convolution conv4_1 > conv4_2 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu4_2 ReLU conv4_2 > conv4_2 | |
conv4_3 Convolution conv4_2 > conv4_3 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu4_3 ReLU conv4_3 > conv4_3 | |
pool4 Pooling conv4_3 > pool4 | | pool MAX kernel_size 2 stride 2
conv5_1 Convolution pool4 > conv5_1 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu5_1 ReLU conv5_1 > conv5_1 | |
conv5_2 Convolution conv5_1 > conv5_2 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu5_2 ReLU conv5_2 > conv5_2 | |
conv5_3 Convolution conv5_2 > conv5_3 | 1/1 2/0 | num_output 512 pad 1 kernel_size 3 stride 1
relu5_3 ReLU conv5_3 > conv5_3 | |
pool5 Pooling conv5_3 > pool5 | | pool MAX kernel_size 2 stride 2
fc6 Convolution pool5 > fc6 | 1/1 2/0 | num_output 4096 pad 0 kernel_size 7 stride 1
relu6 ReLU fc6 > fc6 | |
drop6 Dropout fc6 > fc6 | | dropout_ratio 0.5
fc7 Convolution fc6 > fc7 | 1/1 2/0 | num_output 4096 pad 0 kernel_size 1 stride 1
relu7 ReLU fc7 > fc7 | |
drop7 Dropout fc7 > fc7 | | dropout_ratio 0.5
"""

ALEXNET_TRUNK = """
conv1 Convolution data > conv1 | | num_output 96 pad 100 kernel_size 11 group 1 stride 4
relu1 ReLU conv1 > conv1 | |
pool1 Pooling conv1 > pool1 | | pool MAX kernel_size 3 stride 2
norm1 LRN pool1 > norm1 | | local_size 5 alpha 0.0001 beta 0.75
conv2 Convolution norm1 > conv2 | | num_output 256 pad 2 kernel_size 5 group 2 stride 1
relu2 ReLU conv2 > conv2 | |
pool2 Pooling conv2 > pool2 | | pool MAX kernel_size 3 stride 2
norm2 LRN pool2 > norm2 | | local_size 5 alpha 0.0001 beta 0.75
conv3 Convolution norm2 > conv3 | | num_output 384 pad 1 kernel_size 3 group 1 stride 1
relu3 ReLU conv3 > conv3 | |
conv4 Convolution conv3 > conv4 | | num_output 384 pad 1 kernel_size 3 group 2 stride 1
relu4 ReLU conv4 > conv4 | |
conv5 Convolution conv4 > conv5 | | num_output 256 pad 1 kernel_size 3 group 2 stride 1
relu5 ReLU conv5 > conv5 | |
pool5 Pooling conv5 > pool5 | | pool MAX kernel_size 3 stride 2
fc6 Convolution pool5 > fc6 | | num_output 4096 pad 0 kernel_size 6 group 1 stride 1
relu6 ReLU fc6 > fc6 | |
drop6 Dropout fc6 > fc6 | | dropout_ratio 0.5
fc7 Convolution fc6 > fc7 | | num_output 4096 pad 0 kernel_size 1 group 1 stride 1
relu7 ReLU fc7 > fc7 | |
drop7 Dropout fc7 > fc7 | | dropout_ratio 0.5
"""


def fields(message):
    """Every field that is set, "name value" in the order of emission."""
    words = []
    for field, value in message.ListFields():
        repeated = hasattr(value, "__len__") and not isinstance(value, str)
        for item in value if repeated else [value]:
            if hasattr(item, "ListFields"):
                words.append(f"{field.name} {{ {fields(item)} }}")
            elif field.enum_type is not None:
                words.append(f"{field.name} {field.enum_type.values_by_number[item].name}")
            elif isinstance(item, float):
                words.append(f"{field.name} {item:.7g}")
            else:
                words.append(f"{field.name} {int(item) if item in (0, 1) else item}")
    return " ".join(words)


def line(layer):
    """One layer as a line of the tables; what they have no place for is put at the end, to fail."""
    rates = [
        "/".join(f"{getattr(p, f):g}" if p.HasField(f) else "-" for f in ("lr_mult", "decay_mult"))
        for p in layer.param
    ]
    known = ("name", "type", "bottom", "top", "param")
    own = [(f, v) for f, v in layer.ListFields() if f.name not in known]
    expected = {
        "Python": "python_param",
        "Input": "input_param",
        "Convolution": "convolution_param",
        "Deconvolution": "convolution_param",
        "Pooling": "pooling_param",
        "Dropout": "dropout_param",
        "LRN": "lrn_param",
        "Crop": "crop_param",
        "Concat": "concat_param",
        "Eltwise": "eltwise_param",
        "Scale": "scale_param",
        "SoftmaxWithLoss": "loss_param",
        "ReLU": None,
    }[layer.type]
    rest = " ".join(fields(v) if f.name == expected else f"UNEXPECTED {f.name}" for f, v in own)
    return "{} {} {} > {} | {} | {}".format(
        layer.name,
        layer.type,
        " ".join(layer.bottom),
        " ".join(layer.top),
        " ".join(rates),
        rest,
    )


def lines(text):
    """The table's lines; what is indented goes on with the line before."""
    return [" ".join(one.split()) for one in text.replace("\n  ", " ").strip().splitlines()]
