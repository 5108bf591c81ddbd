"""What the studies share: arguments, records."""

import pytest

from papers import _common


def test_a_missing_camvid_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit):
        _common.arguments(
            "Test.", {}, ["--camvid", str(tmp_path), "--out", str(tmp_path)], camvid=True
        )
    assert "python data/camvid.py" in capsys.readouterr().err
