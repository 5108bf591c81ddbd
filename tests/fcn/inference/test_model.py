"""The net that labels: tiles, batches, memory, weights that do not fit."""

import numpy as np
import pytest
from labelling_helpers import NET, read_label, run
from PIL import Image

import caffe
from fcn.inference import memory, model
from fcn.weights.find import MissingWeights

pytestmark = pytest.mark.usefixtures("_from_the_root")


@pytest.mark.slow
def test_tiles_when_memory_is_short_with_the_same_labels(weights, tmp_path, capsys):
    pixels = np.random.RandomState(2).randint(0, 256, (300, 700, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "e.png")
    net = model.Model.from_catalog(NET, weights)
    limit = net.memory(300, 700) // 2 * model.SCRATCH
    assert run(weights, tmp_path, "--memory", limit / 1e9, tmp_path / "e.png") == 0
    assert "tiles instead" in capsys.readouterr().out
    whole = net.run(pixels).copy()
    label = read_label(tmp_path / "e_label.png")
    differ = np.argwhere(label != whole.argmax(axis=0))
    # Rounding may decide ties: there, the two best scores are equal within it.
    for y, x in differ:
        best = np.sort(whole[:, y, x])
        assert best[-1] - best[-2] < 1e-5 * np.abs(whole).max()
    assert len(differ) < 10


def test_too_little_memory_says_how_much_is_missing(weights, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "f.png")
    assert run(weights, tmp_path, "--memory", "0.0001", tmp_path / "f.png") == 1
    error = capsys.readouterr().err
    assert "173x131" in error and "0.1 MB" in error and "MB each" in error
    assert not (tmp_path / "f_label.png").exists()


def test_weights_that_leave_layers_unset_are_refused(weights, tmp_path):
    # A net with one of the layers, under its name, makes a file that lacks all others.
    (tmp_path / "one.prototxt").write_text("""
        layer { name: "in" type: "Input" top: "data"
                input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
        layer { name: "stranger" type: "Convolution" bottom: "data" top: "x"
                convolution_param { num_output: 2 kernel_size: 1
                                    weight_filler { type: "xavier" } } }
    """)
    path = str(tmp_path / "one.caffemodel")
    caffe.Net(str(tmp_path / "one.prototxt"), caffe.TEST).save(path)
    with pytest.raises(MissingWeights, match="no usable weights for .*conv1_1.*another net"):
        model.Model.from_catalog(NET, path)


def test_what_the_program_has_already_counts(weights, monkeypatch):
    net = model.Model.from_catalog(NET, weights)
    needed = net.memory(300, 700)
    assert len(net.plan(300, 700, limit=int(needed * 1.5))) == 1
    monkeypatch.setattr(model, "resident", lambda: needed // 2)
    assert len(net.plan(300, 700, limit=int(needed * 1.5))) > 1
    monkeypatch.setattr(model, "resident", lambda: 0)
    assert len(net.plan(300, 700, limit=int(needed * 1.5), beside=needed // 2)) > 1
    assert memory.resident() > 50e6 or memory.resident() == 0


@pytest.mark.slow
def test_batches_give_what_single_images_do(weights, photo, tmp_path, monkeypatch):
    sizes = []
    forward = model.Model._forward
    monkeypatch.setattr(
        model.Model,
        "_forward",
        lambda self, *images: sizes.append(len(images)) or forward(self, *images),
    )
    paths = []
    for number in range(5):
        pixels = photo[:, ::-1] if number % 2 else photo
        pixels = pixels[:100] if number == 3 else pixels
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(np.ascontiguousarray(pixels)).save(paths[-1])
    options = ("--probabilities", "float32")
    assert run(weights, tmp_path / "many", *paths, "--batch", "3", *options) == 0
    assert sizes == [3, 1, 1]
    assert run(weights, tmp_path / "one", *paths, "--batch", "1", *options) == 0
    for number in range(5):
        many, one = (
            np.load(str(tmp_path / f"{way}/{number}_probabilities.npz"))["probabilities"]
            for way in ("many", "one")
        )
        np.testing.assert_allclose(many, one, atol=1e-5)
        label = read_label(tmp_path / f"many/{number}_label.png")
        sure = np.sort(one, 0)[-1] - np.sort(one, 0)[-2] > 1e-4
        np.testing.assert_array_equal(label[sure], one.argmax(0)[sure])
