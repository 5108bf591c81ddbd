"""Studies in their quick mode, for the test of each."""

import importlib
import json
import os

from PIL import Image

from papers import _common


def quick(name, out, *more):
    """Run a study with --quick, and look at the numbers, text and pictures that it writes."""
    before = os.getcwd()
    try:
        importlib.import_module("papers." + name).main(["--quick", "--out", str(out), *more])
    finally:
        os.chdir(before)
    fields = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    assert fields["name"] == name and fields["quick"] and fields["tables"] and fields["raw"]
    for table in fields["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    assert _common.markdown(fields, "") in (out / f"{name}.md").read_text(encoding="utf-8")
    for plot in fields["plots"]:
        with Image.open(str(out / plot["file"])) as image:
            assert image.width >= 460 and image.height >= 320
    return fields
