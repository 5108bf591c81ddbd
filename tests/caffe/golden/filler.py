"""Write filler.npz beside this file, with BVLC Caffe: python3 tests/caffe/golden/filler.py

Every case is a seed and a list of (shape, filler) drawn one after the other from that seed by a
DummyData layer, so that the number of words each filler takes is checked as well.
Large results are kept as SHA-256 of their bytes.
"""

import hashlib
import os

import numpy as np

CASES = {
    "constant": (1, [((2, 3), "value: 0.25"), ((4,), "")]),
    "uniform": (
        2,
        [((7,), 'type: "uniform"'), ((3, 5), 'type: "uniform" min: -0.3 max: 0.7')],
    ),
    "uniform_point": (
        3,
        [((3,), 'type: "uniform" min: 0.5 max: 0.5'), ((4,), 'type: "uniform"')],
    ),
    "uniform_large": (4, [((20000000,), 'type: "uniform" min: -1 max: 1')]),
    "gaussian": (
        5,
        [((6, 7), 'type: "gaussian"'), ((9,), 'type: "gaussian" mean: -2.5 std: 0.01')],
    ),
    "gaussian_large": (6, [((3000000,), 'type: "gaussian"'), ((5,), 'type: "uniform"')]),
    "gaussian_sparse": (
        7,
        [
            ((10, 12), 'type: "gaussian" sparse: 3'),
            ((4, 2), 'type: "gaussian" sparse: 0'),
            ((4, 2), 'type: "gaussian" std: 2 sparse: 4'),
            ((3,), 'type: "uniform"'),
        ],
    ),
    "xavier": (
        8,
        [
            ((4, 3, 3, 3), 'type: "xavier"'),
            ((4, 6), 'type: "xavier" variance_norm: FAN_OUT'),
            ((4, 5, 2), 'type: "xavier" variance_norm: AVERAGE'),
            ((8,), 'type: "xavier" variance_norm: AVERAGE'),
        ],
    ),
    "msra": (
        9,
        [
            ((4, 3, 3, 3), 'type: "msra"'),
            ((4, 6), 'type: "msra" variance_norm: FAN_OUT'),
            ((4, 5, 2, 1, 3), 'type: "msra" variance_norm: AVERAGE'),
        ],
    ),
    "positive_unitball": (
        10,
        [((3, 2, 50), 'type: "positive_unitball"'), ((4, 1), 'type: "positive_unitball"')],
    ),
    "bilinear": (
        11,
        [((2, 1, k, k), 'type: "bilinear"') for k in (1, 2, 3, 4, 5, 8, 16)]
        + [((2, 3, 4, 4), 'type: "bilinear"')],
    ),
}
LARGE = 1000  # values above which only the hash is kept


def keep(values):
    """What the golden file holds for one result: the values, or their hash."""
    if values.size <= LARGE:
        return values
    return np.frombuffer(hashlib.sha256(values.tobytes()).digest(), np.uint8)


def main():
    import caffe

    here = os.path.dirname(os.path.abspath(__file__))
    model = os.path.join(here, "filler.prototxt.tmp")
    result = {}
    for name, (seed, fills) in CASES.items():
        lines = ['layer { name: "fill" type: "DummyData"']
        lines += [f'top: "t{i}"' for i in range(len(fills))]
        lines.append("dummy_data_param {")
        for shape, filler in fills:
            lines.append("shape {" + " ".join(f"dim: {d}" for d in shape) + "}")
            lines.append("data_filler {" + filler + "}")
        with open(model, "w") as f:
            f.write("\n".join(lines) + "\n} }\n")
        caffe.set_random_seed(seed)
        net = caffe.Net(model, caffe.TEST)
        net.forward()
        for i in range(len(fills)):
            result[f"{name}.{i}"] = keep(net.blobs[f"t{i}"].data)
    os.remove(model)
    engine = getattr(caffe, "__engine__", "BVLC Caffe " + caffe.__version__)
    np.savez_compressed(os.path.join(here, "filler.npz"), engine=np.array(engine), **result)
    print(f"engine: {engine}, {len(result)} results")


if __name__ == "__main__":
    main()
