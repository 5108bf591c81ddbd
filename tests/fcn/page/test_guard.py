"""Who may ask the page's server."""

import pytest

pytest.importorskip("starlette", reason="the page needs the package starlette (extra: page)")

from fcn.page.guard import Guard, names_of_host

LOCAL = names_of_host("127.0.0.1")


def refused(method="GET", host="127.0.0.1:8000", origin=None, names=LOCAL):
    headers = [(b"host", value.encode()) for value in ([host] if isinstance(host, str) else host)]
    headers += [(b"origin", origin.encode())] if origin else []
    return bool(Guard(None, names)._refused({"method": method, "headers": headers}))


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_this_machine_is_known_by_its_names(host):
    assert not refused(host=host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "user@evil.example",
        "127.0.0.1:notaport",
        "[::1",
        "",
        [],
        ["127.0.0.1", "evil.example"],
        "192.168.1.5:8000",
    ],
)
def test_other_names_are_refused_whatever_address_they_have(host):
    assert refused(host=host)


def test_names_that_the_user_adds():
    names = names_of_host("0.0.0.0", ("Lab.example",))
    assert not refused(host="lab.example:8000", names=names)
    assert refused(host="0.0.0.0:8000", names=names)
    assert not refused(host="192.168.1.5", names=names_of_host("192.168.1.5"))


def test_what_changes_something_comes_from_the_page_itself():
    assert not refused("POST", origin="http://127.0.0.1:8000")
    assert not refused("POST")  # no browser
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1"):
        assert refused("POST", origin=origin), origin
