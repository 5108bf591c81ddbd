"""The table of published weights."""

import hashlib
import os

from fcn_helpers import ROOT, raised

from fcn.weights.table import WEIGHTS, by_file, host_remark, row
from nets import weights


def test_the_table():
    from fcn import catalog
    from fcn.classifiers.catalog import CLASSIFIERS

    assert set(catalog.PUBLISHED) <= set(WEIGHTS)
    for e in WEIGHTS.values():
        assert e.urls and all(url.startswith(("http://", "https://")) for url in e.urls)
        for algorithm, value in e.hashes.items():
            assert len(value) == 2 * hashlib.new(algorithm).digest_size, e.name
            int(value, 16)
        # A published size leaves room for the numbers and little else.
        assert e.size is None or e.least < e.size < 1.01 * e.least + 2e5, e.name
        assert by_file(e.file) is e
        if e.name in CLASSIFIERS:
            c = CLASSIFIERS[e.name]
            assert e.file == "ilsvrc-nets/" + c.file and e.mean == (c.mean or e.mean)
            assert c.parameters <= e.numbers
    assert "reported down" in host_remark("http://dl.caffe.berkeleyvision.org/x")
    assert host_remark("http://example.org/x") == ""
    assert "there are vgg16," in raised(LookupError, row, "vgg")


def test_numbers_of_the_fcns_are_those_of_their_prototxts():
    from fcn import catalog
    from fcn.geometry import facts
    from fcn.prototxt import read_net

    for name in catalog.PUBLISHED:
        net = read_net(os.path.join(ROOT, catalog.net_path(name, "deploy")))
        assert sum(r.params for r in facts.walk(net)) == row(name).numbers, name


def test_the_page_has_the_table():
    with open(os.path.join(ROOT, "docs", "weights.md"), encoding="utf-8") as page:
        assert weights.table() in page.read()


def test_missing_weights_name_the_command():
    from fcn.weights import find as places

    text = raised(
        places.MissingWeights,
        places.find,
        places.trained("voc-fcn8s", "nowhere"),
        None,
        "voc-fcn8s needs weights",
    )
    assert "`python nets/weights.py voc-fcn8s` gets fcn8s-heavy-pascal.caffemodel" in text, text
