"""Wall times of calls, from one synchronisation with the device to the next."""

import time

import torch

__all__ = ["kernels", "times_of"]

COSTLIEST, NAME = 14, 70  # kernels that are named, and letters of a name


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
    """(what one call does on a GPU by PyTorch's profiler, its costliest kernels), in words."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        call()
        torch.cuda.synchronize()
    events = found.events()
    on_card = [event for event in events if str(event.device_type).endswith("CUDA")]
    names = [event.name for event in events]
    single = sum(name.startswith(("cudaLaunch", "cuLaunch")) for name in names)
    graphs = sum(name.startswith("cudaGraphLaunch") for name in names)
    text = f"{len(on_card)} kernels and copies, {single} launched one by one, {graphs} graphs"
    return text, costliest([(event.name, event.time_range.elapsed_us()) for event in on_card])


def costliest(kernels_and_times):
    """ "1.234 ms (3) name, …" of [(name, microseconds)], the kernels of one name together."""
    sums = {}
    for name, microseconds in kernels_and_times:
        count, total = sums.get(name, (0, 0.0))
        sums[name] = count + 1, total + microseconds
    whole = sum(total for _, total in sums.values())
    ranked = sorted(sums.items(), key=lambda item: -item[1][1])[:COSTLIEST]
    parts = [f"{t / 1e3:.3f} ms ({n}) {name[:NAME]}".replace("|", "/") for name, (n, t) in ranked]
    return f"{whole / 1e3:.2f} ms in all: " + "; ".join(parts)
