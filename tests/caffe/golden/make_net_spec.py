"""Records nets that pycaffe's NetSpec and coord_map make, and the errors they raise.

Run with the Python of BVLC Caffe, in this folder::

    python3 make_net_spec.py       writes net_spec.json

The cases are functions of (L, P, NetSpec, to_proto); the tests put the engine's through them.  A
result is the net's text, a value, or the types of the exception, the narrowest first.
"""

import json


def data(L, **kwargs):
    return L.Input(shape=dict(dim=[1, 3, 32, 32]), **kwargs)


def lenet(L, P, NetSpec, to_proto):
    n = NetSpec()
    n.data, n.label = L.Data(
        batch_size=64,
        backend=P.Data.LMDB,
        source="s",
        transform_param=dict(scale=1.0 / 255),
        ntop=2,
    )
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.ip1 = L.InnerProduct(n.pool1, num_output=500, weight_filler=dict(type="xavier"))
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.relu1, num_output=10, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.ip2, n.label)
    return n.to_proto()


def fcn_parts(L, P, NetSpec, to_proto):
    n = NetSpec()
    n.data, n.label = L.Python(
        module="voc_layers", layer="VOC", ntop=2, param_str=str(dict(seed=1337))
    )
    n.conv = L.Convolution(
        n.data,
        kernel_size=3,
        stride=1,
        num_output=4,
        pad=100,
        param=[dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)],
    )
    n.relu = L.ReLU(n.conv, in_place=True)
    n.drop = L.Dropout(n.relu, dropout_ratio=0.5, in_place=True)
    n.score = L.Convolution(n.drop, num_output=21, kernel_size=1, pad=0)
    n.upscore = L.Deconvolution(
        n.score,
        convolution_param=dict(num_output=21, kernel_size=64, stride=32, bias_term=False),
        param=[dict(lr_mult=0)],
    )
    n.fuse = L.Eltwise(n.upscore, n.score, operation=P.Eltwise.SUM)
    n.loss = L.SoftmaxWithLoss(
        n.fuse, n.label, loss_param=dict(normalize=False, ignore_label=255), loss_weight=3
    )
    return n.to_proto()


def names_that_are_no_identifiers(L, P, NetSpec, to_proto):
    n = NetSpec()
    n["data"] = data(L)
    n["a/b"] = L.ReLU(n["data"])
    return n.to_proto()


def anonymous_layers_between(L, P, NetSpec, to_proto):
    n = NetSpec()
    n.data = data(L)
    hidden = L.ReLU(L.ReLU(n.data), in_place=True)
    n.out = L.TanH(hidden)
    L.Silence(n.out, ntop=0)  # not assigned: not in the net
    n.silence = L.Silence(n.out, ntop=0)
    return n.to_proto()


def used_before_it_is_named(L, P, NetSpec, to_proto):
    n = NetSpec()
    x = data(L)
    n.y = L.ReLU(x)
    n.x = x
    return n.to_proto()


def one_top_two_names(L, P, NetSpec, to_proto):
    n = NetSpec()
    n.a = data(L)
    n.b = n.a
    return n.to_proto()


def in_place_with_a_name(L, P, NetSpec, to_proto):
    return to_proto(L.ReLU(data(L, name="d"), in_place=True, name="r"))


def in_place_of_several(L, P, NetSpec, to_proto):
    tops = L.Slice(data(L), ntop=2)
    return L.ReLU(*tops, ntop=2, in_place=True)[1].to_proto()


def several_ends(L, P, NetSpec, to_proto):
    x = data(L)
    return to_proto(L.ReLU(x), L.TanH(x), L.ReLU(x))


def rules_and_phases(L, P, NetSpec, to_proto):
    return data(
        L, include=[dict(phase=0, stage=["a", "b"]), dict(min_level=1)], exclude=dict(phase=1)
    ).to_proto()


def fields_of_the_layer(L, P, NetSpec, to_proto):
    return L.Foo(
        data(L), phase=1, top="x", bottom=["y"], type="Bar", propagate_down=True
    ).to_proto()


def own_message_and_its_name(L, P, NetSpec, to_proto):
    return L.Convolution(data(L), convolution_param=dict(num_output=3), pad=[1, 2]).to_proto()


def lists_of_messages(L, P, NetSpec, to_proto):
    return L.DummyData(
        shape=[dict(dim=[1, 2]), dict(dim=3)],
        data_filler=[dict(type="constant", value=2), dict(type="gaussian", std=0.5)],
        ntop=2,
    )[0].to_proto()


def booleans_as_numbers(L, P, NetSpec, to_proto):
    return L.Power(data(L), scale=True).to_proto()


def empty_dict(L, P, NetSpec, to_proto):
    return L.ReLU(data(L), relu_param=dict()).to_proto()


