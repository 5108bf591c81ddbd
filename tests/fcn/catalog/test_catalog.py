"""The table of experiments: rows by name, folders of the user's, where files lie."""

import pytest
from fcn_helpers import raised

from data import names_of
from fcn import catalog


def test_every_row_has_files_of_its_own():
    files = [catalog.net_path(name, "deploy") for name in catalog.EXPERIMENTS]
    files += [catalog.solver_path(name) for name in catalog.EXPERIMENTS]
    assert len(set(files)) == 2 * len(catalog.EXPERIMENTS)


def test_train_and_val_are_called_as_the_datasets_splits_are():
    assert catalog.net_path("voc-fcn8s", "val") == "nets/voc-fcn8s/val.prototxt"
    row = catalog.experiment("siftflow-fcn8s")
    train, val = row.dataset.files
    assert catalog.net_path(row.name, "train") == f"nets/siftflow-fcn8s/{train}.prototxt"
    assert catalog.net_path(row.name, "val") == f"nets/siftflow-fcn8s/{val}.prototxt"
    assert catalog.solver_path(row.name) == "solvers/siftflow-fcn8s.prototxt"


@pytest.mark.parametrize(
    "name, near", [("camvid-fcn8", "is camvid-fcn8s or"), ("nets/voc-fcn8s", "is voc-fcn8s")]
)
def test_a_similar_name_is_offered(name, near):
    assert near in raised(LookupError, catalog.experiment, name)


def test_a_folder_must_not_take_a_rows_name():
    row = catalog.experiment("toy-fcn8s")._replace(folder="elsewhere/toy-fcn8s")
    assert "choose another name for it" in raised(LookupError, catalog.enter, row)


def test_a_folders_net_is_known_once_it_is_entered(monkeypatch):
    monkeypatch.setattr(catalog, "_FOLDERS", {})
    row = catalog.experiment("toy-fcn8s")._replace(name="mine", folder="elsewhere/mine")
    assert catalog.enter(row) is row is catalog.experiment("mine")
    assert catalog.net_path("mine", "deploy") == "elsewhere/mine/deploy.prototxt"
    assert catalog.solver_path("mine") == "elsewhere/mine/solver.prototxt"


def test_the_scores_that_are_shown_have_the_datasets_classes():
    for name, experiment in catalog.EXPERIMENTS.items():
        output = experiment.dataset.outputs[0]
        assert output.names == "CLASSES", name
        assert len(names_of(experiment.dataset).CLASSES) == output.classes, name
