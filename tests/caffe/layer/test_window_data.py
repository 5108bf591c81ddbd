"""WindowData: what the files must hold, where a window goes, and what is drawn."""

import numpy as np
import pytest
from harness import TEST, TRAIN, Rig
from PIL import Image

from caffe import rng
from caffe.data import mean_file
from caffe.errors import DataError, LayerError
from caffe.layer._window import read_windows

WINDOWS = """# 0
a.png 3 20 30 3
2 0.9 0 0 29 19
1 0.5 4 5 13 14
0 0.1 10 0 19 9
# 1
b.png 3 16 16 1
5 0.49 3 3 3 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The window file and its images in the working directory; a.png counts up along x."""
    monkeypatch.chdir(tmp_path)
    ramp = np.broadcast_to(np.arange(30, dtype=np.uint8)[None, :, None], (20, 30, 3)).copy()
    ramp[:, :, 2] += 100  # blue
    Image.fromarray(ramp).save("a.png")
    Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).save("b.png")
    (tmp_path / "windows.txt").write_text(WINDOWS)
    return tmp_path


def layer(window="", transform="crop_size: 10", batch=4, phase=TRAIN):
    source = f'source: "windows.txt" batch_size: {batch}'
    return Rig(
        f'type: "WindowData" window_data_param {{ {source} {window} }} '
        f"transform_param {{ {transform} }}",
        tops=2,
        phase=phase,
    )


def test_background_first_then_foreground(folder, device):
    rig = layer("fg_fraction: 0.5")
    data = rig.forward()
    assert data.shape == (4, 3, 10, 10)
    labels = rig.top[1].data.tolist()
    assert labels[:2] == [0, 0] and set(labels[2:]) <= {1, 2}


def test_a_window_of_the_crop_s_size_is_copied(folder):
    rig = layer("fg_fraction: 0 bg_threshold: 0.2", batch=1)  # the one at x 10 to 19
    data = rig.forward()[0]
    np.testing.assert_array_equal(data[1:], np.broadcast_to(np.arange(10.0, 20), (2, 10, 10)))
    np.testing.assert_array_equal(data[0], data[1] + 100)  # BGR


def test_scale_mean_and_mirror(folder):
    window = "fg_fraction: 0 bg_threshold: 0.2 scale: 2"
    transform = "crop_size: 10 mirror: true mean_value: 1 mean_value: 2 mean_value: 3"
    rig = layer(window, transform, batch=1)
    ramp = np.arange(10.0, 20)
    seen = {rig.forward()[0, :, 0].tobytes() for _ in range(40)}
    lines = np.stack([ramp + 100 - 1, ramp - 2, ramp - 3]) * 2
    assert seen == {x.astype(np.float32).tobytes() for x in (lines, lines[:, ::-1])}


def test_the_middle_of_a_mean_image(folder):
    mean = np.arange(3 * 14 * 14, dtype=np.float32).reshape(3, 14, 14)
    mean_file.write("mean.binaryproto", mean)
    window = "fg_fraction: 0 bg_threshold: 0.2"
    plain = layer(window, batch=1).forward()
    found = layer(window, 'crop_size: 10 mean_file: "mean.binaryproto"', batch=1).forward()
    np.testing.assert_array_equal(found[0], plain[0] - mean[:, 2:12, 2:12])
    mean_file.write("mean.binaryproto", mean[:, :8])
    with pytest.raises(DataError, match="expected 3 channels and at least the crop of 10 x 10"):
        layer(window, 'crop_size: 10 mean_file: "mean.binaryproto"')


def test_a_seed_repeats_the_batches(folder):
    def batches():
        rng.set_random_seed(3)
        rig = layer(transform="crop_size: 10 mirror: true")
        return [rig.forward() for _ in range(3)]

    for first, second in zip(batches(), batches()):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("transform", "phase", "words"),
    [("", TRAIN, 4), ("", TEST, 2), ("mirror: true", TEST, 4)],
)
def test_words_drawn_from_caffe_s_stream(folder, transform, phase, words):
    rng.set_random_seed(1)
    stream = rng.get().u32(10)
    rng.set_random_seed(1)
    layer(transform="crop_size: 10 " + transform, phase=phase).forward()
    assert rng.get().u32(1)[0] == stream[words]


