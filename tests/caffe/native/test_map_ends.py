"""Nothing behind a map is read: a page without rights follows its last number."""

import subprocess
import sys

import pytest

from caffe import native

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
]

# Channels, height and width, outputs, kernel, stride, pad: the ways of c/convolution*.c, spatial.c,
# strassen.c, picture.c, grouped.c and winograd.c, with blocks that do and do not fill a row.
CASES = [
    (32, 2, 925, 16, 5, 1, 2, 1),
    (32, 3, 1107, 16, 5, 1, 2, 1),
    (24, 7, 29, 40, 5, 1, 0, 1),
    (17, 5, 43, 16, 3, 1, 1, 1),
    (64, 6, 15, 32, 3, 2, 1, 1),
    (32, 5, 71, 48, 1, 1, 0, 1),
    (24, 9, 13, 20, 1, 1, 0, 1),
    (64, 8, 30, 16, 1, 2, 0, 1),
    (128, 9, 13, 160, 1, 1, 0, 1),
    (160, 17, 31, 128, 1, 1, 0, 1),
    (3, 19, 37, 16, 7, 2, 3, 1),
    (1, 12, 29, 20, 5, 1, 0, 1),
    (32, 7, 31, 32, 3, 1, 1, 8),
    (48, 4, 9, 48, 3, 1, 1, 48),
]

CODE = """
import ctypes, mmap, sys
import torch
from caffe import native
from caffe.native.program import Map

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)


def at_the_end(x):
    n, c, h, w = x.shape
    count = x.numel() * 4
    size = (count + PAGE - 1) // PAGE * PAGE
    room = mmap.mmap(-1, size + PAGE)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(room))
    assert libc.mprotect(ctypes.c_void_p(begin + size), PAGE, 0) == 0
    at = begin + size - count
    last = x.permute(0, 2, 3, 1).contiguous()
    ctypes.memmove(at, last.data_ptr(), count)
    return room, Map(at, n, h, w, c, c)


torch.manual_seed(3)
for case in eval(sys.argv[1]):
    channels, height, width, outputs, kernel, stride, pad, groups = case
    x = torch.randn(1, channels, height, width)
    weight = torch.randn(outputs, channels // groups, kernel, kernel)
    expected = torch.conv2d(x.double(), weight.double(), None, stride, pad, 1, groups)
    room, bottom = at_the_end(x)
    there, top = at_the_end(torch.zeros(expected.shape))
    kernels = native.library()
    kernels.kernels_new.restype = ctypes.c_void_p
    program = ctypes.c_void_p(kernels.kernels_new())
    window = (ctypes.c_int32 * 9)(kernel, kernel, stride, stride, pad, pad, 1, 1, groups)
    address = ctypes.c_void_p(weight.data_ptr())
    add = kernels.kernels_convolution
    given = ctypes.byref(bottom), ctypes.byref(top), window, address
    if groups == channels > 1:
        assert kernels.kernels_depthwise(program, *given, None) == 0, case
    else:
        assert add(program, *given, 0, None) == 0, case
    assert kernels.kernels_run(program, 1, None) == 0, case
    n, o, h, w = expected.shape
    memory = (ctypes.c_float * (o * h * w)).from_address(top.at)
    found = torch.frombuffer(memory, dtype=torch.float32)
    off = (found.view(1, h, w, o).permute(0, 3, 1, 2) - expected).abs().max()
    assert off <= 1e-5 * expected.abs().max(), (case, off)
    print("held", case)
"""


def test_nothing_behind_a_map_is_read_or_written():
    command = [sys.executable, "-c", CODE, repr(CASES)]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("held") == len(CASES)
