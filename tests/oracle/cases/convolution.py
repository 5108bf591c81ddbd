"""Convolution, Deconvolution, Crop."""

from cases.make import single


def spatial(choice, number):
    """Spatial sizes: mostly 2-D, some 1-D and 3-D; every fifth case has single pixels."""
    axes = 2 if number % 4 else choice.pick([1, 3])
    size = 9 if axes == 2 else 6
    return [1 if number % 5 == 4 else choice.int(3, size) for _ in range(axes)]


def per_axis(choice, values):
    """A field once for all axes, or repeated when the axes differ (or by choice)."""
    if len(set(values)) == 1 and choice.yes():
        return values[0]
    return values


def geometry(choice, size):
    """(kernel, stride, pad, dilation) per axis with at least one output each."""
    kernel, stride, pad, dilation = [], [], [], []
    for extent in size:
        # Over a single pixel, strides and holes could see nothing but padding.
        d = choice.pick([1, 1, 2]) if extent > 1 else 1
        k = choice.int(1, 4 if len(size) < 3 else 2)
        p = choice.int(0, 2)
        while extent + 2 * p < d * (k - 1) + 1:
            p += 1
        kernel.append(k)
        stride.append(choice.int(1, 3) if extent > 1 else 1)
        pad.append(p)
        dilation.append(d)
    return kernel, stride, pad, dilation


def fields(choice, number, size):
    kernel, stride, pad, dilation = geometry(choice, size)
    param = {"num_output": None, "bias_term": False if number % 3 == 2 else None}
    if len(size) == 2 and number % 7 == 3:  # the spelling with one field per direction
        for name, values in (("kernel", kernel), ("stride", stride), ("pad", pad)):
            param.update({name + "_h": values[0], name + "_w": values[1]})
    else:
        param["kernel_size"] = per_axis(choice, kernel)
        if stride != [1] * len(size) or choice.yes():
            param["stride"] = per_axis(choice, stride)
        param["pad"] = per_axis(choice, pad) if any(pad) else None
    param["dilation"] = per_axis(choice, dilation) if dilation != [1] * len(size) else None
    return param


def conv_like(kind, number, choice):
    size = spatial(choice, number)
    param = fields(choice, number, size)
    group = choice.pick([1, 1, 2, 3])
    channels = group * choice.int(1, 3 if group == 1 else 2)
    param["num_output"] = group * choice.int(1, 3 if group == 1 else 2)
    param["group"] = group if group > 1 else None
    lead = [choice.int(1, 3)]
    if number % 9 == 5:  # two batch axes before the channels
        lead.append(2)
        param["axis"] = choice.pick([2, -1 - len(size)])
    if number % 11 == 6:
        param["force_nd_im2col"] = True
    names = ["x", "x2"] if number % 6 == 1 else ["x"]
    tops = ["y", "y2"][: len(names)]
    second = None
    if number % 2:
        larger = [extent + choice.int(0, 3) for extent in size]
        second = {b: choice.normal([lead[0] + 1] + lead[1:] + [channels] + larger) for b in names}
    return single(
        kind,
        number,
        choice,
        {b: choice.normal(lead + [channels] + size) for b in names},
        tops,
        params=choice.normal(scale=0.5),
        second=second,
        repeat=number % 4 == 0,
        convolution_param=param,
    )


def convolution(number, choice):
    if number == 21:  # no spatial axis: an inner product per item
        return single(
            "Convolution",
            number,
            choice,
            {"x": choice.normal([3, 4])},
            ["y"],
            params=choice.normal(),
            convolution_param={"num_output": 5},
        )
    return conv_like("Convolution", number, choice)


def deconvolution(number, choice):
    """As for Convolution, but pads must leave an output: s(in−1) + d(k−1) + 1 − 2p ≥ 1."""
    found = conv_like("Deconvolution", number, choice)
    if number % 3 == 0:  # the upsampling of FCN: kernel 2s, stride s, crop to come
        stride = choice.int(2, 3)
        param = {
            "num_output": 3,
            "group": choice.pick([1, 3]),
            "bias_term": False,
            "kernel_size": 2 * stride,
            "stride": stride,
            "pad": choice.pick([None, 1]),
        }
        shape = [choice.int(1, 2), 3, choice.int(1, 4), choice.int(1, 4)]
        found = single(
            "Deconvolution",
            number,
            choice,
            {"x": choice.normal(shape)},
            ["y"],
            params=choice.normal(scale=0.5),
            repeat=number % 4 == 0,
            second={"x": choice.normal([2, 3, 3, 5])},
            convolution_param=param,
        )
    elif "pad" in found["net"]:
        found = without_pad(number, choice)
    return found


def without_pad(number, choice):
    size = spatial(choice, number)
    param = {
        "num_output": choice.int(1, 4),
        "kernel_size": choice.int(3, 4),
        "pad": 1,
        "stride": choice.int(1, 2),
        "dilation": choice.pick([None, 2]),
        "bias_term": choice.pick([None, False]),
    }
    if len(size) == 2 and choice.yes():
        param.update(
            kernel_size=None,
            pad=None,
            stride=None,
            dilation=None,
            kernel_h=3,
            kernel_w=4,
            pad_h=0,
            pad_w=1,
            stride_h=2,
            stride_w=1,
        )
    channels = choice.int(1, 4)
    shape = [choice.int(1, 2), channels] + size
    return single(
        "Deconvolution",
        number,
        choice,
        {"x": choice.normal(shape)},
        ["y"],
        params=choice.normal(scale=0.5),
        convolution_param=param,
    )


def crop(number, choice):
    axes = choice.pick([4, 4, 3, 5, 2])
    axis = choice.int(0, axes - 1)
    cropped = axes - axis
    reference = [choice.int(1, 4) for _ in range(axes)]
    per_axis_offsets = number % 3 == 1
    common = choice.int(0, 3)
    offsets = [choice.int(0, 3) if per_axis_offsets else common for _ in range(cropped)]
    offset = [None, offsets, common][number % 3]
    if offset is None:
        offsets = [0] * cropped
    big = [choice.int(1, 3) for _ in range(axis)]
    big += [r + o + choice.int(0, 2) for r, o in zip(reference[axis:], offsets)]
    param = {"axis": choice.pick([axis, axis - axes]), "offset": offset}
    if axis == 2 and choice.yes():
        del param["axis"]  # 2 is the default
    second = None
    if number % 2:
        second = {
            "x": choice.normal(big[:axis] + [b + 1 for b in big[axis:]]),
            "reference": choice.normal(reference[:axis] + [r + 1 for r in reference[axis:]]),
        }
    bottoms = {"x": choice.normal(big), "reference": choice.normal(reference)}
    return single(
        "Crop",
        number,
        choice,
        bottoms,
        ["y"],
        no_grad=["reference"],
        second=second,
        crop_param=param,
    )


TYPES = {"Convolution": convolution, "Deconvolution": deconvolution, "Crop": crop}
