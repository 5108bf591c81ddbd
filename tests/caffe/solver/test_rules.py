"""The update rules against their formulas in NumPy; whole solvers are compared in test_solver."""

import numpy as np
import pytest
import torch

from caffe.errors import SolverError
from caffe.proto import caffe_pb2
from caffe.solver import _SOLVERS, register, rules

S = rules.Settings(rate=0.1, momentum=0.9, momentum2=0.99, rms_decay=0.8, delta=1e-3, t=3)


def sgd(g, h):
    h = S.momentum * h + S.rate * g
    return h, [h]


def nesterov(g, h):
    after = S.momentum * h + S.rate * g
    return (1 + S.momentum) * after - S.momentum * h, [after]


def adagrad(g, h):
    h = h + g * g
    return S.rate * g / (np.sqrt(h) + S.delta), [h]


def rmsprop(g, h):
    h = S.rms_decay * h + (1 - S.rms_decay) * g * g
    return S.rate * g / (np.sqrt(h) + S.delta), [h]


def adadelta(g, h, h2):
    h = S.momentum * h + (1 - S.momentum) * g * g
    v = g * np.sqrt((h2 + S.delta) / (h + S.delta))
    return S.rate * v, [h, S.momentum * h2 + (1 - S.momentum) * v * v]


def adam(g, h, h2):
    h = S.momentum * h + (1 - S.momentum) * g
    h2 = S.momentum2 * h2 + (1 - S.momentum2) * g * g
    correction = np.sqrt(1 - S.momentum2**S.t) / (1 - S.momentum**S.t)
    return S.rate * correction * h / (np.sqrt(h2) + S.delta), [h, h2]


RULES = [
    (rules.Sgd, sgd),
    (rules.Nesterov, nesterov),
    (rules.AdaGrad, adagrad),
    (rules.RMSProp, rmsprop),
    (rules.AdaDelta, adadelta),
    (rules.Adam, adam),
]


@pytest.mark.parametrize(("rule", "formula"), RULES, ids=lambda x: getattr(x, "__name__", None))
def test_an_update_is_the_formula(rule, formula):
    rule = rule()
    random = np.random.RandomState(3)
    gradients = [random.randn(*shape) for shape in ((4, 3), (5,))]
    # Running means of squares are not negative.
    before = [[np.abs(random.randn(*g.shape)) for g in gradients] for _ in range(rule.histories)]
    g = [torch.tensor(x, dtype=torch.float32) for x in gradients]
    h = [[torch.tensor(x, dtype=torch.float32) for x in part] for part in before]
    rule.update(g, h, S)
    for k, gradient in enumerate(gradients):
        update, after = formula(gradient, *(part[k] for part in before))
        np.testing.assert_allclose(g[k].numpy(), update, rtol=1e-5, atol=1e-6)
        for part, expected in zip(h, after):
            np.testing.assert_allclose(part[k].numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", [rule for rule, _ in RULES if rule().still_at_zero_rate])
def test_a_rule_that_is_still_at_rate_zero_does_nothing_then(rule):
    g, h = torch.randn(6), torch.zeros(6)
    rule().update([g], [[h]], S._replace(rate=0.0))
    assert not g.any() and not h.any()


@pytest.mark.parametrize("rule", [rules.AdaGrad, rules.RMSProp])
def test_rules_without_momentum_refuse_it(rule):
    with pytest.raises(SolverError, match="expected momentum: 0, received momentum: 0.9"):
        rule().check(caffe_pb2.SolverParameter(type=rule.__name__, momentum=0.9))


def test_rms_decay_is_a_share():
    with pytest.raises(SolverError, match=r"rms_decay must lie in \[0, 1\)"):
        rules.RMSProp().check(caffe_pb2.SolverParameter(type="RMSProp", rms_decay=1.0))


def test_every_rule_has_its_formula():
    used = {type(cls.rule) for cls in _SOLVERS.values()}
    assert used == {rule for rule, _ in RULES}


def test_a_solver_type_has_one_class():
    with pytest.raises(SolverError, match="'Adam' is registered twice"):
        register("Adam")(type("Other", (), {}))


def test_a_rule_without_an_update_says_so():
    with pytest.raises(TypeError, match="UpdateRule has no update"):
        rules.UpdateRule().update([], [], S)
