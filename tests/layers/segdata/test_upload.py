"""Pictures that go up as bytes: a quarter of the copies, and the numbers of the CPU."""

import pytest

devices = pytest.importorskip("caffe.device", reason="BVLC Caffe chooses its device otherwise")

AUGMENTED = (
    dict(batch_size=1),
    dict(batch_size=2, crop=(16, 24), mirror=True, scale=(0.5, 1.2), light=0.3, color=0.2),
)


def params(voc_dir, **more):
    return dict(voc_dir=str(voc_dir), split="train", seed=7, mean=(104.0, 116.7, 122.7), **more)


def batches(net, number=3):
    served = []
    for _ in range(number):
        net.forward()
        served.append([net.blobs[name].data.tobytes() for name in ("data", "label")])
    return served


@pytest.mark.parametrize("more", AUGMENTED, ids=["whole", "augmented"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.cpu_only
def test_every_device_gets_the_same_numbers(data_net, voc_dir, more, workers):
    if workers > 1 and "crop" not in more:
        pytest.skip("one size is enough")
    settings = params(voc_dir, workers=workers, **more)
    on_the_cpu = batches(data_net("voc_layers", "VOCSegDataLayer", settings))
    devices.set_mode_mirror()
    net = data_net("voc_layers", "VOCSegDataLayer", settings)
    assert batches(net) == on_the_cpu
    devices.set_mode_cpu()
    net.layers[0].seek(0)  # a net that was made for a GPU serves on the CPU too
    assert batches(net) == on_the_cpu


def test_a_picture_goes_up_as_bytes_and_nobody_waits(data_net, voc_dir, pretend):
    settings = params(voc_dir, batch_size=2, crop=(16, 24))
    net = data_net("voc_layers", "VOCSegDataLayer", settings)
    net.forward()  # tables and places go up once
    with pretend.counting() as counts:
        net.forward()
    assert counts["sync"] == 0, counts.lines("sync")
    assert counts["H2D bytes"] == 2 * 3 * 16 * 24, counts.lines("H2D bytes")
    assert counts["H2D"] == 1
