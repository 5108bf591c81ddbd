"""What a run says of the programs it ran with."""

import shutil
import subprocess

import pytest

from fcn.training import environment


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_a_checkout_names_its_commit_and_whether_it_was_changed(tmp_path):
    assert environment.revision(str(tmp_path)) is None
    for command in (
        ["init", "-q"],
        ["-c", "user.name=n", "-c", "user.email=e@e", "commit", "-q", "--allow-empty", "-m", "m"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    found = environment.revision(str(tmp_path))
    assert len(found["commit"]) == 40 and found["changed"] is False
    (tmp_path / "new").write_text("")
    assert environment.revision(str(tmp_path))["changed"] is False
    subprocess.run(["git", "-C", str(tmp_path), "add", "new"], check=True)
    assert environment.revision(str(tmp_path))["changed"] is True


def test_versions_are_named():
    found = environment.versions()
    assert {"python", "caffe", "numpy", "system"} <= set(found)
    assert all(isinstance(value, str) for value in found.values())
