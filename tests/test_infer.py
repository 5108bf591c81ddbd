"""infer.py: any image in, two pictures and the shares out; each failure one clear error."""

import os

import numpy as np
import pytest
from PIL import Image

import bootstrap
import caffe
import infer
from data import names_of, toy
from inference import memory, model
from inference.errors import InferenceError
from inference.photo import read_photo
from inference.pictures import class_shares, overlay, with_legend
from nets import catalog, make

NET = "toy-fcn8s"


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch):
    """Paths in the catalog are relative to the root; the test's own directory comes back."""
    monkeypatch.chdir(bootstrap.ROOT)


@pytest.fixture
def weights(tmp_path):
    """Random weights for the toy net."""
    net = caffe.Net(catalog.net_path(NET, "deploy"), caffe.TEST)
    rng = np.random.RandomState(5)
    for name, blobs in net.params.items():
        for blob in blobs:
            shape = blob.data.shape
            if name.startswith("upscore"):
                continue  # bilinear from the start
            if len(shape) == 4:
                blob.data[...] = rng.randn(*shape) * np.sqrt(2.0 / np.prod(shape[1:]))
            else:
                blob.data[...] = rng.rand(*shape) * 0.2 + 0.9
    path = str(tmp_path / "random.caffemodel")
    net.save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    """A toy picture of odd size: RGB uint8 (H, W, 3)."""
    import random

    image, _ = toy.draw(173, 131, random.Random(8))
    return np.array(image)


def run(weights, out, *arguments):
    return infer.main(
        ["--net", NET, "--weights", weights, "--out", str(out)] + [str(a) for a in arguments]
    )


def read_label(path):
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.array(image)


def expected(weights, pixels):
    """The labels by plain pycaffe, as the published infer.py does it."""
    net = caffe.Net(catalog.net_path(NET, "deploy"), weights, caffe.TEST)
    mean = np.array(catalog.experiment(NET).dataset.inputs[0].mean, np.float32)
    blob = pixels[:, :, ::-1].astype(np.float32) - mean
    net.blobs["data"].reshape(1, 3, *pixels.shape[:2])
    net.blobs["data"].data[...] = blob.transpose(2, 0, 1)
    net.forward()
    return net.blobs["score"].data[0].argmax(axis=0)


def test_writes_label_map_and_overlay_and_prints_shares(weights, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "a.png")
    out = tmp_path / "new" / "folder"
    assert run(weights, out, tmp_path / "a.png") == 0
    label = read_label(out / "a_label.png")
    want = expected(weights, photo)
    assert len(np.unique(want)) > 1
    np.testing.assert_array_equal(label, want)
    with Image.open(out / "a_overlay.jpg") as picture:
        assert picture.width == photo.shape[1] and picture.height > photo.shape[0]
    printed = capsys.readouterr().out
    for number in np.unique(want):
        line = f"{np.mean(want == number):6.1%}  {toy.CLASSES[number]}"
        assert line in printed


def _grey(image, path):
    image.convert("L").save(path)
    return np.array(image.convert("L").convert("RGB"))


def _rgba(image, path):
    with_alpha = image.convert("RGBA")
    with_alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    with_alpha.save(path)
    alpha = np.array(with_alpha)[:, :, 3:].astype(float) / 255
    return np.array(image) * alpha + 255 * (1 - alpha)


def _palette(image, path):
    image.quantize(16).save(path)
    return np.array(image.quantize(16).convert("RGB"))


def _sixteen_bits(image, path):
    grey = np.array(image.convert("L")).astype(np.uint16)
    Image.fromarray(grey * 257).save(path)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _rotated(image, path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: to be turned clockwise
    image.transpose(Image.ROTATE_90).save(path, exif=exif.tobytes())
    return np.array(image)


@pytest.mark.parametrize("make", [_grey, _rgba, _palette, _sixteen_bits, _rotated])
def test_any_kind_of_image(make, weights, photo, tmp_path):
    path = tmp_path / "b.png"
    pixels = make(Image.fromarray(photo), path)
    received = read_photo(str(path))
    assert received.dtype == np.uint8
    np.testing.assert_allclose(received, pixels, atol=1.01)  # alpha blending rounds
    assert run(weights, tmp_path, path) == 0
    np.testing.assert_array_equal(read_label(tmp_path / "b_label.png"), expected(weights, received))


def test_cmyk_jpeg(photo, tmp_path):
    Image.fromarray(photo).convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    received = read_photo(str(tmp_path / "c.jpg")).astype(int)
    assert np.abs(received - photo).mean() < 12


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2), (65, 64)])
def test_odd_sizes(size, weights, tmp_path):
    pixels = np.random.RandomState(1).randint(0, 256, size + (3,)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "d.png")
    assert run(weights, tmp_path, tmp_path / "d.png") == 0
    assert read_label(tmp_path / "d_label.png").shape == size


