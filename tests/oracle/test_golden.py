"""The engine against the stored results of BVLC Caffe, one test per layer type; needs no oracle."""

import case_runner
import cases
import pretend_graphs
import pytest
from compare import check_case
from drawn import draws_on_the_device, sane
from golden import REFRESH, expected
from sides import Result

from caffe.device import current
from caffe.layer import class_of, type_list
from caffe.net import Net


def run_on_engine(case):
    try:
        return Result(case_runner.engine_name(), "ok", case_runner.run_case(case))
    except Exception as error:  # reported with its case, beside those that work
        return Result(case_runner.engine_name(), f"error: {error!r}", {})


def check_type(kind, share=1):
    """Every case of this type, or every ``share``-th, on the device of the thread's mode."""
    on_gpu = current().name.startswith(("pretend", "gpu"))
    report = []
    for case, golden in expected(kind)[::share]:
        if golden is None:
            report.append(f"{case['name']} has no golden result: {REFRESH}")
        elif on_gpu and draws_on_the_device(case):
            found = run_on_engine(case)
            if not sane(found, golden):
                report.append(f"{case['name']}: {found.status}, or NaN, or other shapes")
        else:
            problems = check_case(case, golden, run_on_engine(case))
            report += [f"{case['name']}: {problem}" for problem in problems]
    if report:
        pytest.fail("\n".join(report), pytrace=False)


@pytest.mark.parametrize("kind", cases.types())
def test_golden(kind):
    check_type(kind)


@pytest.mark.parametrize("kind", cases.types())
def test_golden_on_a_gpu(kind, pretend):
    """A third of the cases; `--everywhere pretend` takes them all.  Passes that come again are
    replayed from graphs."""
    with pretend_graphs.replayed():
        check_type(kind, share=3)


@pytest.mark.parametrize("kind", [kind for kind in cases.types() if "solver" not in kind])
def test_what_a_layer_keeps_follows_it_to_another_gpu(kind, pretend, monkeypatch):
    """Forward on one device, backward on another, then back again."""
    forward, backward = Net._forward, Net._backward

    def on(index, run):
        def there(*arguments):
            pretend.set_mode_pretend(index)
            return run(*arguments)

        return there

    monkeypatch.setattr(Net, "_forward", on(1, forward))
    monkeypatch.setattr(Net, "_backward", on(0, backward))
    check_type(kind, share=10)


@pytest.mark.parametrize("kind", ["solver clip_gradients", "solver weight_decay"])
def test_golden_without_fused_sgd(kind, monkeypatch):
    """A PyTorch without the fused update takes the plain steps, to the same results."""
    monkeypatch.setattr("caffe.solver.fused_sgd.available", lambda device: False)
    check_type(kind)


def test_no_layer_makes_the_host_wait_for_the_device(pretend, monkeypatch):
    """The first case of every type, and every tenth; layers that run on the host may."""
    waits = set()

    def watch(cls, method):
        real = getattr(cls, method)

        def watched(self, *args):
            with pretend.counting() as counts:
                result = real(self, *args)
            if self.graphable:
                waits.update((self.type, method, line) for line in counts.lines("sync"))
            return result

        monkeypatch.setattr(cls, method, watched)

    for name in type_list():
        for method in ("before_forward", "forward_blobs", "backward_blobs"):
            watch(class_of(name), method)
    for kind in cases.types():
        for case, _ in [] if kind.startswith("solver") else expected(kind)[::10]:
            case_runner.run_case(case)
    # The matrix of a file goes up once.
    assert {w for w in waits if w[0] != "InfogainLoss"} == set()


def test_every_type_has_twenty_cases():
    families = [module for module in cases.FAMILIES.values() if not hasattr(module, "COUNT")]
    layers = [kind for module in families for kind in module.TYPES]
    assert min(len(cases.of_type(kind)) for kind in layers) >= 20
