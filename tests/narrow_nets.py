"""A net with a fraction of its channels: the same layers, names and connections, in little memory.

    narrow(net, 8)   an eighth of each width, but of the scores

Of what does not depend on widths (surgery by names and shapes, the order of layers, geometry), a
narrow copy tells as much as the net.
"""


def narrow(net, share):
    """Divide the widths of a NetParameter's layers by `share`, in place; returns it."""
    for layer in net.layer:
        if layer.type not in ("Convolution", "Deconvolution") or _keeps(layer.name):
            continue
        p = layer.convolution_param
        grouped = p.group == p.num_output
        # Two groups (AlexNet) want an even number.
        p.num_output = max(2, p.num_output // share // 2 * 2)
        if grouped:
            p.group = p.num_output
    return net


def _keeps(name):
    """Widths of classes, and of the image where it is enlarged."""
    return name.startswith(("score", "upscore")) or name.endswith("_data")
