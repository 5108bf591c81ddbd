"""Random nets of a few layers each, with in-place layers, branches and merges: exported with free
sizes and run at sizes that neither the export nor its proof has seen."""

import numpy as np
import onnxruntime
import pytest
from exporting import export

import caffe
from caffe.errors import Error
from caffe.export import check

PLACES = [
    "type: 'Convolution' convolution_param { num_output: 6 kernel_size: %(k)d stride: %(s)d "
    "pad: %(p)d group: %(g)d }",
    "type: 'Pooling' pooling_param { pool: %(pool)s kernel_size: %(k)d stride: %(s)d pad: %(p)d }",
    "type: 'Deconvolution' convolution_param { num_output: 6 kernel_size: %(k)d stride: %(s)d "
    "group: %(g)d }",
    "type: 'LRN' lrn_param { norm_region: %(region)s local_size: 3 alpha: 0.5 }",
    "type: 'Interp' interp_param { zoom_factor: %(s)d }",
    "type: 'Softmax'",
    "type: 'Scale' scale_param { bias_term: true }",
    "type: 'BatchNorm'",
    "type: 'Power' power_param { scale: 0.5 shift: 0.1 }",
    "type: 'Tile' tile_param { axis: 3 tiles: 2 }",
    "type: 'Permute' permute_param { order: 0 order: 1 order: 3 order: 2 }",
]
IN_PLACE = ["ReLU", "PReLU", "Sigmoid", "TanH", "ELU", "BatchNorm", "Scale", "Dropout", "Power"]


def random_net(random):
    """The layers of a net with one input of 6 channels, x0."""
    layers, top = [], "x0"
    for i in range(random.randint(3, 7)):
        kernel = random.randint(1, 5)
        settings = {
            "k": kernel,
            "s": random.randint(1, 4),
            "p": random.randint(0, kernel),
            "g": random.choice([1, 2, 3, 6]),
            "pool": random.choice(["MAX", "AVE"]),
            "region": random.choice(["ACROSS_CHANNELS", "WITHIN_CHANNEL"]),
        }
        new = f"t{i}"
        layers.append(
            f"name: 'l{i}' bottom: '{top}' top: '{new}' {PLACES[random.randint(len(PLACES))]}"
            % settings
        )
        for j in range(random.randint(0, 3)):
            kind = IN_PLACE[random.randint(len(IN_PLACE))]
            layers.append(f"name: 'l{i}_{j}' type: '{kind}' bottom: '{new}' top: '{new}'")
        merge = random.randint(4)
        if merge == 0:
            layers.append(
                f"name: 'm{i}' type: 'Eltwise' bottom: '{new}' bottom: '{new}' top: 'm{i}' "
                "eltwise_param { coeff: 0.5 coeff: -1.5 }"
            )
            new = f"m{i}"
        elif merge == 1:
            layers.append(
                f"name: 'm{i}' type: 'Crop' bottom: '{new}' bottom: 'x0' top: 'm{i}' "
                f"crop_param {{ offset: {random.randint(0, 2)} }}"
            )
            new = f"m{i}"
        top = new
    return layers


def buildable(folder, seed):
    """A net that the engine takes, and what its export gives."""
    for attempt in range(200):
        random = np.random.RandomState(1000 * seed + attempt)
        layers = random_net(random)
        try:
            return layers, export(folder, layers, (1, 6, 13, 17), dynamic=True, seed=attempt)
        except caffe.export.ExportError:
            raise
        except Error:
            continue
    raise AssertionError("no net that can be built")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_random_net(tmp_path, seed):
    layers, (made, _, net) = buildable(tmp_path, seed)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"]
    )
    free = made.inputs["x0"]
    random = np.random.RandomState(seed)
    ran = 0
    for batch, height, width in ((3, 20, 11), (1, 14, 29), (2, 33, 16), (1, 45, 46)):
        wanted = (batch, 6, height, width)
        old = (1, 6, 13, 17)
        shape = tuple(w if isinstance(f, str) else n for w, f, n in zip(wanted, free, old))
        x = random.standard_normal(shape).astype(np.float32)
        net.blobs["x0"].reshape(*shape)
        net.blobs["x0"].data[...] = x
        try:
            right = net.forward()
        except Error:
            continue  # this size does not fit the net
        names = list(made.outputs)
        for name, got in zip(names, session.run(names, {"x0": x})):
            assert check.difference(right[name], got) < 2e-5, (layers, shape)
        ran += 1
    assert ran
