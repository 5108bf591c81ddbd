"""The defects can still be planted; `make oracle-teeth` shows that each is caught."""

import shutil

import cases
import pytest
from defects import DEFECTS
from teeth import SOURCE, plant


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_defect_can_be_planted(defect, tmp_path):
    for path in {defect.path, *(edit[0] for edit in defect.also)}:
        target = tmp_path / "caffe" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"{SOURCE}/caffe/{path}", target)
    before = (tmp_path / "caffe" / defect.path).read_text()
    plant(defect, str(tmp_path))
    assert (tmp_path / "caffe" / defect.path).read_text() != before
    assert set(defect.types) <= set(cases.types())


def test_a_defect_without_a_place_is_an_error(tmp_path):
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe" / "filler.py").write_text("nothing to edit")
    with pytest.raises(ValueError, match="holds 0 times"):
        plant(next(d for d in DEFECTS if d.path == "filler.py"), str(tmp_path))
