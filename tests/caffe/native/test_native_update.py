"""A solver's update in one call against the rules in float64."""

import pytest
import torch

from caffe import native
from caffe.native import update
from caffe.native.outer import Outer
from caffe.native.update import Parameter
from caffe.solver import rules
from caffe.solver.rules import Settings

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")

SIZES = [(1,), (500, 80), (7, 3, 5, 5), (4096,), (20, 410), (0,)]


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def parameters(histories):
    torch.manual_seed(2)
    for i, size in enumerate(SIZES):
        w, g = torch.randn(size), torch.randn(size)
        yield Parameter(w, g, [torch.rand(size) for _ in range(histories)], 0.01 * (1 + i), 0.1 * i)


@pytest.mark.parametrize("l1", [False, True])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", rules.NATIVE)
def test_the_rules(kind, count, l1, threads):
    threads(count)
    rule, factor = kind(), 0.25
    s = Settings(1.0, momentum=0.9, momentum2=0.999, rms_decay=0.98, delta=1e-4, t=3)
    found = list(parameters(rule.histories))
    given = [p._replace(rate=p.rate * rule.rate(s)) for p in found]
    name = rules.NATIVE[kind]
    update.update(name, given, factor, rule.kept(s), s.delta, l1)
    for p, before in zip(found, parameters(rule.histories)):
        w, g = before.w.double(), before.g.double()
        h = [[x.double()] for x in before.histories]
        g = g * factor + before.decay * (w.sign() if l1 else w)
        rule.update([g], h, s._replace(rate=before.rate))
        near = {"rtol": 1e-6, "atol": 2e-7}
        torch.testing.assert_close(p.w.double(), w - g, **near)
        for a, (b,) in zip(p.histories, h):
            torch.testing.assert_close(a.double(), b, **near)
        if name != "SGD":
            torch.testing.assert_close(p.g.double(), g, **near)


@pytest.mark.parametrize("l1", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("size", [(500, 80), (7, 33), (1, 1)])
def test_an_outer_product_as_the_gradient_gives_the_same_bits(size, decay, l1):
    torch.manual_seed(2)
    u, v, w, h = torch.randn(size[0]), torch.randn(size[1]), torch.randn(size), torch.rand(size)
    w[0, 0] = 0
    found = []
    for g in (Outer(u, v), torch.outer(u, v)):
        p = Parameter(w.clone(), g, [h.clone()], 0.01, decay)
        assert update.applies(p)
        update.update("SGD", [p], 0.25, (0.9, 0.0), 0.0, l1)
        found.append(p)
    assert torch.equal(found[0].w, found[1].w) and not torch.equal(found[0].w, w)
    assert torch.equal(found[0].histories[0], found[1].histories[0])


def test_what_it_takes():
    w = torch.zeros(4, 6)
    assert update.applies(Parameter(w, w.clone(), [w.clone()], 1, 0))
    turned, wide = torch.zeros(6, 4).t(), w.double()
    assert not update.applies(Parameter(w, turned, [w.clone()], 1, 0))
    assert not update.applies(Parameter(w, w.clone(), [turned], 1, 0))
    assert not update.applies(Parameter(turned, turned, [turned], 1, 0))
    assert not update.applies(Parameter(wide, wide, [wide], 1, 0))
