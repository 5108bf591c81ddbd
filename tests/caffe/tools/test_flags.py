"""gflags' grammar."""

import pytest

from caffe.errors import SolverError
from caffe.tools import flags
from caffe.tools.flags import Flag, UsageError, parse

TABLE = {
    "backend": Flag("lmdb", "lmdb or leveldb"),
    "shuffle": Flag(False, "shuffle the list"),
    "encoded": True,
    "resize_width": 0,
    "scale": 1.0,
}


@pytest.mark.parametrize(
    "line, name, expected",
    [
        ("-backend leveldb", "backend", "leveldb"),
        ("-backend=leveldb", "backend", "leveldb"),
        ("--backend leveldb", "backend", "leveldb"),
        ("--backend=leveldb", "backend", "leveldb"),
        ("-backend=", "backend", ""),
        ("-backend a=b", "backend", "a=b"),
        ("-backend a -backend b", "backend", "b"),
        ("-shuffle", "shuffle", True),
        ("--shuffle=yes", "shuffle", True),
        ("-shuffle=0", "shuffle", False),
        ("-shuffle -noshuffle", "shuffle", False),
        ("--noencoded", "encoded", False),
        ("-resize_width 32", "resize_width", 32),
        ("-resize_width=-3", "resize_width", -3),
        ("-resize_width=0x20", "resize_width", 32),
        ("-scale .5", "scale", 0.5),
        ("", "backend", "lmdb"),
    ],
)
def test_one_flag(line, name, expected):
    values, rest = parse(line.split(), TABLE)
    assert getattr(values, name) == expected and type(getattr(values, name)) is type(expected)
    assert rest == []


def test_a_boolean_takes_no_next_argument_and_others_may_stand_between():
    values, rest = parse("root/ -shuffle list -scale 2 db -- -scale -".split(), TABLE)
    assert values.shuffle is True and values.scale == 2
    assert rest == ["root/", "list", "db", "-scale", "-"]


@pytest.mark.parametrize(
    "line, message",
    [
        ("-shufle", r"unknown command line flag 'shufle'.*-backend.*Did you mean 'shuffle'\?"),
        ("-nobackend", r"boolean value \(nobackend\) specified for string.*'backend'"),
        ("-noshuffle=1", "unknown command line flag 'noshuffle'"),
        ("-backend", r"flag '-backend' is missing its argument.*lmdb or leveldb"),
        ("-resize_width x", "illegal value 'x' specified for int32 flag 'resize_width'"),
        ("-resize_width 2147483648", "illegal value '2147483648'"),
        ("-shuffle=maybe", "illegal value 'maybe' specified for bool flag 'shuffle'"),
        ("-scale=x", "illegal value 'x' specified for double flag 'scale'"),
    ],
)
def test_errors(line, message):
    with pytest.raises(UsageError, match=message):
        parse(line.split(), TABLE)


def test_help_lists_every_flag(capsys):
    with pytest.raises(SystemExit) as stop:
        parse(["--help"], TABLE, "usage: tool [FLAGS] DB")
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert out.startswith("usage: tool [FLAGS] DB\n\n  Flags:\n    -backend (lmdb or leveldb) ")
    assert [line.split()[0] for line in out.splitlines()[3:]] == [f"-{n}" for n in sorted(TABLE)]
    assert "type: bool default: false" in out and 'type: string default: "lmdb"' in out


def test_a_tools_failure_is_one_message_and_status_1(capsys):
    def tool(argv):
        if argv:
            raise SolverError("no such thing")
        return parse(["-x"], TABLE)

    assert flags.guarded(tool, ["a"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("F") and err.endswith("] no such thing\n")
    assert flags.guarded(tool, []) == 1
    assert capsys.readouterr().err.startswith("ERROR: unknown command line flag 'x'")
    assert flags.guarded(lambda argv: 0, []) == 0
