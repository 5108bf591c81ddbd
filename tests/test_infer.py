"""infer.py: any image in, two pictures and the shares out; each failure one clear error."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import bootstrap
import caffe
import infer
import surgery
from data import names_of, toy
from fcn import catalog, random_weights
from fcn.geometry.ops import InferenceError
from fcn.inference import labelling, loading, memory, model
from fcn.inference.pictures import overlay, read_photo, with_legend
from fcn.prototxt import to_text
from fcn.weights.find import MissingWeights
from nets import make

NET = "toy-fcn8s"


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch):
    """Paths in the catalog are relative to the root; the test's own directory comes back.

    Limits of memory in these tests are those of a pass alone.
    """
    monkeypatch.setattr(model, "resident", lambda: 0)
    monkeypatch.setattr(labelling, "PIXEL", 0)
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


def run(weights, out, *arguments, size=("--size", "native")):
    return infer.main(
        ["--net", NET, "--weights", weights, "--out", str(out), "--cpu", *size]
        + [str(a) for a in arguments]
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


def test_what_pytorch_keeps_of_a_gpu_counts_as_free(monkeypatch):
    torch = pytest.importorskip("torch")
    for name, answer in (
        ("mem_get_info", (3 << 30, 12 << 30)),
        ("memory_reserved", 8 << 30),
        ("memory_allocated", 1 << 30),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda gpu, answer=answer: answer)
    assert memory.available(0) == 10 << 30


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
    with pytest.raises(MissingWeights, match="no usable weights for .*conv1_1.*another net"):
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


def test_usage_errors_exit_with_2(tmp_path, capsys):
    for arguments, words in (
        (["--memory", "0", "a.png"], "above 0"),
        ([], "required"),
        (["--size", "0", "a.png"], "'native' or the longer side"),
        (["--opacity", "2", "a.png"], "0 to 1"),
        (["--gpu", "0", "--cpu", "a.png"], "not allowed with"),
        ([str(tmp_path)], "no images or videos in the folder"),
        ([str(tmp_path / "*.jpg")], "no file matches"),
    ):
        with pytest.raises(SystemExit) as stop:
            infer.main(arguments)
        assert stop.value.code == 2
        assert words in capsys.readouterr().err


def test_a_large_photo_is_labelled_at_the_size_of_the_training_pictures(
    weights, photo, tmp_path, capsys
):
    """What it says of a photo does not depend on how many pixels the camera has."""
    small = Image.fromarray(photo).resize((160, 120))
    small.save(tmp_path / "small.png")
    small.resize((1280, 960), Image.BICUBIC).save(tmp_path / "large.png")
    assert run(weights, tmp_path, tmp_path / "small.png", tmp_path / "large.png", size=()) == 0
    assert "large.png: 1280x960, labelled at 160x120\n" in capsys.readouterr().out
    want, large = read_label(tmp_path / "small_label.png"), read_label(tmp_path / "large_label.png")
    assert large.shape == (960, 1280)
    assert (large[4::8, 4::8] == want).mean() > 0.95
    # --size says otherwise: as it is, or a number.
    for size, words in (("native", "1280x960\n"), ("320", "1280x960, labelled at 320x240\n")):
        assert run(weights, tmp_path, tmp_path / "large.png", size=("--size", size)) == 0
        assert words in capsys.readouterr().out


def test_folders_are_mirrored_and_earlier_results_left_out(weights, photo, tmp_path, capsys):
    for name in ("a.png", "deep/a.png", "deep/a.bmp", "deep/.hidden.png", "deep/notes.txt"):
        os.makedirs(os.path.dirname(str(tmp_path / "in" / name)), exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "in" / name, "PNG")
    for out in (tmp_path / "out", tmp_path / "in", tmp_path / "in"):
        assert run(weights, out, tmp_path / "in") == 0
        made = sorted(os.path.relpath(p, out) for p in map(str, out.rglob("*_label.png")))
        assert made == ["a_label.png", "deep/a.bmp_label.png", "deep/a.png_label.png"]
    assert "6 earlier results" in capsys.readouterr().out


def test_a_result_never_replaces_an_image_that_is_yet_to_be_read(weights, photo, tmp_path, capsys):
    for name in ("x.png", "x_label.png"):
        Image.fromarray(photo).save(tmp_path / name)
    before = (tmp_path / "x_label.png").read_bytes()
    with pytest.raises(SystemExit) as stop:
        run(weights, tmp_path, tmp_path / "x.png", tmp_path / "x_label.png")
    assert stop.value.code == 2 and "would replace" in capsys.readouterr().err
    assert (tmp_path / "x_label.png").read_bytes() == before
    assert run(weights, tmp_path / "o", tmp_path / "x.png", tmp_path / "x_label.png") == 0


def test_errors_name_the_image(weights, tmp_path, capsys, monkeypatch):
    Image.new("RGB", (9, 9)).save(tmp_path / "small.png")

    def too_small(*_):
        raise InferenceError("an image of 9x9 is too small")

    monkeypatch.setattr(model.Model, "plan", too_small)
    assert run(weights, tmp_path, tmp_path / "small.png") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "small.png: an image of 9x9" in error


def test_out_is_looked_at_before_the_work(weights, photo, tmp_path, capsys, monkeypatch):
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(model.Model, "from_catalog", None)  # what comes later would fail
    assert run(weights, tmp_path / "file", tmp_path / "a.png") == 1
    assert "file" in capsys.readouterr().err


def test_all_heads_are_shown(photo, tmp_path, capsys):
    net = caffe.Net(_narrow("siftflow-fcn32s", tmp_path), caffe.TEST)
    random_weights.fill(net)
    for name in surgery.uses_upsampling(net):
        net.params[name][0].data[...] = 0.01
    net.save(str(tmp_path / "two.caffemodel"))
    two = model.Model(
        str(tmp_path / "narrow.prototxt"),
        str(tmp_path / "two.caffemodel"),
        (0, 0, 0),
        "score_sem",
        "score_geo",
    )
    experiment = catalog.experiment("siftflow-fcn32s")
    heads = loading.heads_of(experiment.dataset)
    assert [prefix for prefix, _, _ in heads] == ["", "geo"]
    Image.fromarray(photo).save(tmp_path / "p.png")
    options = infer.parse([str(tmp_path / "p.png"), "--out", str(tmp_path)])
    infer.Run(loading.Loaded("two", "", "CPU", two, heads, (64, 64), False), options).all()
    assert (tmp_path / "p_label.png").exists() and (tmp_path / "p_geo_label.png").exists()


def _narrow(name, folder):
    """The deploy prototxt of an experiment, a sixteenth as wide."""
    path = str(folder / "narrow.prototxt")
    with open(path, "w") as f:
        f.write(to_text(random_weights.narrowed(_description(name), 16)))
    return path


def test_a_similar_name_is_offered(tmp_path, capsys):
    assert infer.main(["--net", "camvid-fcn8", "photo.jpg"]) == 1
    assert "is camvid-fcn8s or" in capsys.readouterr().err


def test_the_tint_keeps_brightness_and_leaves_the_background_and_black():
    pixels = np.array([[[90, 120, 131], [200, 100, 0], [7, 8, 9]]] * 3, np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[1] = (128, 0, 0)
    label = np.zeros((3, 3), np.uint8)
    label[...] = 1
    mixed = overlay(pixels, label, palette, opacity=0.5)
    bright = np.array((77, 150, 29)) / 256
    assert abs(float(mixed[0, 0] @ bright) - float(pixels[0, 0] @ bright)) < 2
    assert mixed[0, 0, 0] > pixels[0, 0, 0] and mixed[0, 0, 2] < pixels[0, 0, 2]
    assert (overlay(pixels, label, palette, untouched=1) == pixels).all()
    assert (overlay(pixels, np.zeros_like(label), palette) == pixels).all()  # black
    assert (overlay(pixels, label, palette, opacity=0) == pixels).all()


def test_classes_are_outlined_in_their_own_colour():
    label = np.zeros((20, 20), np.uint8)
    label[:, 10:] = 1
    palette = np.full((256, 3), 50, np.uint8)
    palette[1] = (0, 255, 0)
    mixed = overlay(np.full((20, 20, 3), 99, np.uint8), label, palette)
    assert (mixed[:, 10] == (0, 255, 0)).all() and (mixed[:, 9] == 50).all()
    assert (mixed[:, :9] == mixed[0, 0]).all() and (mixed[0, 0] != 50).all()


def test_the_legend_shows_what_the_overlay_shows():
    label = np.zeros((100, 100), np.uint8)
    label[:50] = 1
    label[0, 0] = 4  # a ten thousandth
    picture = overlay(np.full((100, 100, 3), 77, np.uint8), label, toy.PALETTE, untouched=0)
    made = np.array(with_legend(picture, label, toy.CLASSES, toy.PALETTE))
    assert (made[:100, :100] == picture).all()
    below = {tuple(p) for p in made[100:].reshape(-1, 3)}
    assert tuple(picture[20, 20]) in below and tuple(toy.PALETTE[1]) in below
    assert tuple(picture[80, 80]) in below  # the background as it is
    assert tuple(toy.PALETTE[4]) not in below  # less than is worth a swatch
    label = np.repeat(label[:30], 40, axis=1)
    large = with_legend(np.full((30, 4000, 3), 77, np.uint8), label, toy.CLASSES, toy.PALETTE)
    assert large.height - 30 > 60  # text of a readable size, drawn at that size


def test_results_go_where_the_user_is_by_default():
    options = infer.parse(["a.png"])
    assert options.out == bootstrap.START
    assert options.jobs == [
        (os.path.join(bootstrap.START, "a.png"), os.path.join(bootstrap.START, "a"))
    ]


def test_what_the_program_has_already_counts(weights, monkeypatch):
    net = model.Model.from_catalog(NET, weights)
    needed = net.memory(300, 700)
    assert len(net.plan(300, 700, limit=int(needed * 1.5))) == 1
    monkeypatch.setattr(model, "resident", lambda: needed // 2)
    assert len(net.plan(300, 700, limit=int(needed * 1.5))) > 1
    monkeypatch.setattr(model, "resident", lambda: 0)
    assert len(net.plan(300, 700, limit=int(needed * 1.5), beside=needed // 2)) > 1
    assert memory.resident() > 50e6 or memory.resident() == 0


def test_a_name_that_is_no_utf8(weights, photo, tmp_path):
    """Through a pipe, where Python writes strictly: labelled, its bytes told as numbers."""
    os.makedirs(str(tmp_path / "in"))
    with open(os.path.join(os.fsencode(str(tmp_path / "in")), b"a\xff.png"), "wb") as file:
        Image.fromarray(photo).save(file, "PNG")
    command = [sys.executable, os.path.join(bootstrap.ROOT, "infer.py"), str(tmp_path / "in")]
    command += ["--net", NET, "--weights", weights, "--out", str(tmp_path / "out"), "--cpu"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and r"a\udcff.png: 173x131" in done.stdout, done.stdout
    assert os.listdir(os.fsencode(str(tmp_path / "out")))


def stdin_of(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_standard_input(weights, photo, tmp_path, capsys, monkeypatch):
    content = io.BytesIO()
    Image.fromarray(photo).save(content, "PNG")
    stdin_of(monkeypatch, content.getvalue())
    assert run(weights, tmp_path, "-", "--name", "mine", "--json") == 0
    np.testing.assert_array_equal(read_label(tmp_path / "mine_label.png"), expected(weights, photo))
    value = json.loads(capsys.readouterr().out)
    assert value["file"] == "-" and value["width"] == photo.shape[1]
    for content, words in ((b"", "standard input is empty"), (b"no image", "'standard input'")):
        stdin_of(monkeypatch, content)
        assert run(weights, tmp_path, "-") == 1
        assert words in capsys.readouterr().err


def test_json_is_all_that_is_printed(weights, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    assert run(weights, tmp_path, tmp_path / "a.png", tmp_path / "b.png", "--json") == 1
    printed = capsys.readouterr()
    good, bad = [json.loads(line) for line in printed.out.splitlines()]
    # What is damaged is found while the first waits for its batch.
    good, bad = (good, bad) if "classes" in good else (bad, good)
    want = expected(weights, photo)
    for found in good["classes"]:
        assert found["pixels"] == (want == found["number"]).sum()
        assert found["name"] == toy.CLASSES[found["number"]]
    assert sum(found["share"] for found in good["classes"]) == pytest.approx(1, abs=1e-4)
    assert [os.path.basename(f) for f in good["files"]] == ["a_label.png", "a_overlay.jpg"]
    assert good["seconds"] > 0 and good["tiles"] == 1 and not good["mostly_background"]
    assert set(bad) == {"file", "error"} and "b.png" in bad["error"]
    assert "knows" in printed.err.splitlines()[0]


def test_the_first_line_says_what_the_model_knows(weights, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "a.png")
    assert run(weights, tmp_path, tmp_path / "a.png") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"{NET} knows {len(toy.CLASSES)} classes: {', '.join(toy.CLASSES)}"


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


def test_one_of_a_batch_that_fails_does_not_take_the_others_along(
    weights, photo, tmp_path, capsys, monkeypatch
):
    for name in "abc":
        Image.fromarray(photo).save(tmp_path / f"{name}.png")
    write = infer.write

    def refuse(job, *rest):
        if job.path.endswith("b.png"):
            raise OSError(28, "No space left on device", job.target)
        return write(job, *rest)

    monkeypatch.setattr(infer, "write", refuse)
    assert run(weights, tmp_path, *(tmp_path / f"{name}.png" for name in "abc")) == 1
    assert "No space left" in capsys.readouterr().err
    assert (tmp_path / "a_label.png").exists() and (tmp_path / "c_label.png").exists()


def test_side_by_side_contact_sheet_and_palette(weights, photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "colours.txt").write_text("0 0 0\nstar\t1 2 3\n250 0 0\n")
    more = ("--side-by-side", "--contact-sheet", tmp_path / "sheet.png")
    more += ("--palette", tmp_path / "colours.txt")
    assert run(weights, tmp_path, tmp_path / "a.png", *more) == 0
    with Image.open(str(tmp_path / "a_side.jpg")) as side:
        with Image.open(str(tmp_path / "a_overlay.jpg")) as overlaid:
            assert side.width == photo.shape[1] + 6 + overlaid.width
            assert side.height == overlaid.height
        left = np.array(side)[: photo.shape[0], : photo.shape[1]].astype(int)
    assert np.abs(left - photo).mean() < 12
    assert (tmp_path / "sheet.png").exists()
    with Image.open(str(tmp_path / "a_label.png")) as label:
        assert label.getpalette()[:9] == [0, 0, 0, 1, 2, 3, 250, 0, 0]
    # Its own results, the sheet included, are no images to label.
    assert run(weights, tmp_path, tmp_path, *more) == 0
    assert not (tmp_path / "sheet_label.png").exists()


def test_a_palette_that_is_none(weights, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "p.txt").write_text("0 0 0\n1 2\n")
    assert run(weights, tmp_path, tmp_path / "a.png", "--palette", tmp_path / "p.txt") == 1
    assert "line 2: expected 'R G B'" in capsys.readouterr().err
    assert run(weights, tmp_path, tmp_path / "a.png", "--palette", "rainbow") == 1
    assert "datasets are camvid, " in capsys.readouterr().err
    assert run(weights, tmp_path, tmp_path / "a.png", "--palette", "voc") == 0


def test_what_it_does_not_know_is_said(weights, photo, tmp_path, capsys, monkeypatch):
    Image.fromarray(photo).save(tmp_path / "a.png")
    monkeypatch.setattr(labelling, "mostly_background", lambda *_: True)
    assert run(weights, tmp_path, tmp_path / "a.png") == 0
    assert "\n  mostly background: " in capsys.readouterr().out
