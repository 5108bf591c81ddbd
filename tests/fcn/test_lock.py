"""One run at a time, whoever removes the lock file meanwhile."""

import os
import threading

import pytest

from fcn.lock import Busy, _acquire, locked


def test_a_second_run_is_told_and_the_file_goes_with_the_first(tmp_path):
    path = str(tmp_path / "x.lock")
    with locked(path, "another run is at it"):
        with pytest.raises(Busy, match="another run is at it.*x.lock"):
            with locked(path, "another run is at it"):
                pass
        assert os.path.exists(path)
    assert not os.path.exists(path)
    with locked(path, "another run is at it"):
        pass


def test_a_lock_file_that_is_removed_while_it_is_held_lets_nobody_in_twice(tmp_path):
    path = str(tmp_path / "x.lock")
    holders, most, problems = [], [], []

    def run():
        for _ in range(200):
            try:
                with locked(path, "busy"):
                    holders.append(1)
                    most.append(len(holders))
                    holders.pop()
            except Busy:
                pass
            except Exception as error:  # told below: a thread's exception is lost
                problems.append(repr(error))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and max(most) == 1


def test_a_link_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    os.symlink(str(victim), str(tmp_path / "x.lock"))
    with pytest.raises(OSError):
        _acquire(str(tmp_path / "x.lock"), "busy")
    assert not victim.exists()
