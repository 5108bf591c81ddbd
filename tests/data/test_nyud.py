"""NYUDv2 from its official files and from the prepared archive."""

import os
import shutil
import sys

import data_samples
import numpy as np
import pytest
import scipy.io
import true_files
from PIL import Image

from data import nyud
from data.preparing import hha, nyud_official

h5py = pytest.importorskip("h5py", reason="nyu_depth_v2_labeled.mat is HDF5")


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """The three official files, images 480 x 640."""
    return data_samples.nyud_official(tmp_path_factory.mktemp("official"), 2, test=(2,))


@pytest.fixture(scope="module")
def _small(tmp_path_factory):
    return data_samples.nyud_official(tmp_path_factory.mktemp("small"), size=(48, 64), test=(2,))


@pytest.fixture
def official(_small, monkeypatch):
    """The same with images of 48 x 64; 1 and 3 are for training, 2 for testing."""
    monkeypatch.setattr(nyud_official, "SIZE", (48, 64))
    monkeypatch.setattr(nyud_official, "CROP", (4, 46, 5, 60))
    return _small


def files_of(folder):
    return [
        os.path.join(str(folder), name)
        for name in ("nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat")
    ]


def pixels(path):
    with Image.open(str(path)) as image:
        return np.array(image)


def test_official_files(root, full_size):
    report = nyud.prepare(*files_of(full_size))
    assert report.problems == []
    assert (root / "data/nyud/trainval.txt").read_text() == "5001\n"
    assert (root / "data/nyud/test.txt").read_text() == "5002\n"
    rows, columns = slice(45, 470), slice(40, 600)
    with h5py.File(files_of(full_size)[0], "r") as file:
        for i in range(2):
            color = pixels(root / f"data/nyud/data/images/img_{5001 + i}.png")
            assert color.shape == (425, 560, 3)
            np.testing.assert_array_equal(
                color, file["images"][i].transpose(2, 1, 0)[rows, columns]
            )
            depth = pixels(root / f"data/nyud/data/depth/img_{5001 + i}.png")
            wanted = file["depths"][i].T[rows, columns].astype(float) * 1000
            assert abs(depth - wanted).max() <= 0.5001
            raw = file["labels"][i].T[rows, columns].astype(int)
            label = scipy.io.loadmat(str(root / f"data/nyud/segmentation/img_{5001 + i}.mat"))
            wanted = np.where(raw == 0, 0, (raw - 1) * 7 % 40 + 1)
            np.testing.assert_array_equal(label["segmentation"], wanted)
            assert label["segmentation"].dtype == np.uint8
    _check_hha(root)


def _check_hha(root):
    """The sample's room: a camera 1.4 m above a floor, looking down by 12 degrees at a wall."""
    found = pixels(root / "data/nyud/data/hha/img_5001.png").astype(int)
    depth = pixels(root / "data/nyud/data/depth/img_5001.png") / 1000
    np.testing.assert_array_equal(found[:, :, 0], np.floor(310 / depth + 0.5))
    # The sample's camera has its axis in the middle of the image, NYUDv2's is some pixels off.
    assert abs(found[400, 100:500, 2] - 38).max() <= 3 and abs(found[20, :, 2] - 128).max() <= 3
    assert found[-1, :, 1].max() <= 12 and 180 <= found[0, 280, 1] <= 200
    # In the hole the depth is filled in, but no plane is fitted to that.
    assert found[240 - 45 + 10, 80 - 40, 2] == 0 and found[240 - 45 + 40, 80 - 40, 2] > 0
    camera = hha.NYUD.cropped(45, 40)
    assert camera.cx == pytest.approx(325.582449 - 41) and camera.cy == pytest.approx(
        253.736166 - 46
    )


