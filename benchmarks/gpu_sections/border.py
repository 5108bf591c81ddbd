"""The pad of 100 computed once for each kind of row (net/border_step.py), against all rows: blobs,
gradients, those between too, and the time that it saves."""

import contextlib
import math
import statistics
import tempfile

import torch

import caffe
from caffe.net import border_forms
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has, relative_error
from gpu_sections.timing import times_of

#: fp32 against all rows, of the norm, for blobs and for gradients: maps of other sizes have other
#: algorithms, and rounding decides at a few positions where ReLU and pooling let a gradient pass.
#: A gradient that forgets the rows of a run is off by 2e-2.
BLOBS, GRADIENTS = 1e-5, 5e-3
#: In tf32 and bf16 rounding decides at so many positions that short maps and all rows differ by as
#: much as either differs from fp32. So each array's error against all rows in fp32 is held to that
#: of all rows in the same precision, a margin of the norm added to both: at most EACH times it,
#: and MEAN times on the (geometric) mean.
EACH, MEAN, MARGIN = 1.5, 1.25, 1e-3
PRECISIONS = ("fp32", "tf32", "bf16")
SIZES = ((97, 143), (33, 500))
BETWEEN = ("conv1_1", "conv1_2", "pool1", "conv2_2", "pool2", "conv3_3")
PARAMS = ("conv1_1", "conv1_2", "conv2_1", "conv3_1", "conv3_3", "conv4_1", "fc6")
FASTER = 1.1  # a pass forward and backward, at least, at 500×500
PASSES, CALLS, WARM = 4, 8, 6


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    if not has(record, "set_precision", "set_graphs"):
        return
    quick = record.options.quick
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES[: 1 if quick else None]:
            exact = None
            for precision in PRECISIONS[: 2 if quick else None]:
                name = f"{precision}, {size[0]}×{size[1]}"
                with record.step(name):
                    caffe.set_precision(precision)
                    exact = one_size(record, folder, name, size, 32 if quick else 8, exact)
        for precision in ("tf32", "bf16")[: 1 if quick else None]:
            with record.step(f"{precision}, time"):
                caffe.set_precision(precision)
                time_saved(record, machine, folder, precision)


@contextlib.contextmanager
def all_rows():
    """Nets compute every row of the padding."""
    kept, border_forms._WORTH = border_forms._WORTH, 0.0
    try:
        yield
    finally:
        border_forms._WORTH = kept


def one_size(record, folder, name, size, share, exact):
    """Checks one precision; gives what all rows in fp32 give, which ``exact`` is but for fp32."""
    short = results(folder, size, share, record, name)
    with all_rows():
        whole = results(folder, size, share)
    if exact is None:
        close_to(record, name, short, whole)
        return whole
    no_further(record, name, short, whole, exact)
    return exact


def close_to(record, name, short, whole):
    for what, bound in (("blobs", BLOBS), ("gradients", GRADIENTS)):
        keys = [key for key in whole if key.startswith("blob") == (what == "blobs")]
        errors = {key: relative_error(whole[key], short[key]) for key in keys}
        worst = max(errors, key=errors.get)
        text = f"worst of {len(errors)} {errors[worst]:.2g} of the norm, {worst}"
        record.check(f"{name}: {what}", errors[worst] <= bound, text)


def no_further(record, name, short, whole, exact):
    """Short maps are no further from fp32 than all rows are."""
    errors = {k: [relative_error(exact[k], found[k]) for found in (short, whole)] for k in exact}
    shares = {k: (a + MARGIN) / (b + MARGIN) for k, (a, b) in errors.items()}
    mean = math.exp(statistics.fmean(math.log(share) for share in shares.values()))
    worst = max(shares, key=shares.get)
    mine, others = errors[worst]
    text = f"{mine:.2g} of the norm off fp32 where all rows are {others:.2g}, {worst}"
    record.check(f"{name}: each of {len(errors)} arrays", shares[worst] <= EACH, text)
    record.check(f"{name}: on the mean", mean <= MEAN, f"{mean:.2f} times the error of all rows")
    record.fact(f"{name}: errors of short maps and all rows", errors)


def results(folder, size, share, record=None, name=""):
    """Scores, gradients, and, after a last pass, what lies between, of a net that trains."""
    param = fcn8s.train_param(*size, share, force_backward=False)
    net = fcn8s.net_of(param, folder, caffe.TEST)  # no Dropout; it runs backward all the same
    fcn8s.set_weights(net, fcn8s.random_weights(net))
    images, labels = fcn8s.pictures(*size, classes=5)
    for number in range(PASSES + 4):  # the last ones from graphs
        net.blobs["data"].data[...] = images[number % 2] / 75
        net.blobs["label"].data[...] = labels[number % 2]
        net.clear_param_diffs()
        net._forward(0, len(net.layers) - 1)
        net.backward()
    if record is not None:
        used = getattr(net.layer_dict["conv1_1"], "short", None) is not None
        record.check(f"{name}: short maps are used", used)
    found = {f"gradient of {k}": net.params[k][0].diff.copy() for k in PARAMS}
    found["blob score"] = net.blobs["score"].data.copy()
    found.update({f"diff of {k}": net.blobs[k].diff.copy() for k in BETWEEN[1:3]})
    found.update({f"blob {k}": net.blobs[k].data.copy() for k in BETWEEN})
    net.clear_param_diffs()
    net.backward()  # somebody has looked between: layer by layer
    found.update({f"gradient of {k} afterwards": net.params[k][0].diff.copy() for k in PARAMS})
    return found


def time_saved(record, machine, folder, precision):
    seconds = {}
    for name, how in (("short maps", contextlib.nullcontext()), ("all rows", all_rows())):
        with how:
            seconds[name] = step_seconds(machine, folder, record.options.quick)
        if machine.real:
            torch.cuda.empty_cache()
    ratio = seconds["all rows"] / seconds["short maps"]
    text = f"{ratio:.2f}×: a step takes " + " and ".join(
        f"{s * 1e3:.2f} ms with {n}" for n, s in seconds.items()
    )
    record.fact(f"{precision}, time", dict(seconds))
    if machine.real:
        record.check(f"{precision}: short maps save time", ratio >= FASTER, text)
    else:
        record.report(f"{precision}: short maps", text)


def step_seconds(machine, folder, quick):
    """The median of some steps of FCN-8s, whose picture stays."""
    height, width, share = (40, 48, 64) if quick else (500, 500, 1)
    solver = fcn8s.solver(fcn8s.train_param(height, width, share), folder)
    fcn8s.set_weights(solver.net, fcn8s.random_weights(solver.net))
    images, labels = fcn8s.pictures(height, width)
    solver.net.blobs["data"].data[...] = images[0]
    solver.net.blobs["label"].data[...] = labels[0]
    calls, warm = (1, 1) if quick else (CALLS, WARM)
    done, _ = times_of(lambda: solver.step(1), lambda n: (), machine.synchronize, calls, warm)
    return statistics.median(done)