def numpy_numbers(L, P, NetSpec, to_proto):
    import numpy as np

    return L.Pooling(
        L.Power(data(L), scale=np.float32(0.5)), kernel_size=np.int64(2), pad=np.int32(1)
    ).to_proto()


def enum_values(L, P, NetSpec, to_proto):
    return [P.Pooling.AVE, P.Eltwise.MAX, P.Data.LMDB, P.Loss.NONE, P.Reduction.MEAN]


def deleted_top(L, P, NetSpec, to_proto):
    n = NetSpec()
    n["a"] = data(L)
    n["b"] = L.ReLU(n.a)
    del n["b"]
    return n.to_proto()


def kinds_of_results(L, P, NetSpec, to_proto):
    tops = L.Slice(data(L), ntop=3)
    silence = L.Silence(tops[0], ntop=0)
    top = tops[1]
    return [
        type(tops).__name__,
        type(top).__name__,
        type(silence).__name__,
        top.n,
        top.fn.type_name,
        top.fn.ntop,
        top.fn.in_place,
        sorted(top.fn.params),
        silence.inputs == (tops[0],),
        callable(L.Data),
    ]


def parameter_names(L, P, NetSpec, to_proto):
    from caffe.net_spec import param_name_dict
    from caffe.proto import caffe_pb2

    # The engine has the messages of its extensions besides.
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields
    extensions = {f.message_type.name[: -len("Parameter")] for f in fields if f.number > 20000}
    return {k: v for k, v in param_name_dict().items() if k not in extensions}


# Errors


def input_is_no_top(L, P, NetSpec, to_proto):
    L.Convolution(3)


def input_is_a_tuple_of_tops(L, P, NetSpec, to_proto):
    L.ReLU(L.Slice(data(L), ntop=2))


def unknown_field(L, P, NetSpec, to_proto):
    L.Convolution(data(L), kernel_sise=3).to_proto()


def unknown_field_of_a_type_without_message(L, P, NetSpec, to_proto):
    L.Deconvolution(data(L), num_output=3).to_proto()


def unknown_field_in_a_dict(L, P, NetSpec, to_proto):
    L.Convolution(data(L), weight_filler=dict(typ="xavier")).to_proto()


def string_for_a_number(L, P, NetSpec, to_proto):
    L.Input(shape=dict(dim=["a"])).to_proto()


def string_for_an_enum(L, P, NetSpec, to_proto):
    L.Pooling(data(L), pool="AVE").to_proto()


def fraction_for_an_integer(L, P, NetSpec, to_proto):
    L.Pooling(data(L), kernel_size=2.5).to_proto()


def list_for_a_single_value(L, P, NetSpec, to_proto):
    L.Pooling(data(L), kernel_size=[2, 3]).to_proto()


def tuple_for_a_list(L, P, NetSpec, to_proto):
    L.Convolution(data(L), kernel_size=(2, 3)).to_proto()


def empty_list(L, P, NetSpec, to_proto):
    L.Input(shape=dict(dim=[])).to_proto()


def none(L, P, NetSpec, to_proto):
    L.Input(include=None).to_proto()


def unknown_enum_number(L, P, NetSpec, to_proto):
    L.Pooling(data(L), pool=9).to_proto()


def unknown_enum_value(L, P, NetSpec, to_proto):
    return P.Pooling.MIN


def unknown_enum_message(L, P, NetSpec, to_proto):
    return P.Foo.MIN


def missing_top(L, P, NetSpec, to_proto):
    return NetSpec().conv1


# Coordinates


def chain(L, *steps):
    """Applies (layer type, parameters) one after another; returns all tops, the input first."""
    tops = [data(L)]
    for kind, params in steps:
        tops.append(getattr(L, kind)(tops[-1], **params))
    return tops


def offset_of(top):
    param = top.to_proto().layer[-1].crop_param
    return [param.axis, list(param.offset)]


def crop_fcn32s(L, P, NetSpec, to_proto):
    from caffe.coord_map import crop

    steps = [("Convolution", dict(kernel_size=3, pad=100, num_output=1)), ("ReLU", {})]
    steps += 5 * [("Pooling", dict(kernel_size=2, stride=2))]
    steps += [
        ("Convolution", dict(kernel_size=7, num_output=1)),
        ("Deconvolution", dict(convolution_param=dict(kernel_size=64, stride=32, num_output=1))),
    ]
    tops = chain(L, *steps)
    return offset_of(crop(tops[-1], tops[0]))


def crop_to_a_skip(L, P, NetSpec, to_proto):
    from caffe.coord_map import crop

    pool = ("Pooling", dict(kernel_size=2, stride=2))
    tops = chain(
        L,
        ("Convolution", dict(kernel_size=3, pad=100, num_output=1)),
        pool,
        pool,
        ("Convolution", dict(kernel_size=3, dilation=2, pad=4, num_output=1)),
        ("Deconvolution", dict(convolution_param=dict(kernel_size=4, stride=2))),
    )
    first = crop(tops[-1], tops[2])
    fused = L.Eltwise(first, tops[2])
    up = L.Deconvolution(fused, convolution_param=dict(kernel_size=4, stride=2))
    return [offset_of(first), offset_of(crop(up, tops[0]))]


