"""What the tree of tests itself must keep."""

import collections
import pathlib

import names_of_tests

TESTS = pathlib.Path(__file__).parent


def test_no_two_test_files_of_one_name_without_packages():
    """pytest imports them by their bare names, and the second of a name would be an error."""
    seen = collections.defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        if not (path.parent / "__init__.py").exists():
            seen[path.name].append(str(path.relative_to(TESTS)))
    assert {name: paths for name, paths in seen.items() if len(paths) > 1} == {}


def test_every_module_has_a_test_file_of_its_name_or_says_where_it_is_tested():
    assert names_of_tests.problems() == []


def test_a_module_without_a_test_file_is_found(monkeypatch):
    here = "src/caffe/net/wiring.py"
    (test, (left, *_)), *_ = names_of_tests.ELSEWHERE.items()
    changed = {**names_of_tests.ELSEWHERE, test: (here,)}
    monkeypatch.setattr(names_of_tests, "ELSEWHERE", changed)
    told = " ".join(names_of_tests.problems())
    assert f"{here} has caffe/net/test_wiring.py: take it out" in told
    assert f"{left} has no test file: write tests/" in told
    monkeypatch.setattr(names_of_tests, "ELSEWHERE", {"none.py": ("src/caffe/none.py",)})
    told = " ".join(names_of_tests.problems())
    assert "names src/caffe/none.py, which is not there" in told and "none.py, no test" in told
