"""PASCAL-Context from its archives."""

import shutil

import numpy as np
import true_files

from data import pascalcontext

# PASCAL-Context

RAW = [f"thing {i}" for i in range(1, 401)]


def make_context(folder, downloads, names=None, task=None):
    """VOC 2010 and the labels in archives; raw classes: 400 others, then the 59."""
    task = pascalcontext.CLASSES[1:] if task is None else task
    spelling = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
    names = (
        RAW + [spelling.get(n, n) for n in pascalcontext.CLASSES[1:]] if names is None else (names)
    )
    true_files.tar_of(
        true_files.voc_tree(folder / "v10", ("2008_000002",), ("2008_000003",), main=True),
        downloads / "VOCtrainval_03-May-2010.tar",
        "VOCdevkit/VOC2010",
    )
    (folder / "trainval").mkdir()
    for i, name in enumerate(("2008_000002", "2008_000003")):
        true_files.context_mat(
            folder / "trainval" / (name + ".mat"),
            np.random.RandomState(i).randint(0, 460, (12, 16)),
        )
    true_files.tar_of(folder / "trainval", downloads / "trainval.tar.gz", "trainval", "w:gz")
    (downloads / "labels.txt").write_text(
        "".join(f"{i}: {name}\n" for i, name in enumerate(names, 1))
    )
    (downloads / "59_labels.txt").write_text(
        "".join(f"{i}: {name}\n" for i, name in enumerate(task, 1))
    )


def test_context(root, tmp_path):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    make_context(tmp_path, downloads)
    for _ in range(2):
        report = pascalcontext.prepare(archives=str(downloads))
        assert report.problems == []
    assert any("59 of 459 raw classes" in line for line in report.done)
    assert any("train.txt lists 1 images; VOC 2010 has 4998" in note for note in report.notes)
    folder = root / "data/pascal-context"
    assert (folder / "trainval/2008_000003.mat").exists() and (folder / "labels.txt").exists()
    (folder / "59_labels.txt").unlink()  # it is nothing but the published names
    report = pascalcontext.prepare()
    assert report.problems == [] and any("59_labels.txt: written" in line for line in report.done)
    (folder / "labels.txt").unlink()
    shutil.rmtree(str(folder / "trainval"))
    (folder / "trainval").mkdir()
    report = pascalcontext.prepare()
    assert any("2 of 2 files are missing" in p and "2008_000002.mat" in p for p in report.problems)
    assert any("get labels.txt" in p for p in report.problems)


def test_context_names_in_another_order_are_noticed(root, tmp_path):
    task = list(pascalcontext.CLASSES[1:])
    task[4], task[5] = task[5], task[4]
    make_context(tmp_path, tmp_path, task=task)
    report = pascalcontext.prepare(archives=str(tmp_path))
    assert any("from number 5 on: expected bottle" in p for p in report.problems)


def test_context_name_that_the_long_list_lacks(root, tmp_path):
    make_context(tmp_path, tmp_path, names=RAW + list(pascalcontext.CLASSES[1:]))
    report = pascalcontext.prepare(archives=str(tmp_path))
    assert any("has no 'table', which 59_labels.txt names" in p for p in report.problems)
