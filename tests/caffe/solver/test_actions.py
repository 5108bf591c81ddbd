"""What may be asked of a solver from outside: the effects that `caffe train` takes by name."""

import pytest

from caffe.solver.actions import Action


def test_each_effect_of_the_command_line_is_one():
    assert {action.value for action in Action} == {"none", "stop", "snapshot"}
    assert Action("stop") is Action.STOP
    with pytest.raises(ValueError, match="'halt'"):
        Action("halt")