def test_cached_files_are_read_once(folder):
    rng.set_random_seed(4)
    expected = layer().forward()
    rng.set_random_seed(4)
    rig = layer("cache_images: true")
    for name in ("a.png", "b.png"):
        (folder / name).unlink()
    np.testing.assert_array_equal(rig.forward(), expected)


def test_root_folder_and_thresholds(folder):
    found = read_windows("windows.txt", "there/", 0.9, 0.5)
    assert found.images == ["there/a.png", "there/b.png"]
    assert found.foreground.tolist() == [[0, 2, 0, 0, 29, 19]]
    assert found.background.tolist() == [[0, 0, 10, 0, 19, 9], [1, 0, 3, 3, 3, 3]]
    assert len(read_windows("windows.txt", "", 0.5, 0.2).background) == 1  # 0.49 is neither


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (WINDOWS, "", "Window file is empty"),
        ("# 1", "! 1", r"windows.txt:6: expected '# index', the next image, got '!'"),
        ("# 1", "# 7", "image index 7, but there are 2 images"),
        ("a.png 3", "a.png 1", "expected 3, images are read in colour"),
        ("2 0.9 0", "0 0.9 0", "windows.txt:3: a foreground window .* has class 0"),
        ("10 0 19 9", "10 x 19 9", "windows.txt:5: expected a window's y1, a number, got 'x'"),
        ("16 16 1", "16 16 2", "the file ends where a window's class is expected"),
    ],
)
def test_bad_window_files(folder, old, new, message):
    (folder / "windows.txt").write_text(WINDOWS.replace(old, new))
    with pytest.raises(DataError, match=message):
        layer()


def test_a_missing_image_leaves_the_layer_usable(folder):
    rig = layer("fg_fraction: 1")
    picture = (folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    with pytest.raises(DataError, match=r"layer 'layer'.*Could not open or find file a.png"):
        rig.forward()
    (folder / "a.png").write_bytes(picture)
    rig.forward()
    (folder / "a.png").unlink()
    with pytest.raises(DataError, match="Could not open or find file"):
        layer("cache_images: true")
    (folder / "windows.txt").unlink()
    with pytest.raises(DataError, match="Failed to open window file windows.txt"):
        layer()


def test_windows_outside_the_image(folder):
    (folder / "windows.txt").write_text(WINDOWS.replace("10 0 19 9", "10 0 30 9"))
    with pytest.raises(DataError, match="x 10 to 30, y 0 to 9 of a.png has nothing inside"):
        layer("fg_fraction: 0 bg_threshold: 0.2").forward()


@pytest.mark.parametrize(
    ("window", "transform", "message"),
    [
        ("", "", "crop_size . must be positive"),
        ("crop_mode: 'round'", "crop_size: 10", "crop_mode must be"),
        ("context_pad: 5", "crop_size: 10", "leaves nothing of a crop_size"),
        ("fg_fraction: 2", "crop_size: 10", "between 0 and 1"),
        ("", "crop_size: 10 mean_value: 1 mean_value: 2", "Specify either 1 mean_value"),
        ("", "crop_size: 10 mean_value: 1 mean_file: 'x'", "at the same time"),
        ("fg_threshold: 0.95 fg_fraction: 1", "crop_size: 10", "no foreground window"),
        ("bg_threshold: 0", "crop_size: 10", "no background window"),
    ],
)
def test_bad_settings(folder, window, transform, message):
    with pytest.raises((LayerError, DataError), match=message):
        layer(window, transform)


def test_batch_size_must_be_positive(folder):
    with pytest.raises(LayerError, match="batch_size must be positive"):
        layer(batch=0)
