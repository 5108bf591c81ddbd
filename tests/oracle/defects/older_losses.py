"""Defects of the losses of Siamese nets, margins, probabilities and weighted confusions."""

from defects.make import Defect

DEFECTS = [
    Defect(
        "ContrastiveLoss does not add 1e-4 to the distance",
        "layer/contrastive_loss.py",
        "EPSILON = 1e-4",
        "EPSILON = 0",
        ["ContrastiveLoss"],
    ),
    Defect(
        "ContrastiveLoss takes 0.5 for alike",
        "layer/contrastive_loss.py",
        "y.reshape(-1, 1).trunc() != 0",
        "y.reshape(-1, 1) != 0",
        ["ContrastiveLoss"],
    ),
    Defect(
        "legacy ContrastiveLoss has the new gradient",
        "layer/contrastive_loss.py",
        "torch.full_like(gap, -1.0) if self.legacy else",
        "",
        ["ContrastiveLoss"],
    ),
    Defect(
        "HingeLoss leaves no margins in the scores' diff",
        "layer/hinge_loss.py",
        "self._flip(bottom[0].diff_tensor().float(), bottom[1].data_tensor())",
        "self._flip(self._flip(bottom[0].data_tensor().float(), bottom[1].data_tensor())"
        ".add_(1).relu_(), bottom[1].data_tensor())",
        ["HingeLoss"],
    ),
    Defect(
        "L2 HingeLoss lacks the 2 of its gradient",
        "layer/hinge_loss.py",
        "diff.mul_(2 * weight)",
        "diff.mul_(weight)",
        ["HingeLoss"],
    ),
    Defect(
        "MultinomialLogisticLoss has the floor of SoftmaxWithLoss",
        "layer/multinomial_logistic_loss.py",
        "SMALLEST = 1e-20",
        "SMALLEST = 1.1754944e-38",
        ["MultinomialLogisticLoss"],
    ),
    Defect(
        "InfogainLoss reads the matrix by columns",
        "layer/infogain_loss.py",
        "return self.stored.view(k, k)",
        "return self.stored.view(k, k).t()",
        ["InfogainLoss"],
    ),
    Defect(
        "InfogainLoss takes rows of H to sum to 1",
        "layer/infogain_loss.py",
        "self._rows(prob) * gains.sum(1, keepdim=True)",
        "self._rows(prob)",
        ["InfogainLoss"],
    ),
    Defect(
        "InfogainLoss ignores no label in its gradient",
        "layer/infogain_loss.py",
        "diff = torch.where(counts.unsqueeze(1), diff, 0.0)",
        "pass",
        ["InfogainLoss"],
    ),
]
