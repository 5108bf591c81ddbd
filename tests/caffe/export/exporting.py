"""What the tests of the export share: nets of a few layers, exported and proved.

The proof is the export's own (ONNX Runtime against the engine on random numbers); here it is held
to a tighter limit, the numbers that it found are looked at, and the graph's declared shapes too.
"""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra: pip install 'pycaffe-torch[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'pycaffe-torch[onnx]'")

import caffe  # noqa: E402
from caffe.export import to_onnx  # noqa: E402

LIMIT = 2e-5
#: A shape of an input, and the sizes that may be free.
IMAGE, FREE = (2, 6, 9, 7), ("batch", "height", "width")


def net_text(layers, *shapes):
    """A prototxt: inputs x0, x1, … of the shapes; then the layers, whose text may leave out name
    (l0, l1, …), bottom (the last top, for the first all inputs) and top (y0, y1, …)."""
    text = ["name: 'case'"]
    for i, shape in enumerate(shapes):
        dims = " ".join(f"dim: {n}" for n in shape)
        shape = f"input_param {{ shape {{ {dims} }} }}"
        text.append(f"layer {{ name: 'x{i}' type: 'Input' top: 'x{i}' {shape} }}")
    last = [f"x{i}" for i in range(len(shapes))]
    for i, layer in enumerate(layers):
        if "name:" not in layer:
            layer = f"name: 'l{i}' {layer}"
        if "bottom:" not in layer:
            layer += "".join(f" bottom: '{b}'" for b in last)
        if "top:" not in layer:
            layer += f" top: 'y{i}'"
            last = [f"y{i}"]
        text.append(f"layer {{ {layer} }}")
    return "\n".join(text) + "\n"


def fill(net, seed=0):
    """Random parameters: slopes, means and weights normal, variances and counts positive."""
    random = np.random.RandomState(seed)
    for name, blobs in net.params.items():
        kind = net.layer_dict[name].type
        for i, blob in enumerate(blobs):
            values = random.standard_normal(blob.data.shape)
            if kind in ("BatchNorm", "BN", "SyncBN") and i >= (1 if kind == "BatchNorm" else 3):
                values = np.abs(values) + 0.5
            fan = max(1, blob.data.size // max(1, blob.data.shape[0])) if blob.data.ndim > 1 else 1
            blob.data[...] = values / np.sqrt(fan)
    return net


def export(tmp_path, layers, *shapes, seed=0, **options):
    """Export a net of these layers and inputs; returns (`to_onnx`'s result, model, net)."""
    prototxt, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(net_text(layers, *shapes))
    net = fill(caffe.Net(str(prototxt), caffe.TEST), seed)
    net.save(str(weights))
    path = tmp_path / "net.onnx"
    made = to_onnx(str(prototxt), str(weights), str(path), seed=seed, **options)
    for proof in made.proofs:
        worst = max(proof.differences.values())
        assert worst < LIMIT, (proof, layers)
    model = onnx.load(str(path))
    declared(model, net, made)
    return made, model, net


def declared(model, net, made):
    """The graph says of its outputs what the engine's blobs are."""
    for value in model.graph.output:
        dims = value.type.tensor_type.shape.dim
        blob = tuple(net.blobs[value.name.removesuffix("_out")].data.shape)
        assert len(dims) == len(blob)
        for dim, n in zip(dims, blob):
            assert dim.dim_param or dim.dim_value == n


def each(cases):
    """Decorator: a test of each case of {type: [(text, shapes of the inputs, free sizes)]}."""
    rows = [
        pytest.param(kind, *case, id=f"{kind}-{number}")
        for kind, found in cases.items()
        for number, case in enumerate(found)
    ]
    return pytest.mark.parametrize("kind, text, shapes, free", rows)


def prove(tmp_path, kind, text, shapes, free):
    """Export a net of one layer; at a second size too where sizes are free."""
    made, model, _ = export(tmp_path, [f"type: '{kind}' {text}"], *shapes, dynamic=free)
    assert len(made.proofs) == (2 if free else 1)
    names = {node.name for node in model.graph.node}
    # A layer that changes nothing leaves a copy under its top's name.
    assert names & {"l0", "y0", "a"}


def in_place(tmp_path, kind):
    """Export a net whose first layer writes over its bottom."""
    bottoms = "bottom: 'x0'" + (" bottom: 'x1' bottom: 'x2'" if kind == "Eltwise" else "")
    shapes = [IMAGE] * (3 if kind == "Eltwise" else 1)
    layers = [
        f"name: 'it' type: '{kind}' {bottoms} top: 'x0'",
        "name: 'after' type: 'Power' bottom: 'x0' top: 'y' power_param { scale: 3 }",
    ]
    made, model, _ = export(tmp_path, layers, *shapes, dynamic=True)
    assert list(made.outputs) == ["y"]
