"""Five training steps without one synchronisation of host and device."""

import contextlib
import tempfile
import warnings

import torch

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has
from gpu_sections.traffic import traffic

WARM, STEPS = 8, 5
KINDS = {
    "SGD": {},
    "SGD, clipping": {"clip_gradients": 1e4},
    "SGD, iter_size 2": {"iter_size": 2},
    "Adam": {"kind": "Adam", "momentum": 0.9},
}


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    if record.options.device not in ("gpu", "pretend"):
        record.left_out("synchronisations", "only a GPU and the pretend GPU count them")
        record.check("the section ran", True)
        return
    quick = record.options.quick
    size = (32, 40, 48) if quick else (4, 240, 320)
    runs = [(kind, precision) for precision in ("fp32", "bf16") for kind in KINDS]
    if quick:
        runs = [("SGD, clipping", "fp32"), ("Adam", "bf16")]
    if not has(record, "set_precision"):
        runs = [run for run in runs if run[1] == "fp32"]
    own = ("fp32", "bf16")[record.part :: record.parts]
    for kind, precision in [run for run in runs if run[1] in own]:
        name = f"{kind}, {precision}"
        with record.step(name), tempfile.TemporaryDirectory() as folder:
            if precision != "fp32":
                caffe.set_precision(precision)
            one_solver(record, machine, name, KINDS[kind], folder, *size)


def one_solver(record, machine, name, fields, folder, share, height, width):
    solver = fcn8s.solver(fcn8s.train_param(height, width, share), folder, **fields)
    fcn8s.set_weights(solver.net, fcn8s.random_weights(solver.net))
    images, labels = fcn8s.pictures(height, width)

    def feed(number):
        solver.net.blobs["data"].data[...] = images[number % 2]
        solver.net.blobs["label"].data[...] = labels[number % 2]

    for number in range(WARM):
        feed(number)
        solver.step(1)
    machine.synchronize()
    resident = counted(machine, lambda number: solver.step(1))
    record.check(f"{name}: inputs that stay", not resident, resident or "none")

    def fed_step(number):
        feed(number)
        solver.step(1)

    fed = counted(machine, fed_step)
    record.check(f"{name}: a new input each step", not fed, fed or "none")
    calls_of_cuda(record, machine, name, fed_step, height, width)
    loss = float(solver.net.blobs["loss"].data)
    record.check(f"{name}: the loss afterwards", loss == loss and loss > 0, f"{loss:g}")


def counted(machine, step):
    """What synchronised in five steps, as text; empty where nothing did."""
    places = {}
    with watched(machine, places):
        for number in range(STEPS):
            step(number)
    if machine.real and not places:  # PyTorch's own verdict
        torch.cuda.set_sync_debug_mode("error")
        try:
            for number in range(STEPS):
                step(number)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return "; ".join(f"{place} ×{count}" for place, count in places.items())


def calls_of_cuda(record, machine, name, step, height, width):
    """The same by the profiler, which also sees copies from memory that is not pinned, and what
    CUDA allocates; and the bytes that go up: a picture and its labels in float32."""

    def steps():
        for number in range(STEPS):
            step(number)

    seen = traffic(machine, steps)
    if not seen.seen:
        record.left_out(f"{name}: calls of CUDA", "the profiler sees nothing here")
        return
    record.check(f"{name}: calls of CUDA that wait", not seen.waits, seen.waited() or "none")
    wanted = STEPS * 4 * 4 * height * width
    text = f"{seen.up} bytes up in {STEPS} steps, {seen.down} down, {seen.allocations} allocations"
    record.check(f"{name}: bytes", wanted <= seen.up <= wanted + 4096 and not seen.down, text)


@contextlib.contextmanager
def watched(machine, places):
    """Count where CUDA synchronises: as warnings, so that all places are told, not the first."""
    if not machine.real:
        with machine.synchronisations() as counts:
            yield
        if counts["sync"]:
            places.update(counts.lines("sync"))
        return
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for warning in caught:
        if "synchronizing" in str(warning.message):
            place = f"{warning.filename.split('/src/')[-1]}:{warning.lineno}"
            places[place] = places.get(place, 0) + 1
