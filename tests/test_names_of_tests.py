"""What the tree of tests itself must keep."""

import collections
import pathlib

TESTS = pathlib.Path(__file__).parent


def test_no_two_test_files_of_one_name_without_packages():
    """pytest imports them by their bare names, and the second of a name would be an error."""
    seen = collections.defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        if not (path.parent / "__init__.py").exists():
            seen[path.name].append(str(path.relative_to(TESTS)))
    assert {name: paths for name, paths in seen.items() if len(paths) > 1} == {}
