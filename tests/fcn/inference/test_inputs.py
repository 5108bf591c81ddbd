"""Which images are meant, and where their results go."""

import os

import pytest

from fcn.inference.inputs import InputError, jobs


@pytest.fixture
def tree(tmp_path):
    for name in ("one/x.jpg", "two/x.jpg", "two/deep/y.PNG", "a[1].jpg", "one/x_label.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return str(tmp_path)


def names(tree, *given):
    made, left_out = jobs([os.path.join(tree, text) for text in given], "/out")
    return [(os.path.relpath(job.path, tree), job.target) for job in made], left_out


def test_files_folders_and_patterns(tree):
    assert names(tree, "one/x.jpg") == ([("one/x.jpg", "/out/x")], 0)
    assert names(tree, "a[1].jpg") == ([("a[1].jpg", "/out/a[1]")], 0)
    assert names(tree, "two") == (
        [("two/deep/y.PNG", "/out/deep/y"), ("two/x.jpg", "/out/x")],
        0,
    )
    assert names(tree, "one/*") == ([("one/x.jpg", "/out/x")], 1)
    assert names(tree, "**/y.*") == ([("two/deep/y.PNG", "/out/two/deep/y")], 0)


def test_videos_are_found_in_folders_and_earlier_overlays_are_not(tree):
    for name in ("films/a.MP4", "films/b.mkv", "films/a_overlay.mp4", "films/b_side.mp4"):
        path = os.path.join(tree, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").close()
    found, left_out = names(tree, "films")
    assert found == [("films/a.MP4", "/out/a"), ("films/b.mkv", "/out/b")] and left_out == 2
    made, _ = jobs([os.path.join(tree, "films")], "/out")
    assert all(job.video for job in made)


def test_equal_names_mirror_their_folders(tree):
    assert names(tree, "one/x.jpg", "two/x.jpg")[0] == [
        ("one/x.jpg", "/out/one/x"),
        ("two/x.jpg", "/out/two/x"),
    ]
    assert len(names(tree, "one", "two", "one/x.jpg")[0]) == 3  # named twice, labelled once


def test_a_missing_file_is_left_to_the_reader(tree):
    assert names(tree, "gone.jpg") == ([("gone.jpg", "/out/gone")], 0)


def test_nothing_found(tree):
    for given, words in (("*.gif", "no file matches"), ("one/x_*.png", "earlier results")):
        with pytest.raises(InputError, match=words):
            names(tree, given)
