"""Nets with their strides removed: the à trous algorithm, "filter rarefaction" (CVPR paper §3.2).

A layer of stride s that is slid by one pixel instead gives s² times as many values, of which the
next layer must see every s-th: its kernel is dilated by s, and so on through the net. Caffe's
convolutions know dilation; its pooling does not, so a dilated pooling is written as what it is: the
greatest (or the mean) of copies of the blob, shifted against each other by Crop layers.

Only nets without padding: then every value is what it is for any net that is shifted along the
image, borders included.
"""

from caffe import params as P

__all__ = ["RarefyError", "rarefied"]

#: Layers that act on each value by itself, so that strides do not matter.
POINTWISE = {"BatchNorm", "Dropout", "LRN", "ReLU", "Scale", "Softmax"}


class RarefyError(ValueError):
    """A layer that cannot be rarefied."""


def rarefied(net, size):
    """A deploy NetParameter with all strides removed, for one image of size×size.

    Its score at (y, x) is that of the first place of `net` for the image from (y, x) on. Layers
    with parameters keep their names and shapes. RarefyError names a layer that has no such form.
    """
    made = type(net)(name=net.name + "_rarefied")
    state = {}  # blob → (distance of what were neighbours, height = width)
    for layer in net.layer:
        distance, n = state[layer.bottom[0]] if layer.bottom else (1, size)
        if layer.type == "Input":
            new = _copied(made, layer)
            new.input_param.shape[0].dim[0] = 1
            new.input_param.shape[0].dim[2:] = [size, size]
        elif layer.type == "Convolution":
            distance, n = _convolution(_copied(made, layer), distance, n)
        elif layer.type == "Pooling":
            distance, n = _pooling(made, layer, distance, n)
        elif layer.type in POINTWISE:
            _copied(made, layer)
        else:
            raise RarefyError(f"layer '{layer.name}' of type {layer.type} cannot be rarefied")
        if n < 1:
            raise RarefyError(f"layer '{layer.name}': an image of {size}×{size} is too small")
        state[layer.top[0]] = distance, n
    return made


def _copied(made, layer):
    new = made.layer.add()
    new.CopyFrom(layer)
    return new


def _convolution(new, distance, n):
    p = new.convolution_param
    kernel, stride = p.kernel_size[0], p.stride[0] if p.stride else 1
    if any(p.pad) or any(d != 1 for d in p.dilation) or len(p.kernel_size) != 1:
        raise RarefyError(f"layer '{new.name}': expected one kernel size, no padding, no dilation")
    p.stride[:] = [1]
    if kernel > 1:
        p.dilation[:] = [distance]
    return distance * stride, n - distance * (kernel - 1)


def _pooling(made, layer, distance, n):
    p = layer.pooling_param
    if p.pad or p.global_pooling or p.pool not in (P.Pooling.MAX, P.Pooling.AVE):
        raise RarefyError(f"layer '{layer.name}': expected MAX or AVE pooling without padding")
    kernel, n = p.kernel_size, n - distance * (p.kernel_size - 1)
    if distance == 1:
        _copied(made, layer).pooling_param.stride = 1
        return p.stride, n
    like = made.layer.add(name=layer.name + "_size", type="DummyData", top=[layer.name + "_size"])
    like.dummy_data_param.shape.add().dim.extend([1, 1, n, n])
    parts = []
    for y in range(kernel):
        for x in range(kernel):
            parts.append(f"{layer.name}_{y}_{x}")
            crop = made.layer.add(
                name=parts[-1], type="Crop", top=[parts[-1]], bottom=[layer.bottom[0], like.name]
            )
            crop.crop_param.axis = 2
            crop.crop_param.offset.extend([distance * y, distance * x])
    joined = made.layer.add(name=layer.name, type="Eltwise", bottom=parts, top=list(layer.top))
    if p.pool == P.Pooling.MAX:
        joined.eltwise_param.operation = P.Eltwise.MAX
    else:
        joined.eltwise_param.coeff.extend([1.0 / len(parts)] * len(parts))
    return distance * p.stride, n
