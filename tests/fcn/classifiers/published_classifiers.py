"""The published classifiers without weights, for the tests of each family."""

from fcn_helpers import net_of

from fcn.classifiers import catalog
from nets import classifiers

NAMES = list(catalog.CLASSIFIERS)


def deploy(tmp_path, name, syntax=None):
    """The deploy net with one item, without weights."""
    net = classifiers.build(name, "deploy", syntax)
    row = catalog.classifier(name)
    if row.input:
        for layer in net.layer:
            for shape in layer.input_param.shape:
                assert tuple(shape.dim) == row.input
                shape.dim[0] = 1
        if net.input_dim:
            net.input_dim[0] = 1
    return net_of(tmp_path, classifiers.text(net))


#: Classes or coordinates that deploy gives for each item.
OUTPUTS = {"lenet": 10, "cifar10-quick": 10, "cifar10-full": 10, "siamese": 2}


def as_published(tmp_path, name, published):
    """Parameters have the shapes of {layer: shapes}, and the numbers that the catalog says."""
    net = deploy(tmp_path, name)
    found = {layer: [tuple(b.shape) for b in blobs] for layer, blobs in net.params.items()}
    for layer, shapes in published.items():
        assert found[layer] == shapes, layer
    counts = {True: 0, False: 0}
    for layer, blobs in net.params.items():
        counts[net.layer_dict[layer].type == "BatchNorm"] += sum(b.count for b in blobs)
    row = catalog.classifier(name)
    assert (counts[False], counts[True]) == (row.parameters, row.measured)
    if row.input:
        top = "feat" if name == "siamese" else "prob"
        assert net.outputs == [top]
        assert tuple(net.blobs[top].shape)[:2] == (1, OUTPUTS.get(name, 1000))
