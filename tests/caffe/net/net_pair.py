"""A net for training and its twin, which runs PyTorch's operators as they are, layer by layer."""

import numpy as np

import caffe


def net_pair(path, text, monkeypatch, fill=None):
    """(both, nets): ``both(act)`` does the same to a net of this text and to its twin, and gives
    what came of each.

    Both start from the same weights and the same numbers in "data" and "target"; ``fill(net,
    numbers)`` may take more from that stream.
    """
    path.write_text(text)
    nets = []
    for _ in range(2):
        caffe.set_random_seed(2)
        net = caffe.Net(str(path), caffe.TRAIN)
        numbers = np.random.RandomState(4)
        for name in ("data", "target"):
            net.blobs[name].data[...] = numbers.randn(*net.blobs[name].data.shape)
        if fill is not None:
            fill(net, numbers)
        nets.append(net)

    def both(act):
        results = [act(nets[0])]
        with monkeypatch.context() as m:
            m.setenv("CAFFE_KERNELS", "plain")
            results.append(act(nets[1]))
        return results

    return both, nets
