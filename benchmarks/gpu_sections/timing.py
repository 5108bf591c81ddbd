"""Wall times of calls, from one synchronisation with the device to the next."""

import time

import torch

__all__ = ["kernels", "times_of"]


def times_of(call, prepare, synchronize, calls, warm):
    """(seconds until the device was done, seconds until the call returned), a list each.

    Args:
        call: what is timed; it gets what `prepare(number)` returned.
        prepare: called before each call, outside the time; numbers count from 0.
        calls, warm: how many are timed, and how many before them are not.
    """
    done, returned = [], []
    for number in range(warm + calls):
        given = prepare(number)
        synchronize()
        began = time.perf_counter()
        call(*given)
        issued = time.perf_counter()
        synchronize()
        if number >= warm:
            done.append(time.perf_counter() - began)
            returned.append(issued - began)
    return done, returned


def kernels(call):
    """What one call does on a GPU by PyTorch's profiler, in words."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        call()
        torch.cuda.synchronize()
    names = [event.name for event in found.events()]
    on_card = sum(str(event.device_type).endswith("CUDA") for event in found.events())
    single = sum(name.startswith(("cudaLaunch", "cuLaunch")) for name in names)
    graphs = sum(name.startswith("cudaGraphLaunch") for name in names)
    return f"{on_card} kernels and copies, {single} launched one by one, {graphs} graphs"
