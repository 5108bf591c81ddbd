"""The command line of page.py, and the server that it starts."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

import bootstrap
from fcn.page import command

pytest.importorskip("uvicorn", reason="the page needs the package uvicorn (extra: page)")


@pytest.mark.parametrize(
    "given, words",
    [
        (["--port", "70000"], "at most 65535"),
        (["--max-bytes", "0"], "--max-bytes"),
        (["--mean", "1,2,3"], "--mean is for a net of --classes"),
    ],
)
def test_wrong_command_lines(given, words, capsys):
    with pytest.raises(SystemExit) as stop:
        command.parse(given)
    assert stop.value.code == 2 and words in capsys.readouterr().err


def test_by_default_it_listens_on_this_machine_alone():
    options = command.parse([])
    assert options.host == "127.0.0.1" and not options.given
    assert command.parse(["--net", "toy-fcn8s"]).given


def test_a_port_that_is_taken_is_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert command.main(["--port", str(port), "--cpu"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: cannot listen at 127.0.0.1:{port}: ")
    assert error.count("\n") == 1


def test_the_packages_are_named_where_they_are_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert command.main([]) == 1
    assert "pip install '.[page]'" in capsys.readouterr().err


@pytest.mark.slow
def test_it_serves_until_ctrl_c():
    process = subprocess.Popen(
        [sys.executable, os.path.join(bootstrap.ROOT, "page.py"), "--port", "0", "--cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                break
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(found.group() + "/nets", timeout=30) as answer:
            assert b"voc-fcn4s-lite0" in answer.read()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert process.returncode in (0, 130) and "Traceback" not in rest, rest