def crop_by_axis(L, P, NetSpec, to_proto):
    from caffe.coord_map import crop

    tops = chain(L, ("Convolution", dict(kernel_size=[3, 5], pad=[3, 7], axis=1, num_output=1)))
    return offset_of(crop(tops[1], tops[0]))


def maps(L, P, NetSpec, to_proto):
    import numpy as np

    from caffe.coord_map import compose, coord_map, coord_map_from_to, inverse

    tops = chain(
        L,
        ("Convolution", dict(kernel_size=11, stride=4, pad=2, num_output=1)),
        ("LRN", {}),
        ("Pooling", dict(kernel_size=3, stride=2)),
        ("Convolution", dict(convolution_param=dict(kernel_size=5, pad=2, dilation=3, axis=1))),
        ("Deconvolution", dict(convolution_param=dict(kernel_size=4, stride=2, pad=1))),
        ("Im2col", dict(convolution_param=dict(kernel_size=3, stride=3))),
    )
    tops.append(L.Crop(tops[-1], tops[0], axis=2, offset=[3, 4]))
    found = [coord_map(top.fn) for top in tops[1:]]
    found.append(coord_map_from_to(tops[-1], tops[0]))
    found.append(coord_map_from_to(tops[2], tops[5]))
    found.append(compose(found[0], found[3]))
    found.append(inverse(found[0]))
    return [[a, np.ravel(b).tolist(), np.ravel(c).tolist()] for a, b, c in found]


def pass_through(L, P, NetSpec, to_proto):
    from caffe.coord_map import PASS_THROUGH_LAYERS

    return sorted(PASS_THROUGH_LAYERS)


def crop_of_another_scale(L, P, NetSpec, to_proto):
    from caffe.coord_map import crop

    tops = chain(L, ("Pooling", dict(kernel_size=2, stride=2)))
    crop(tops[1], tops[0])


def crop_with_negative_offset(L, P, NetSpec, to_proto):
    from caffe.coord_map import crop

    tops = chain(L, ("Convolution", dict(kernel_size=3, num_output=1)))
    crop(tops[1], tops[0])


def crop_with_half_an_offset(L, P, NetSpec, to_proto):
    from caffe.coord_map import crop

    tops = chain(L, ("Convolution", dict(kernel_size=2, pad=1, num_output=1)))
    crop(tops[1], tops[0])


def crop_with_legacy_fields(L, P, NetSpec, to_proto):
    from caffe.coord_map import crop

    tops = chain(L, ("Pooling", dict(kernel_h=2, kernel_w=2, kernel_size=2)))
    crop(tops[1], tops[0])


def crop_of_unconnected(L, P, NetSpec, to_proto):
    from caffe.coord_map import crop

    crop(data(L), data(L))


def crop_across_an_unmapped_layer(L, P, NetSpec, to_proto):
    from caffe.coord_map import crop

    tops = chain(L, ("InnerProduct", dict(num_output=1)))
    crop(tops[1], tops[0])


def map_of_an_unmapped_layer(L, P, NetSpec, to_proto):
    from caffe.coord_map import coord_map

    coord_map(chain(L, ("InnerProduct", dict(num_output=1)))[1].fn)


def axis_mismatch(L, P, NetSpec, to_proto):
    from caffe.coord_map import coord_map_from_to

    tops = chain(
        L,
        ("Convolution", dict(kernel_size=3, axis=1)),
        ("Convolution", dict(kernel_size=3, axis=2)),
    )
    coord_map_from_to(tops[2], tops[0])


CASES = {
    name: function
    for name, function in list(globals().items())
    if callable(function) and function.__code__.co_varnames[:4] == ("L", "P", "NetSpec", "to_proto")
}


def run(name):
    """What the `caffe` that is installed makes of one case: {kind: value}."""
    from caffe import net_spec

    try:
        result = CASES[name](net_spec.layers, net_spec.params, net_spec.NetSpec, net_spec.to_proto)
    except Exception as error:
        return {"raises": [kind.__name__ for kind in type(error).__mro__]}
    if hasattr(result, "SerializeToString"):
        return {"net": str(result)}
    return {"value": result}


def main():
    import caffe

    if hasattr(caffe, "__engine__"):
        raise SystemExit("this is not BVLC Caffe")
    out = {name: run(name) for name in CASES}
    out["engine"] = "BVLC Caffe " + caffe.__version__
    with open("net_spec.json", "w") as f:
        json.dump(out, f, indent=1, sort_keys=True)
        f.write("\n")


if __name__ == "__main__":
    main()
