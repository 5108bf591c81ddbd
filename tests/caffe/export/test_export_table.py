"""Every layer type is exported, cut or refused; what is exported has a case in its test file."""

import importlib

import pytest
from exporting import export

import caffe
import caffe.export
from caffe.export import table
from caffe.layer import class_of

#: Types that tests of whole small nets export.
IN_NETS = {
    "Pooling",
    "DetectionOutput",
    "PriorBox",
    "Proposal",
    "PSROIPooling",
    "ROIAlign",
    "ROIPooling",
}


@pytest.mark.parametrize("family", table._FILES)
def test_every_type_has_a_case_in_its_family(family):
    here = f"caffe.export.{family}"
    types = {t for t in table.written_types() if table._writers[t].__module__ == here}
    cases = getattr(importlib.import_module(f"test_export_{family}"), "CASES", {})
    assert set(cases) == types - IN_NETS


def test_every_type_is_exported_cut_or_refused():
    types = set(caffe.layer_type_list())
    refused = {name for name in types if class_of(name).not_exported}
    written = set(table.written_types()) | table.SOURCES | table.CUT
    assert not refused & written
    missing = types - written - refused
    assert not missing, (
        f"neither exported nor refused on purpose: {sorted(missing)}; write a writer in "
        "caffe/export, or say in the layer's class why there is none: not_exported"
    )


def test_a_layer_says_itself_why_it_is_not_exported(monkeypatch, tmp_path):
    monkeypatch.setattr(class_of("Power"), "not_exported", "nobody has written it")
    monkeypatch.delitem(table._writers, "Power")
    with pytest.raises(caffe.export.ExportError, match="type Power.*: nobody has written it; exp"):
        export(tmp_path, ["type: 'Power'"], (1, 2))
