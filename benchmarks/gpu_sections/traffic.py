"""What passes between host and device while something runs: bytes that go up, and waits.

On a GPU PyTorch's profiler tells it, by the names of CUDA's own calls; on the pretend GPU its
counts. `torch.cuda.set_sync_debug_mode` knows less: neither a copy from memory that is not pinned
nor one of CUDA's allocations makes it speak.
"""

import json
import os
import tempfile

import torch

__all__ = ["Traffic", "of_trace", "traffic"]

SPAN = "gpu_check: watched"
#: Calls that wait for the device, or for all of it before memory changes hands.
WAITING = {
    "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaFree", "cudaFreeHost", "cudaMemcpy",
    "cudaMemcpy2D", "cudaMemset", "cudaStreamSynchronize", "cuCtxSynchronize",
    "cuEventSynchronize", "cuMemFree_v2", "cuMemcpyDtoH_v2", "cuMemcpyHtoD_v2",
    "cuStreamSynchronize",
}  # fmt: skip
#: Calls that are told: they may wait, and in a loop that is warm there should be none.
ALLOCATING = {"cudaHostAlloc", "cudaMalloc", "cudaMallocHost", "cuMemAlloc_v2"}


class Traffic:
    """up, down: bytes to and from the device; waits: {what: times}; allocations: a number; seen:
    whether anything of the device was seen at all."""

    def __init__(self, up, down, waits, allocations=0, seen=True):
        self.up, self.down, self.waits = up, down, waits
        self.allocations, self.seen = allocations, seen

    def waited(self):
        """In words; empty where nothing waited."""
        return "; ".join(f"{what} ×{count}" for what, count in sorted(self.waits.items()))


def traffic(machine, call):
    """The Traffic of `call()` on a GPU or on the pretend GPU."""
    if machine.real:
        return of_gpu(call)
    with machine.synchronisations() as counts:
        call()
    waits = counts.lines("sync") if counts["sync"] else {}
    return Traffic(counts["H2D bytes"], counts["D2H bytes"], waits)


def of_gpu(call):
    from torch.profiler import ProfilerActivity, profile, record_function

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        with record_function(SPAN):
            call()
        torch.cuda.synchronize()  # outside the span, and so not counted
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace.json")
        found.export_chrome_trace(path)
        with open(path, encoding="utf-8") as stream:
            return of_trace(json.load(stream)["traceEvents"])


def of_trace(events):
    """The Traffic of a trace in Chrome's format, within the span. Copies count by when the host
    asked for them, calls by when it made them."""
    spans = [
        e for e in events if e.get("name") == SPAN and e.get("cat") in ("user_annotation", "cpu_op")
    ]
    if not spans:
        return Traffic(0, 0, {}, seen=False)
    begin = min(e["ts"] for e in spans)
    end = max(e["ts"] + e.get("dur", 0) for e in spans)
    up, down, waits, allocations, seen, calls = 0, 0, {}, 0, False, set()
    for event in events:
        if event.get("cat") in ("cuda_runtime", "cuda_driver") and begin <= event["ts"] <= end:
            seen = True
            calls.add(event.get("args", {}).get("correlation"))
            if event["name"] in WAITING:
                waits[event["name"]] = waits.get(event["name"], 0) + 1
            allocations += event["name"] in ALLOCATING
    for event in events:
        given = event.get("args", {})
        if event.get("cat") != "gpu_memcpy" or given.get("correlation") not in calls:
            continue
        name, size = event["name"], int(given.get("bytes", 0))
        up += size * ("HtoD" in name)
        down += size * ("DtoH" in name)
        if "Pageable" in name:
            waits[name] = waits.get(name, 0) + 1
    return Traffic(up, down, waits, allocations, seen)
