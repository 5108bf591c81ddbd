"""solverstate files, binary and HDF5: BVLC Caffe's own, cut and odd ones."""

import os

import numpy as np
import pytest
from weight_files import GOLDEN, write

from caffe.errors import WeightsError
from caffe.weights import solver_state


def test_solverstate_of_bvlc_is_read_and_written_byte_for_byte(tmp_path):
    state = solver_state.read_solver_state(GOLDEN / "snap_iter_3.solverstate")
    assert (state.iter, state.learned_net, state.current_step) == (3, "snap_iter_3.caffemodel", 1)
    assert len(state.history) == 2 * 6
    assert state.history[0].shape == (2, 3, 3, 3)
    history = [stored.array() for stored in state.history]
    assert np.any(history[0]) and np.any(history[6])
    solver_state.write_binary(tmp_path / "s", 3, state.learned_net, history, 1)
    written = (tmp_path / "s").read_bytes()
    assert written == (GOLDEN / "snap_iter_3.solverstate").read_bytes()


def test_hdf5_solverstate_of_bvlc_holds_what_the_binary_one_does(tmp_path):
    pytest.importorskip("h5py")
    binary = solver_state.read_solver_state(GOLDEN / "snap_iter_3.solverstate")
    state = solver_state.read_solver_state(GOLDEN / "snap_iter_3.solverstate.h5")
    assert (state.iter, state.learned_net, state.current_step) == (
        3, "snap_iter_3.caffemodel.h5", 1,
    )  # fmt: skip
    history = [stored.array() for stored in state.history]
    for a, b in zip(history, binary.history, strict=True):
        np.testing.assert_array_equal(a, b.array())
    solver_state.write_hdf5(str(tmp_path / "s.h5"), 3, "there", history, 1)
    again = solver_state.read_solver_state(tmp_path / "s.h5")
    assert (again.iter, again.learned_net, again.current_step) == (3, "there", 1)
    np.testing.assert_array_equal(again.history[11].array(), history[11])


def test_a_cut_solverstate_is_an_error(tmp_path):
    whole = (GOLDEN / "snap_iter_3.solverstate").read_bytes()
    with pytest.raises(WeightsError, match="history blob 0.*solverstate"):
        solver_state.read_solver_state(write(tmp_path, whole[:100]))


@pytest.mark.parametrize("name", ["snap \u00e9.caffemodel", "latin-1 \udce9.caffemodel"])
@pytest.mark.parametrize("save", [solver_state.write_binary, solver_state.write_hdf5])
def test_a_solverstate_names_any_path(save, name, tmp_path):
    """The second is what Python makes of a file name that is not valid UTF-8."""
    path = os.fspath(tmp_path / "state")
    save(path, 3, name, [np.zeros(2, np.float32)], 1)
    assert solver_state.read_solver_state(path).learned_net == name
