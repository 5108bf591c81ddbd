"""What infer.py's command line refuses, and what it says."""

import pytest

from fcn.inference.arguments import parse


def test_both_names_of_the_opacity():
    assert parse(["a.png", "--overlay-alpha", "0.25"]).opacity == 0.25
    assert parse(["a.png", "--opacity", "0.25"]).opacity == 0.25


@pytest.mark.parametrize(
    "given, words",
    [
        (["-", "a.png"], "- is the only image"),
        (["-", "--name", "a/b"], "expected a name without folders"),
        (["-", "--name", ".."], "expected a name without folders"),
        (["a.png", "--contact-sheet", "a.png"], "a result would replace"),
        (["a.png", "--batch", "0"], "--batch"),
        (["a.png", "--probabilities", "float8"], "invalid choice"),
        (["a.png", "--mean", "1,2,3"], "--mean is for a net of --classes"),
    ],
)
def test_wrong_command_lines_are_status_2(given, words, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(given)
    assert stop.value.code == 2 and words in capsys.readouterr().err


def test_the_exit_status_is_documented(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    printed = capsys.readouterr().out
    assert all(f"\n  {status} " in printed for status in (0, 1, 2, 130, 141))
