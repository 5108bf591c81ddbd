"""Several GPUs in one process: nets in threads of their own, a device changed mid-way, and data
layers that read ahead meanwhile; on the pretend GPUs."""

import threading

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe import device as devices
from caffe import layers as L

STEPS = 5


def write_pictures(folder, count=7):
    rng = np.random.RandomState(2)
    for n in range(count):
        pixels = rng.randint(0, 256, (12, 10, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{n}.png")
    (folder / "list.txt").write_text("".join(f"{n}.png {n % 3}\n" for n in range(count)))


def write_solver(folder, name, pad=1):
    n = caffe.NetSpec()
    n.data, n.label = L.ImageData(
        image_data_param=dict(
            source=f"{folder}/list.txt", root_folder=f"{folder}/", batch_size=2, shuffle=True
        ),
        transform_param=dict(mean_value=[100, 110, 120], scale=0.02, mirror=True, crop_size=8),
        ntop=2,
    )
    n.conv = L.Convolution(
        n.data, num_output=4, kernel_size=3, pad=pad, weight_filler=dict(type="xavier")
    )
    n.relu = L.ReLU(n.conv, in_place=True)
    n.pool = L.Pooling(n.relu, kernel_size=2, stride=2)
    n.ip = L.InnerProduct(n.pool, num_output=3, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.ip, n.label)
    path = folder / f"{name}.prototxt"
    path.write_text(
        f"train_net_param {{ {n.to_proto()} }} base_lr: 0.05 momentum: 0.9 lr_policy: 'fixed' "
        "weight_decay: 0.01 random_seed: 4"
    )
    return str(path)


def train(path, moves=()):
    """The weights after some steps; ``moves[k]()`` is called before step k."""
    solver = caffe.get_solver(path)
    for k in range(STEPS):
        if k < len(moves) and moves[k] is not None:
            moves[k]()
        solver.step(1)
    return [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]


def on_cpu(path):
    devices.set_mode_cpu()
    return train(path)


def assert_near(found, expected):
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pad", [1, 20])
def test_the_device_changes_mid_way_while_pictures_are_read_ahead(pretend, tmp_path, pad):
    write_pictures(tmp_path)
    path = write_solver(tmp_path, "solver", pad)
    expected = on_cpu(path)
    pretend.set_mode_pretend(0)
    moves = [
        None,
        lambda: pretend.set_mode_pretend(1),
        devices.set_mode_cpu,
        lambda: pretend.set_mode_pretend(1),
        lambda: pretend.set_mode_pretend(0),
    ]
    assert_near(train(path, moves), expected)


def test_nets_of_different_devices_in_threads_of_their_own(pretend, tmp_path):
    write_pictures(tmp_path)
    paths = [write_solver(tmp_path, f"s{k}", pad) for k, pad in enumerate((1, 20, 20))]
    expected = [on_cpu(path) for path in paths]
    places = [
        lambda: pretend.set_mode_pretend(0),
        lambda: pretend.set_mode_pretend(1),
        devices.set_mode_cpu,
    ]
    found, failures = [None] * 3, []

    def work(k):
        try:
            places[k]()
            found[k] = train(paths[k])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures and all(f is not None for f in found)
    for one, other in zip(found, expected):
        assert_near(one, other)
    assert devices.current().name == "cpu", "this thread's own device stays"
