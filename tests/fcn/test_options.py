"""What options take: numbers within limits, times, paths that a prototxt can hold."""

import argparse
import os

import pytest
from fcn_helpers import raised

import bootstrap
from fcn import catalog, options


@pytest.mark.parametrize(
    "take, good, bad",
    [
        (options.positive, {"1": 1, "2147483647": 2**31 - 1}, ["0", "-1", "2147483648", "1.5", ""]),
        (options.natural, {"0": 0, "7": 7}, ["-1", "x", "9" * 12]),
        (options.classes, {"1": 1, "255": 255}, ["0", "256"]),
        (options.minutes, {"0.5": 0.5, "90": 90}, ["0", "-1", "nan", "inf", "1e6", "x"]),
    ],
)
def test_numbers(take, good, bad):
    assert {text: take(text) for text in good} == good
    for text in bad:
        raised(argparse.ArgumentTypeError, take, text)


def test_paths_are_the_users_and_hold_utf8_alone(monkeypatch):
    monkeypatch.setattr(bootstrap, "START", "/somewhere")
    assert options.path("a") == os.path.join("/somewhere", "a")
    assert "no UTF-8" in raised(argparse.ArgumentTypeError, options.path, "a\udcff")


def test_the_help_names_the_rows_own_defaults():
    row = catalog.experiment("toy-fcn32s")
    parser = options.parser(row)
    assert parser.prog == "nets/toy-fcn32s/solve.py"
    text = " ".join(parser.format_help().split())
    assert f"iterations in all (default: {row.schedule.steps};" in text
    args = parser.parse_args(["--steps", "3", "--keep", "2"])
    assert (args.steps, args.keep, args.resume, args.seed) == (3, 2, False, None)
    raised(SystemExit, parser.parse_args, ["--resume", "--restart"])


def test_a_dataset_json_stands_for_its_folder(tmp_path):
    args = options.parser(catalog.experiment("toy-fcn32s")).parse_args(
        ["--data", str(tmp_path / "a b" / "dataset.json"), str(tmp_path / "c")]
    )
    assert args.data == [str(tmp_path / "a b"), str(tmp_path / "c")]
