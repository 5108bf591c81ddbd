"""Published SSD prototxts in their forms for training and for testing: they load, run and learn."""

import warnings

import numpy as np
import pytest
import ssd_nets
from google.protobuf import text_format

import caffe
from caffe.data import db
from caffe.proto import caffe_pb2


@pytest.fixture
def database(tmp_path):
    """Six pictures with a bright square each, of the label 1 or 2."""
    rng = np.random.default_rng(0)
    path = str(tmp_path / "lmdb")
    with db.create(path, "lmdb") as writer:
        for n in range(6):
            pixels = rng.integers(0, 80, (3, 90, 120)).astype(np.uint8)
            left, top, size = (int(v) for v in rng.integers([5, 5, 30], [60, 40, 45]))
            pixels[n % 2 :, top : top + size, left : left + size] += 150
            made = caffe_pb2.AnnotatedDatum(type=caffe_pb2.AnnotatedDatum.BBOX)
            made.datum.CopyFrom(caffe.io.array_to_datum(pixels))
            box = made.annotation_group.add(group_label=1 + n % 2).annotation.add().bbox
            box.xmin, box.xmax = left / 120, (left + size) / 120
            box.ymin, box.ymax = top / 90, (top + size) / 90
            writer.put(b"%d" % n, made.SerializeToString())
    return path


FORMS = {
    "VGG-SSD300": lambda **form: ssd_nets.vgg_ssd(width=32, **form),
    "VGG-SSD512": lambda **form: ssd_nets.vgg_ssd(size=512, width=32, **form),
    "MobileNet-SSD": lambda **form: ssd_nets.mobilenet_ssd(width=8, **form),
}


def net(text, path, phase):
    with open(path, "w") as file:
        file.write(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return caffe.Net(str(path), phase)


@pytest.mark.parametrize("name", FORMS)
def test_the_form_for_testing(name, database, tmp_path):
    caffe.set_random_seed(0)
    text = FORMS[name](phase="test", classes=3, database=database)
    rows = net(text, tmp_path / "n.prototxt", caffe.TEST).forward()["detection_eval"][0, 0]
    assert rows[:2, :3].tolist() == [[-1, 1, 1], [-1, 2, 1]]  # one object of each label
    assert set(rows[2:, 0]) <= {0, 1} and (rows[2:, 3] + rows[2:, 4] == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG-SSD300", "MobileNet-SSD"])
def test_the_form_for_training(name, database, tmp_path):
    caffe.set_random_seed(0)
    text = FORMS[name](phase="train", classes=3, database=database)
    made = net(text, tmp_path / "n.prototxt", caffe.TRAIN)
    assert 1 < float(made.forward()["mbox_loss"]) < 100
    made.backward()
    first = next(iter(made.params.values()))[0]
    assert np.isfinite(first.diff).all() and first.diff.any()


@pytest.mark.slow
def test_it_learns(database, tmp_path):
    """The loss of a small SSD on six pictures falls to less than half."""
    d = ssd_nets.Draft()
    d.text = f"""layer {{ name: "data" type: "AnnotatedData" top: "data" top: "label"
        transform_param {{ mirror: true mean_value: 60 scale: 0.01
          resize_param {{ height: 64 width: 64 }} }}
        data_param {{ source: "{database}" batch_size: 6 backend: LMDB }} }}"""
    for i, outputs in enumerate((8, 16, 32, 32), 1):
        d.conv(f"conv{i}", outputs, stride=2 if i < 4 else 1)
        d.relu(f"relu{i}")
    d.heads([("conv4", 16, 30, [2], 8)], classes=3)
    solver = caffe_pb2.SolverParameter(
        base_lr=0.01, lr_policy="fixed", type="Adam", momentum=0.9, momentum2=0.999,
        random_seed=1, snapshot_after_train=False,
    )  # fmt: skip
    solver.net_param.CopyFrom(text_format.Parse(d.finish("train", 3, 0), caffe_pb2.NetParameter()))
    path = tmp_path / "solver.prototxt"
    path.write_text(text_format.MessageToString(solver))
    trained = caffe.get_solver(str(path))
    losses = []
    for _ in range(30):
        trained.step(1)
        losses.append(float(trained.net.blobs["mbox_loss"].data))
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:3])


@pytest.mark.slow
def test_without_propagate_down_the_gradient_is_the_same(database, tmp_path):
    """The published files say that priors and objects get none; it is so without these words."""
    text = FORMS["MobileNet-SSD"](phase="train", classes=3, database=database)
    assert text.count("propagate_down: ") == 4
    bare = text.replace("propagate_down: true", "").replace("propagate_down: false", "")
    diffs = []
    for words in (text, bare):
        caffe.set_random_seed(0)
        made = net(words, tmp_path / "n.prototxt", caffe.TRAIN)
        made.forward()
        made.backward()
        diffs.append(made.params["conv11"][0].diff.copy())
    assert diffs[0].any() and np.array_equal(*diffs)