def test_it_goes_on_where_it_was_interrupted(root, official, monkeypatch):
    write, done = nyud_official._write, []

    def stop_in_the_second(official, index, classes, paths):
        if index == 1:
            paths = {"color": paths["color"], "depth": paths["depth"]}
            write(official, index, classes, paths)
            raise KeyboardInterrupt
        write(official, index, classes, paths)

    monkeypatch.setattr(nyud_official, "_write", stop_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        nyud.prepare(*files_of(official))
    assert not (root / "data/nyud/trainval.txt").exists()

    def note(official, index, classes, paths):
        done.append((index, sorted(paths)))
        write(official, index, classes, paths)

    monkeypatch.setattr(nyud_official, "_write", note)
    report = nyud.prepare(*files_of(official))
    assert report.problems == [] and "data/nyud: 3 images, 2 of them new" in report.done
    assert done == [(1, ["hha", "label"]), (2, ["color", "depth", "hha", "label"])]
    left = [name for _, _, names in os.walk(str(root)) for name in names if ".tmp-" in name]
    assert left == []
    assert "data/nyud: 3 images, 0 of them new" in nyud.prepare(*files_of(official)).done


def test_missing_files_are_named(root, official):
    report = nyud.prepare(files_of(official)[0], "/nowhere/splits.mat")
    assert len(report.problems) == 2
    assert report.problems[0].startswith("no file '/nowhere/splits.mat': --splits is splits.mat")
    assert report.problems[1].startswith("--mapping is classMapping40.mat")


def changed(official, folder, number, **variables):
    """The official files with one of the small ones replaced."""
    paths = files_of(official)
    paths[number] = os.path.join(str(folder), os.path.basename(paths[number]))
    scipy.io.savemat(paths[number], variables)
    return paths


@pytest.mark.parametrize(
    "number, variables, message",
    [
        (1, {"other": 1}, "has neither trainNdxs and testNdxs nor trainval and test; it has other"),
        (
            1,
            {"trainNdxs": np.array([[1.0], [4.0]]), "testNdxs": np.array([[2.0]])},
            "trainval has numbers 1 to 4, but there are 3 images",
        ),
        (2, {"other": 1}, "has no mapClass"),
        (
            2,
            {"mapClass": np.ones((1, 59))},
            "mapClass has 59 numbers from 1 to 1; expected 60 from 1",
        ),
        (
            2,
            {"mapClass": np.full((1, 60), 41)},
            "60 numbers from 41 to 41; expected 60 from 1 to 40",
        ),
        (
            2,
            {"mapClass": np.ones((1, 60)), "className": np.array([["floor", "wall"]], object)},
            "className 1 of 2 is 'floor'; expected 'wall', of 40",
        ),
    ],
)
def test_files_of_another_kind(root, official, tmp_path, number, variables, message):
    report = nyud.prepare(*changed(official, tmp_path, number, **variables))
    assert len(report.problems) == 1 and message in report.problems[0]


def test_the_split_of_gupta_has_train_and_val(root, official, tmp_path):
    paths = changed(
        official,
        tmp_path,
        1,
        trainval=[[5001], [5003]],
        test=[[5002]],
        train=[[5003]],
        val=[[5001]],
    )
    assert nyud.prepare(*paths).problems == []
    assert (root / "data/nyud/train.txt").read_text() == "5003\n"
    assert (root / "data/nyud/val.txt").read_text() == "5001\n"


def test_a_damaged_or_other_labelled_file(root, official, tmp_path):
    paths = files_of(official)
    paths[0] = str(tmp_path / "cut.mat")
    with open(files_of(official)[0], "rb") as whole, open(paths[0], "wb") as cut:
        cut.write(whole.read(5000))
    assert "is the download complete?" in nyud.prepare(*paths).problems[0]
    with h5py.File(paths[0], "w") as file:
        file["images"] = np.zeros((1, 3, 64, 48), np.uint8)
    assert (
        "has no depths, rawDepths, labels, names; expected nyu_depth"
        in nyud.prepare(*paths).problems[0]
    )
    with h5py.File(paths[0], "a") as file:
        for key in ("depths", "rawDepths", "labels"):
            file[key] = np.zeros((1, 64, 49), np.float32)
        file["names"] = 0
    assert "depths is (1, 64, 49); expected (1, 64, 48)" in nyud.prepare(*paths).problems[0]


def test_without_h5py(root, official, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    problems = nyud.prepare(*files_of(official)).problems
    assert len(problems) == 1 and problems[0].endswith("needs h5py: pip install h5py")


def test_a_pixel_without_depth_is_named(root, official, tmp_path):
    paths = files_of(official)
    paths[0] = str(shutil.copy(paths[0], str(tmp_path)))
    with h5py.File(paths[0], "a") as file:
        file["depths"][1, 30, 20] = 0
    problem = nyud.prepare(*paths).problems[0]
    assert "depths of image 2 hold 0.0 m at x=30, y=20; expected 0.001 to 65.535" in problem


def test_the_prepared_archive(root, tmp_path):
    data_samples.nyud(tmp_path / "made")
    (tmp_path / "made/trainval.txt").unlink()
    (tmp_path / "downloads").mkdir()
    true_files.tar_of(tmp_path / "made", tmp_path / "downloads/nyud.tar.gz", "nyud", "w:gz")
    report = nyud.prepare(archives=str(tmp_path / "downloads"))
    assert report.problems == []
    # The archive has no trainval.txt, which the nets read: it is train.txt and val.txt.
    assert (root / "data/nyud/trainval.txt").read_text() == "5003\n5004\n5005\n"
    assert any(
        "trainval.txt lists 3 images; the published list has 795" in note for note in report.notes
    )
    assert sorted(os.listdir(str(root / "data/nyud"))) == [
        ".unpacked-nyud.tar.gz",
        "data",
        "segmentation",
        "test.txt",
        "train.txt",
        "trainval.txt",
        "val.txt",
    ]


def test_a_folder_and_the_published_lists(root, tmp_path):
    data_samples.nyud(tmp_path / "made")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/test.txt").write_text("5002\n5001")  # no newline at its end
    report = nyud.prepare(source=str(tmp_path / "made"), lists=str(tmp_path / "lists"))
    assert report.problems == []
    assert os.path.islink(str(root / "data/nyud"))
    assert (root / "data/nyud/test.txt").read_text() == "5002\n5001\n"


def test_nothing_there(root):
    report = nyud.prepare()
    assert "no 'data/nyud'" in report.problems[0] and "--labeled" in report.notes[0]


def replace_depth(folder, values):
    Image.fromarray(values).save(str(folder / "data/depth/img_5001.png"))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda f: (f / "data/hha/img_5001.png").unlink(),
            "1 of 5 files are missing, the first is 'data/nyud/data/hha/img_5001.png'",
        ),
        (
            lambda f: replace_depth(f, np.ones((3, 4), np.uint8)),
            "depth/img_5001.png' is a L image; expected 16-bit",
        ),
        (
            lambda f: replace_depth(f, np.ones((3, 4), np.uint16)),
            "images/img_5001.png' is 47x43, 'data/nyud/data/depth/img_5001.png' is 4x3",
        ),
        (
            lambda f: replace_depth(f, np.zeros((3, 4), np.uint16)),
            "holds 0 at x=0, y=0 (12 pixels)",
        ),
        (
            lambda f: scipy.io.savemat(str(f / "segmentation/img_5001.mat"), {"other": 1}),
            "cannot read segmentation in the label",
        ),
        (lambda f: (f / "test.txt").unlink(), "no 'data/nyud/test.txt'"),
        (
            lambda f: (f / "test.txt").write_text("5001\n5003\n"),
            "1 images are in trainval.txt and in test.txt, such as '5003'",
        ),
    ],
)
def test_what_is_wrong_is_said(root, tmp_path, spoil, message):
    data_samples.nyud(tmp_path / "made", test=("5001",), trainval=("5003", "5004", "5005", "5006"))
    spoil(tmp_path / "made")
    problems = nyud.prepare(source=str(tmp_path / "made")).problems
    assert len(problems) == 1 and message in problems[0]


def test_the_command_line(official, tmp_path, monkeypatch, capsys):
    """Paths of the user are taken from where the program is started."""
    (tmp_path / "root").mkdir()
    monkeypatch.setattr(nyud, "ROOT", str(tmp_path / "root"))
    monkeypatch.chdir(official)
    monkeypatch.setattr(
        "sys.argv",
        [
            "nyud.py",
            "--labeled",
            "nyu_depth_v2_labeled.mat",
            "--splits",
            "splits.mat",
            "--mapping",
            "classMapping40.mat",
        ],
    )
    with pytest.raises(SystemExit) as ended:
        nyud.main()
    assert ended.value.code == 0 and "3 images, 3 of them new" in capsys.readouterr().out
    assert (tmp_path / "root/data/nyud/test.txt").exists()


def test_class_names_in_the_order_of_the_nets_outputs():
    assert len(nyud.CLASSES) == len(set(nyud.CLASSES)) == 40
    assert [nyud.CLASSES[i] for i in (0, 1, 21, 23, 39)] == [
        "wall",
        "floor",
        "ceiling",
        "refridgerator",
        "otherprop",
    ]
    assert nyud.PALETTE.shape == (256, 3)
