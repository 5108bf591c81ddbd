"""What a function in C has made, and who lets go of it."""

from __future__ import annotations

import ctypes
import weakref

from caffe import native

__all__ = ["Handle"]


class Handle:
    """What the function ``make`` has made of ``given``; ``free`` takes it back, in C as well, when
    this object dies.

    Raises ``failure`` where the function makes nothing.
    """

    __slots__ = ("__weakref__", "address")

    def __init__(
        self, failure: Exception, make: str, *given: object, free: str = "kernels_free"
    ) -> None:
        kernels = native.needed()
        function = getattr(kernels, make)
        function.restype = ctypes.c_void_p
        made = function(*given)
        if not made:
            raise failure
        self.address = ctypes.c_void_p(made)
        # At exit a daemon thread may still run it, and the process takes the memory back anyway.
        weakref.finalize(self, getattr(kernels, free), self.address).atexit = False