def test_tiles_when_memory_is_short_with_the_same_labels(weights, tmp_path, capsys):
    pixels = np.random.RandomState(2).randint(0, 256, (300, 700, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "e.png")
    net = model.Model.from_catalog(NET, weights)
    limit = net.memory(300, 700) // 2
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


def test_predicted_memory_is_known_for_all_experiments():
    for name in catalog.EXPERIMENTS:
        ops = model.read_ops(_description(name))
        large = model.memory(ops, 3648, 5472, unrolled=False)
        assert 1e9 < large < 150e9, (name, large)


def _description(name):
    from google.protobuf import text_format

    from caffe.proto import caffe_pb2

    message = caffe_pb2.NetParameter()
    with open(catalog.net_path(name, "deploy")) as lines:
        text_format.Merge(lines.read(), message)
    return message


def test_free_memory_is_told():
    free = memory.available()
    assert free is None or free > 1e6
    assert memory.text(1.5e9) == "1.5 GB" and memory.text(2e6) == "2.0 MB"


def test_a_net_without_weights_says_which_file_goes_where(tmp_path, photo, capsys):
    Image.fromarray(photo).save(tmp_path / "g.png")
    assert (
        infer.main(["--net", "voc-fcn-alexnet", "--out", str(tmp_path), str(tmp_path / "g.png")])
        == 1
    )
    error = capsys.readouterr().err
    assert "nets/voc-fcn-alexnet/fcn-alexnet-pascal.caffemodel" in error
    assert "python nets/voc-fcn-alexnet/solve.py" in error
    assert not list(tmp_path.glob("*_label.png"))


@pytest.mark.parametrize(
    "name, blobs",
    [
        ("nyud-fcn32s-hha", "hha"),
        ("nyud-fcn32s-color-d", "color and depth"),
        ("nyud-fcn32s-color-hha", "color and hha"),
    ],
)
def test_nets_that_need_more_than_a_photo_say_so_before_weights_are_fetched(
    name, blobs, tmp_path, capsys
):
    assert infer.main(["--net", name, "--out", str(tmp_path), "photo.jpg"]) == 1
    assert capsys.readouterr().err.startswith(f"error: {name} reads {blobs}: a photo alone")


def test_a_net_that_is_not_there_is_one_line(tmp_path, capsys):
    assert infer.main(["--net", str(tmp_path), "photo.jpg"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: no experiment ") and message.count("\n") == 1


def test_a_net_of_ones_own(tmp_path, photo, capsys):
    folder = str(tmp_path / "mine-of-two")
    assert make.main(["--backbone", "toy", "--classes", "2", "--stride", "8", "--out", folder]) == 0
    net = caffe.Net(os.path.join(folder, "deploy.prototxt"), caffe.TEST)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = 0.01
    net.save(str(tmp_path / "mine.caffemodel"))
    Image.fromarray(photo).save(str(tmp_path / "photo.png"))
    assert (
        infer.main(
            [
                "--net",
                folder,
                "--weights",
                str(tmp_path / "mine.caffemodel"),
                "--out",
                str(tmp_path),
                str(tmp_path / "photo.png"),
            ]
        )
        == 0
    )
    assert "class 0" in capsys.readouterr().out
    assert read_label(str(tmp_path / "photo_label.png")).shape == photo.shape[:2]


def test_the_scores_that_are_shown_have_the_datasets_classes():
    for name, experiment in catalog.EXPERIMENTS.items():
        output = experiment.dataset.outputs[0]
        assert output.names == "CLASSES", name
        assert len(names_of(experiment.dataset).CLASSES) == output.classes, name


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
    with pytest.raises(InferenceError, match="no usable weights for .*conv1_1.*another net"):
        model.Model.from_catalog(NET, path)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: None, "missing image"),
        (lambda path: Image.new("F", (9, 9)).save(path, "TIFF"), "floating-point image"),
        (lambda path: path.write_bytes(b"not an image"), "cannot read the image"),
    ],
)
def test_bad_images_are_named_and_the_others_done(make, message, weights, photo, tmp_path, capsys):
    make(tmp_path / "bad.png")
    Image.fromarray(photo).save(tmp_path / "good.png")
    assert run(weights, tmp_path, tmp_path / "bad.png", tmp_path / "good.png") == 1
    error = capsys.readouterr().err
    assert message in error and "bad.png" in error
    assert (tmp_path / "good_label.png").exists()
    assert not (tmp_path / "bad_label.png").exists()


def test_usage_errors_exit_with_2(weights, tmp_path, capsys):
    for arguments in (["--memory", "0", "a.png"], ["x/a.png", "y/a.png"], []):
        with pytest.raises(SystemExit) as stop:
            infer.main(arguments)
        assert stop.value.code == 2
    assert "called 'a'" in capsys.readouterr().err


def test_overlay_is_half_colour_and_leaves_the_background():
    pixels = np.array([[[10, 20, 31], [200, 100, 0]]], np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[1] = (100, 101, 200)
    mixed = overlay(pixels, np.array([[1, 0]], np.uint8), palette, untouched=0)
    # (10 + 100) / 2, (20 + 101) / 2 truncated, (31 + 200) / 2 truncated
    assert mixed.tolist() == [[[55, 60, 115], [200, 100, 0]]]
    mixed = overlay(pixels, np.array([[1, 0]], np.uint8), palette)
    assert mixed[0, 1].tolist() == [100, 50, 0]


def test_legend_shows_the_colour_of_each_class_found():
    label = np.repeat(np.arange(5, dtype=np.uint8), [50, 20, 15, 10, 5])[None, :]
    found = class_shares(label)
    assert found[0] == (0, 0.5) and len(found) == 5
    picture = with_legend(np.full((3, 100, 3), 77, np.uint8), found, toy.CLASSES, toy.PALETTE)
    pixels = np.array(picture)
    assert (pixels[:3, :100] == 77).all()
    below = {tuple(p) for p in pixels[3:].reshape(-1, 3)}
    for number in range(1, 5):
        assert tuple(toy.PALETTE[number]) in below


def test_results_go_where_the_user_is_by_default():
    options = infer.parse(["a.png"])
    assert options.out == bootstrap.START
    assert options.images == [os.path.join(bootstrap.START, "a.png")]
