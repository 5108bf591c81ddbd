"""Region proposals by loops, for the tests of Proposal and of the Python layer."""

import numpy as np
from harness import Rig
from test_boxes import greedy

F = np.float32


def bottoms(seed, height=5, width=6, anchors=9, items=1):
    rng = np.random.default_rng(seed)
    scores = rng.permutation(items * 2 * anchors * height * width).astype(F)
    scores = scores.reshape(items, 2 * anchors, height, width) / scores.size
    deltas = rng.normal(0, 0.3, (items, 4 * anchors, height, width)).astype(F)
    return scores, deltas, np.array([[16 * height, 16 * width, 1.5]] * items, F)


def propose(scores, deltas, size, anchors, least, before, after, overlap, drop):
    """Rows (score, x1, y1, x2, y2) for one image.  Small boxes drop out or score nothing."""
    rows = []
    for h, w in np.ndindex(*scores.shape[1:]):
        for a, (x1, y1, x2, y2) in enumerate(anchors):
            dx, dy, dw, dh = deltas[4 * a : 4 * a + 4, h, w]
            wide, high = F(x2 - x1 + 1), F(y2 - y1 + 1)
            cx = F(x1 + 16 * w) + F(0.5) * wide + dx * wide
            cy = F(y1 + 16 * h) + F(0.5) * high + dy * high
            wide, high = np.exp(dw) * wide, np.exp(dh) * high
            box = [cx - wide / 2, cy - high / 2, cx + wide / 2, cy + high / 2]
            box = [min(max(v, F(0)), size[i] - 1) for v, i in zip(box, (1, 0, 1, 0))]
            small = box[2] - box[0] + 1 < least or box[3] - box[1] + 1 < least
            if not (small and drop):
                rows.append([0 if small else scores[len(anchors) + a, h, w], *box])
    rows = np.array(sorted(rows, key=lambda row: -row[0])[:before], F)
    return rows[greedy(rows[:, 1:], overlap)][:after]


def published_anchors():
    from test_boxes import _boxes

    return _boxes.anchors(16, (0.5, 1, 2), (8, 16, 32), np.round)


def python(settings, args, **options):
    text = settings.replace("\n", "\\n")
    return Rig(
        f"type: 'Python' python_param {{ module: 'rpn.proposal_layer' layer: 'ProposalLayer' "
        f'param_str: "{text}" }}',
        *(a.shape for a in args),
        **options,
    )
