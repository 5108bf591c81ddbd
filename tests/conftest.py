"""Shared fixtures: every test starts on the CPU with quiet logs; `device` runs a test on each.

`--everywhere pretend` starts every test on the pretend GPU instead, `mirror` and `gpu` likewise.
"""

import gc
import importlib.util
import os
import shutil
import signal

os.environ.setdefault("GLOG_minloglevel", "2")

import pretend_device
import pytest
import torch

from caffe import device as devices

torch.set_num_threads(1)  # the tensors are small, and the tests run in several processes


def _no_fsync(descriptor):
    """In place of os.fsync: no test cuts the power, and a flush takes milliseconds."""
    os.fstat(descriptor)  # it must be open


os.fsync = _no_fsync

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts what is to run in the background so, and tests of Ctrl-C inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

HAS_GPU = torch.cuda.is_available()
# Beside a real GPU the pretend one would take pinned memory from it: PyTorch knows one accelerator.
DEVICES = ["cpu", "mirror"]
if HAS_GPU:
    DEVICES.append("gpu")
elif pretend_device.available():
    DEVICES.append("pretend")
    # Now: autograd knows only the kinds of device that were there when it first ran.
    pretend_device.install()
    pretend_device.uninstall()


def pytest_addoption(parser):
    parser.addoption(
        "--everywhere",
        choices=["cpu", "mirror", "pretend", "gpu"],
        help="run every test on this device instead of the CPU",
    )
    parser.addoption(
        "--few", type=int, metavar="N", help="run N cases of each parametrized test, evenly spread"
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "cpu_only: means the CPU; left out of --everywhere")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config, items):
    _mark(config, items)
    yield  # -m is looked at
    if config.getoption("--few"):
        kept = _few(items, config.getoption("--few"))
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]


def _few(items, most):
    """At most so many cases of each test: the first, the last, and those between, evenly."""
    cases = {}
    for item in items:
        cases.setdefault(item.nodeid.split("[")[0], []).append(item)
    kept = set()
    for found in cases.values():
        step = (len(found) - 1) / max(most - 1, 1)
        few = {round(i * step) for i in range(most)} if len(found) > most else range(len(found))
        kept.update(found[i] for i in few)
    return kept


def _mark(config, items):
    for item in items:
        if "browser" in item.fixturenames:  # Chromium takes seconds to start
            item.add_marker("slow")
    if importlib.util.find_spec("plyvel") is None:
        skip = pytest.mark.skip(reason="needs the extra: pip install 'pycaffe-torch[leveldb]'")
        for item in items:
            if getattr(item, "callspec", None) and item.callspec.params.get("backend") == "leveldb":
                item.add_marker(skip)
    where = config.getoption("--everywhere")
    if where not in (None, "cpu"):
        skip = pytest.mark.skip(reason=f"means the CPU, not {where}")
        for item in items:
            if item.get_closest_marker("cpu_only"):
                item.add_marker(skip)


def pytest_collection_finish(session):
    """What was imported stays: let each collection of garbage, of which many tests ask for one,
    pass over it."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc):
    if "device" in metafunc.fixturenames:
        where = metafunc.config.getoption("--everywhere")
        metafunc.parametrize("device", [where] if where else DEVICES, indirect=True)


def set_mode(name):
    """Compute on the device of this name in this thread."""
    if name == "pretend":
        pretend_device.install()
        pretend_device.set_mode_pretend()
    else:
        getattr(devices, f"set_mode_{name}")()


@pytest.fixture(autouse=True)
def _cpu_mode(request):
    set_mode(request.config.getoption("--everywhere") or "cpu")
    yield
    devices.set_mode_cpu()
    pretend_device.uninstall()


@pytest.fixture
def device(request):
    """The name of the device that the test runs on: the CPU; the mirror, a second copy of every
    blob that is synchronised as a GPU's is; a real GPU where there is one, else the pretend one."""
    set_mode(request.param)
    return request.param


@pytest.fixture
def pretend():
    """The pretend GPU: the module that counts what happens on it."""
    if HAS_GPU:
        pytest.skip("a real GPU is here: the pretend one would take pinned memory from it")
    if not pretend_device.available():
        pytest.skip("this PyTorch takes no backend written in Python")
    set_mode("pretend")
    return pretend_device


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium by playwright: pages are looked at as users see them."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium is installed (apt-get install chromium)")
    quiet = "quic background-networking component-update sync"
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
    arguments += [f"--disable-{what}" for what in quiet.split()]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=arguments)
        yield opened
        opened.close()
