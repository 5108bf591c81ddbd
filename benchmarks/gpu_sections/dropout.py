"""Dropout's masks: the right fraction, new in each pass, decided by Caffe's random stream alone."""

import math

import numpy as np

import caffe
from gpu_sections.machine import Machine

RATIOS = (0.1, 0.5, 0.8)
PASSES = 8  # more than a graph needs to be captured and replayed
SIGMAS = 6


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    shape = [1, 8, 40, 50] if record.options.quick else [2, 64, 100, 100]
    for ratio in RATIOS:
        with record.step(f"ratio {ratio}"):
            one_ratio(record, ratio, shape)
    with record.step("TEST"):
        net = net_of(0.5, shape, caffe.TEST)
        data = feed(net)
        net.forward()
        same = np.array_equal(net.blobs["y"].data, data)
        record.check("in TEST everything passes", same)
    with record.step("in place"):
        in_place(record, shape)


def net_of(ratio, shape, phase=caffe.TRAIN, in_place=False):
    """x -> Power -> Dropout -> y; the gradient of y is what was fed."""
    spec = caffe.NetSpec()
    spec.x = caffe.layers.Input(input_param={"shape": {"dim": shape}})
    spec.p = caffe.layers.Power(spec.x, scale=2.0)
    made = caffe.layers.Dropout(spec.p, dropout_param={"dropout_ratio": ratio}, in_place=in_place)
    spec.y = made
    param = spec.to_proto()
    param.force_backward = True
    param.state.phase = phase
    return caffe.Net.from_param(param)


def feed(net):
    data = np.random.RandomState(3).uniform(0.5, 1.5, tuple(net.blobs["x"].shape))
    net.blobs["x"].data[...] = data
    return np.float32(2) * net.blobs["x"].data


def masks(net, passes=PASSES, top="y"):
    """The masks of some passes, bool."""
    found = []
    for _ in range(passes):
        net.forward()
        found.append(net.blobs[top].data != 0)
    return found


def one_ratio(record, ratio, shape):
    net = net_of(ratio, shape)
    data = feed(net)
    caffe.set_random_seed(5)
    drawn = masks(net)
    state = caffe.get_random_state()
    count = drawn[0].size
    allowed = SIGMAS * math.sqrt(ratio * (1 - ratio) / count)
    off = max(abs(float(mask.mean()) - (1 - ratio)) for mask in drawn)
    record.check(
        f"ratio {ratio}: the fraction", off <= allowed, f"off by {off:.2g} <= {allowed:.2g}"
    )
    # Two independent masks agree on r² + (1 - r)² of the elements.
    agree = ratio**2 + (1 - ratio) ** 2
    margin = SIGMAS * math.sqrt(agree * (1 - agree) / count)
    pairs = [float((a == b).mean()) for a, b in zip(drawn, drawn[1:])]
    new = max(abs(pair - agree) for pair in pairs) <= margin
    record.check(f"ratio {ratio}: new in each pass", new, f"shared {pairs[-1]:.4f} ~ {agree:.4f}")
    expected = np.where(drawn[-1], data / np.float32(1 - ratio), 0)
    close = np.allclose(net.blobs["y"].data, expected, rtol=1e-6)
    record.check(f"ratio {ratio}: the scale", close)
    net.blobs["y"].diff[...] = 1
    net.backward()
    kept = np.array_equal(net.blobs["p"].diff != 0, drawn[-1])
    record.check(f"ratio {ratio}: the same mask backward", kept)
    after = masks(net)
    caffe.set_random_state(state)
    again = masks(net)
    fresh = net_of(ratio, shape)
    feed(fresh)
    caffe.set_random_state(state)
    elsewhere = masks(fresh)
    same = all(np.array_equal(a, b) for a, b in zip(after, again))
    record.check(f"ratio {ratio}: the same from the same state", same)
    same = all(np.array_equal(a, b) for a, b in zip(after, elsewhere))
    record.check(f"ratio {ratio}: the same in a new net", same)


def in_place(record, shape):
    net = net_of(0.5, shape, in_place=True)
    feed(net)
    top = net.top_names[[n for n, layer in net.layer_dict.items() if layer.type == "Dropout"][0]][0]
    drawn = masks(net, top=top)
    net.blobs[top].diff[...] = 1
    net.backward()
    kept = np.array_equal(net.blobs["x"].diff != 0, drawn[-1])
    fraction = float(drawn[-1].mean())
    record.check("in place", kept and 0.4 < fraction < 0.6, f"{fraction:.3f} kept")
