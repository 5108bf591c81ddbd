"""infer.py --onnx: an exported net labels as the net itself does."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx", reason="needs the extra: pip install 'pycaffe-torch[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'pycaffe-torch[onnx]'")

import bootstrap
import infer
from caffe.export import to_onnx
from fcn import catalog
from fcn.geometry.ops import InferenceError
from fcn.inference.exported import ExportedModel

pytestmark = pytest.mark.slow

NET = "camvid-fcn8s"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported")
    deploy = catalog.net_path(NET, "deploy")
    weights = str(bootstrap.ROOT) + f"/nets/{NET}/{NET}.caffemodel"
    mean = catalog.experiment(NET).dataset.inputs[0].mean
    shapes = {"data": (1, 3, 40, 60)}
    to_onnx(deploy, weights, path / "free.onnx", dynamic=True, shapes=shapes)
    to_onnx(deploy, weights, path / "fixed.onnx", shapes=shapes, mean=mean, rgb=True)
    random = np.random.RandomState(0).uniform(0, 255, (9, 12, 3)).astype(np.uint8)
    Image.fromarray(random).resize((70, 50), Image.BICUBIC).save(str(path / "p.png"))
    return path


def label(folder, *arguments):
    given = [str(folder / "p.png"), "--net", NET, "--out", str(folder), "--cpu", *arguments]
    assert infer.main(given) == 0
    with Image.open(str(folder / "p_label.png")) as image:
        return np.array(image)


@pytest.mark.slow
def test_the_label_map_is_the_nets_own(folder, capsys):
    right = label(folder, "--size", "native")
    assert len(np.unique(right)) > 1
    got = label(folder, "--size", "native", "--onnx", str(folder / "free.onnx"))
    assert "free.onnx on the CPU, by ONNX Runtime" in capsys.readouterr().out
    assert (got == right).mean() > 0.999  # rounding may decide between equal scores


@pytest.mark.slow
def test_a_file_of_one_size_that_prepares_its_images(folder, capsys):
    got = label(folder, "--onnx", str(folder / "fixed.onnx"))
    assert got.shape == (50, 70)
    assert "labelled at 60x40" in capsys.readouterr().out


@pytest.mark.slow
def test_a_file_of_another_net_is_refused(folder, capsys):
    given = [str(folder / "p.png"), "--net", "voc-fcn4s-lite0", "--onnx"]
    assert infer.main([*given, str(folder / "free.onnx"), "--out", str(folder)]) == 1
    assert "expected scores of 21 classes" in capsys.readouterr().err
    (folder / "text.onnx").write_text("no graph")
    with pytest.raises(InferenceError, match="no ONNX file that can be run"):
        ExportedModel(str(folder / "text.onnx"), (0, 0, 0), ["score"], [2])


def test_other_options_of_a_net_do_not_go_with_it(folder, capsys):
    for more in (["--gpu", "0"], ["--weights", "w"], ["--classes", "c"]):
        with pytest.raises(SystemExit):
            infer.main(["p.png", "--onnx", "m.onnx", *more])
        assert "--onnx" in capsys.readouterr().err
