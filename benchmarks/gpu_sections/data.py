"""What data layers send up: pictures as bytes, which become the CPU's numbers on the device."""

import os
import tempfile

import numpy as np
from PIL import Image

import bootstrap  # noqa: F401 - puts the data layers on the path
import caffe
from caffe import layers
from gpu_sections.machine import Machine
from gpu_sections.traffic import traffic
from gpu_sections.training import generate

PASSES = 5
#: name -> the settings of an ImageData layer's transformer.
TRANSFORMS = {
    "as they are": {},
    "mean, scale": {"mean_value": [104, 117, 123], "scale": 0.017},
    "crops, mirrored": {"mean_value": [104, 117, 123], "crop_size": 40, "mirror": True},
}
PICTURES, SIZE = 6, (64, 56)


def run(record):
    machine = Machine(record.options.device)
    with tempfile.TemporaryDirectory() as folder:
        write(folder)
        for name, transform in TRANSFORMS.items():
            with record.step(f"ImageData, {name}"):
                compare(record, machine, f"ImageData, {name}", image_data(folder, transform))
        for name, settings in python_layers(folder).items():
            with record.step(name):
                compare(record, machine, name, python_data(settings))


def write(folder):
    rng = np.random.RandomState(1)
    with open(os.path.join(folder, "list.txt"), "w") as stream:
        for number in range(PICTURES):
            pixels = rng.randint(0, 256, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
            Image.fromarray(pixels).save(os.path.join(folder, f"{number}.png"))
            stream.write(f"{number}.png {number}\n")
    camvid = os.path.join(folder, "camvid")
    os.makedirs(camvid)
    generate(camvid, PICTURES)


def image_data(folder, transform):
    spec = caffe.NetSpec()
    source = {"source": f"{folder}/list.txt", "root_folder": folder + "/", "batch_size": 2}
    spec.data, spec.label = layers.ImageData(
        image_data_param=source, transform_param=transform, ntop=2
    )
    return spec.to_proto()


def python_layers(folder):
    """name -> settings of CamVid's data layer."""
    common = {"camvid_dir": os.path.join(folder, "camvid"), "split": "train", "seed": 3}
    common["mean"] = (104.0, 116.7, 122.7)
    light = {"crop": (96, 128), "mirror": True, "scale": (0.7, 1.2), "light": 0.3, "color": 0.2}
    return {
        "CamVid's layer": dict(common, batch_size=1),
        "CamVid's layer, augmented": dict(common, batch_size=2, **light),
    }


def python_data(settings):
    spec = caffe.NetSpec()
    spec.data, spec.label = layers.Python(
        module="camvid_layers", layer="CamVidSegDataLayer", param_str=repr(settings), ntop=2
    )
    return spec.to_proto()


def compare(record, machine, name, param):
    """The bits of some batches, and what went up for them."""
    machine.leave()
    expected = batches(net_of(param), PASSES)
    machine.enter()
    net = net_of(param)
    found = batches(net, PASSES)
    same = sum(np.array_equal(a, b) for a, b in zip(expected, found))
    text = f"{same} of {len(expected)} arrays equal bit for bit"
    record.check(name, same == len(expected) == len(found), text)
    if machine.name not in ("gpu", "pretend"):
        return
    seen = traffic(machine, lambda: run_passes(net, PASSES))
    if not seen.seen:
        record.left_out(f"{name}: pictures go up as bytes", "the profiler sees nothing here")
        return
    pictures, labels = (sum(array.size for array in expected[k::2]) for k in (0, 1))
    # Labels go up as float32, or wait on the host; with new light each picture has new tables.
    most = pictures + 4 * labels + PASSES * 2 * 3 * 256 * 4 + 1000
    text = f"{seen.up} bytes for {pictures} numbers of pictures and {labels} labels"
    record.check(f"{name}: pictures go up as bytes", pictures <= seen.up <= most, text)
    record.check(f"{name}: nobody waits", not seen.waits, seen.waited() or "nobody")


def net_of(param):
    caffe.set_random_seed(9)
    param.state.phase = caffe.TRAIN
    return caffe.Net.from_param(param)


def run_passes(net, number):
    for _ in range(number):
        net._forward(0, len(net.layers) - 1)


def batches(net, number):
    """Data and label of each pass."""
    found = []
    for _ in range(number):
        run_passes(net, 1)
        found += [net.blobs[name].data.copy() for name in ("data", "label")]
    return found
