"""Starting a net loads of PyTorch what ``import torch`` loads, and no more.

The rest comes in through side doors and takes seconds: arithmetic on meta tensors, for one, loads
PyTorch's compiler and SymPy.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from data_samples import camvid, photo, rectangles
from PIL import Image

ROOT = Path(__file__).parent.parent
SETTING_UP = """
import json, os, sys
import numpy as np, torch
import bootstrap, runpy, ssd_nets, warnings
from nets import classifiers

TRAINING = '''
layer { name: "in" type: "Input" top: "x" top: "t"
  input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "t" top: "loss" }
'''

def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as stream:
        stream.write(text)
    return path

def filled(text, shape=None, passes=1):
    net = caffe.Net(write("net", text), caffe.TEST)
    rng = np.random.RandomState(0)
    for blobs in net.params.values():
        for blob in blobs:
            if blob.count < 1 << 22:
                blob.data[...] = abs(rng.randn(*blob.data.shape)) * 0.1
    if shape:
        net.blobs["data"].reshape(*shape)
    for _ in range(passes):
        net.forward()
    return net

def command(name, *arguments):
    sys.argv = [name, *arguments]
    try:
        runpy.run_path(name, run_name="__main__")
    except SystemExit as status:
        assert not status.code, status

warnings.simplefilter("ignore")
before = set(sys.modules)
folder = sys.argv[1]
"""
#: name -> code.  All run one after the other in one process, and each may use what is before it.
CASES = {
    "import": "import caffe; caffe.Net, caffe.SGDSolver, caffe.Classifier, caffe.Detector",
    "nets with BatchNorm": """
for name in ("mobilenet2", "resnet50"):
    filled(str(classifiers.build(name, "deploy")))
""",
    "SSD": "filled(ssd_nets.mobilenet_ssd(width=8)), filled(ssd_nets.face_ssd(8))",
    "FCN-8s": "filled(open('nets/voc-fcn8s/deploy.prototxt').read(), (1, 3, 32, 32))",
    "a net that is compiled": """
from caffe.kernels import compiled
make, made = compiled.compiled, []
compiled.compiled = lambda *given: made.append(make(*given)) or made[-1]
filled(str(classifiers.build("cifar10-full", "deploy")), passes=30)
from caffe import native
assert any(made) or native.available() or not compiled.available()
""",
    "training steps": """
for kind in ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"):
    net = write("train", TRAINING)
    more = "" if kind in ("AdaGrad", "RMSProp") else "momentum: 0.9"
    text = f'train_net: "{net}" type: "{kind}" lr_policy: "fixed" base_lr: 0.01 {more}'
    caffe.get_solver(write("solver", text)).step(2)
""",
    "infer.py": "command('infer.py', f'{folder}/photos/0.png', '--out', f'{folder}/labels')",
    "score.py": """
command("score.py", "camvid-fcn8s", "--data", f"{folder}/camvid", "--out", f"{folder}/scores")
""",
    "train.py": """
given = [f"--images={folder}/photos", f"--masks={folder}/masks", f"--out={folder}/run", "--cpu"]
command("train.py", *given, "--start", "scratch", "--steps", "2")
""",
}
TELLING = """
found = sorted(set(sys.modules) - before)
print("NEW " + json.dumps([{name!r}, found]), flush=True)
before.update(found)
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Case → the modules that came in with it."""
    import numpy as np

    folder = tmp_path_factory.mktemp("start")
    rng = np.random.RandomState(0)
    camvid(str(folder / "camvid"))
    for name in ("photos", "masks"):
        (folder / name).mkdir()
    for i in range(4):
        Image.fromarray(photo(48, 64, rng)).save(folder / "photos" / f"{i}.png")
        Image.fromarray(rectangles(48, 64, [0, 1], rng)).save(folder / "masks" / f"{i}.png")
    script = SETTING_UP
    for name, code in CASES.items():
        script += code + "\n" + TELLING.format(name=name)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=path, FCN_HOME=str(folder), GLOG_minloglevel="2"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("NEW ")]
    return dict(json.loads(line[4:]) for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_no_more_of_pytorch_is_loaded_than_import_torch_loads(loaded, case):
    families = {"torch", "torchgen", "sympy", "mpmath", "networkx", "functorch"}
    found = [name for name in loaded[case] if name.partition(".")[0] in families]
    assert not found, f"{len(found)} modules: {', '.join(found[:20])}"


@pytest.mark.slow
def test_a_photo_does_not_load_all_formats_that_pillow_knows(loaded):
    photos = {"PIL.JpegImagePlugin", "PIL.PngImagePlugin"}
    found = [name for name in loaded["infer.py"] if name.endswith("ImagePlugin")]
    assert photos <= set(found) and "PIL.PdfImagePlugin" not in found, found


def test_no_tensor_lives_on_the_meta_device():
    """The first arithmetic on one loads PyTorch's compiler; a tensor of one number, expanded, has
    a shape and takes no memory as well."""
    for path in sorted((ROOT / "src" / "caffe").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert 'device="meta"' not in text and 'to("meta")' not in text, path
