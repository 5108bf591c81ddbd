"""The loss of few scores and its gradient in one call each, against PyTorch's operators."""

import pytest
import torch

from caffe import native
from caffe.native import softmax_loss

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


@pytest.mark.parametrize("ignored", [None, 2, -1, 255])
@pytest.mark.parametrize("divisor", [0.0, 3.0])
@pytest.mark.parametrize(("rows", "classes"), [(1, 10), (7, 3), (5, 33), (64, 1000)])
def test_both_ways(rows, classes, divisor, ignored):
    torch.manual_seed(1)
    scores = torch.randn(rows, classes) * 5
    scores[0, 0] = 150.0  # the others' probabilities are 0 in float32
    labels = torch.randint(0, classes, (rows,)).float() + 0.25
    if ignored is not None:
        labels[-1] = ignored
    counts = labels.trunc() != (-9 if ignored is None else ignored)
    loss, prob, logs = softmax_loss.forward(scores, labels, classes, ignored, divisor)
    x = scores.double().requires_grad_()
    index = torch.where(counts, labels, 0.0).long()[:, None]
    p = x.softmax(1)
    each = p.gather(1, index).clamp(min=torch.finfo(torch.float32).tiny).log()[:, 0] * counts
    whole = -each.sum() / (divisor or max(1, int(counts.sum())))
    near = {"rtol": 1e-5, "atol": 1e-7, "check_dtype": False}
    torch.testing.assert_close(loss, whole.detach(), **near)
    torch.testing.assert_close(prob, p.detach(), **near)
    torch.testing.assert_close(logs, each.detach(), **near)
    top_diff = torch.tensor(0.5)
    diff = softmax_loss.backward(top_diff, prob, labels, classes, ignored, divisor)
    hit = torch.zeros_like(p).scatter_(1, index, 1.0)
    expected = (p.detach() - hit) * counts[:, None] * 0.5
    expected /= divisor or max(1, int(counts.sum()))
    torch.testing.assert_close(diff, expected, **near)


@pytest.mark.parametrize("wrong", [10.0, -1.0, 1e30, float("nan"), float("inf")])
def test_wrong_labels_are_left_to_who_names_them(wrong):
    scores, labels = torch.randn(3, 10), torch.tensor([1.0, wrong, 2.0])
    assert softmax_loss.forward(scores, labels, 10, None, 0.0) is None
    assert softmax_loss.backward(torch.tensor(1.0), scores, labels, 10, None, 0.0) is None


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_not_finite_are_left_to_pytorch(score):
    scores = torch.randn(2, 20)
    scores[1, 18] = score
    assert softmax_loss.forward(scores, torch.zeros(2), 20, None, 0.0) is None


def test_an_ignored_row_has_no_gradient_whatever_its_scores_are():
    prob = torch.tensor([[float("nan"), 0.0], [0.25, 0.75]])
    diff = softmax_loss.backward(torch.tensor(1.0), prob, torch.tensor([255.0, 0.0]), 2, 255, 0.0)
    torch.testing.assert_close(diff, torch.tensor([[0.0, 0.0], [-0.75, 0.75]]))


def test_what_it_takes():
    scores, labels = torch.zeros(4, 10), torch.zeros(4)
    assert softmax_loss.applies(scores, labels, 10)
    assert softmax_loss.applies(scores.view(4, 10, 1, 1), labels.view(4, 1, 1, 1), 10)
    assert not softmax_loss.applies(scores.t(), labels, 10)
    assert not softmax_loss.applies(scores, torch.zeros(3), 10)
    assert not softmax_loss.applies(torch.zeros(200, 1000), torch.zeros(200), 1000)
    assert not softmax_loss.applies(scores.double(), labels, 10)
