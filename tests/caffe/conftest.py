"""Fixtures of the engine: the folder that tests of commands run in, small nets."""

import pytest
from brew_files import NET, SOLVER
from small_net import SMALL

import caffe
from caffe import glog


@pytest.fixture
def brew_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(glog._state, "level", 0)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


@pytest.fixture
def make_net(tmp_path):
    def make_net(text=SMALL, phase=caffe.TEST, **kwargs):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        return caffe.Net(str(path), phase, **kwargs)

    return make_net


@pytest.fixture
def saved_net(tmp_path):
    """A function: a prototxt's text → the paths of the prototxt and of its random weights."""

    def save(text):
        prototxt, weights = (str(tmp_path / f"net.{end}") for end in ("prototxt", "caffemodel"))
        with open(prototxt, "w", encoding="utf-8") as f:
            f.write(text)
        caffe.Net(prototxt, caffe.TEST).save(weights)
        return prototxt, weights

    return save
