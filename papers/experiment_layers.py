"""Python layers that change what a net reads, for the experiments.

Every layer draws at random from a seed of its own, so that a run can be repeated.
"""

import ast

import numpy as np

import caffe

__all__ = ["JitterLayer", "MaskLayer", "PresenceLayer", "SampleLossLayer"]

IGNORE = 255


class _Layer(caffe.Layer):
    """Options from `param_str`, a dict literal; no gradient goes back to images or labels."""

    def setup(self, bottom, top):
        self.options = ast.literal_eval(self.param_str or "{}")
        self.random = np.random.RandomState(self.options.get("seed", 0))

    def reshape(self, bottom, top):
        for i in range(len(top)):  # BVLC's lists of blobs can be indexed, not iterated
            top[i].reshape(*bottom[i].data.shape)

    def backward(self, top, propagate_down, bottom):
        pass


class SampleLossLayer(_Layer):
    """Label maps (N, 1, H, W) of which each cell of `cell`×`cell` pixels is kept with probability
    `keep`, and ignored otherwise: sampling patches, as a loss over whole images sees it."""

    def forward(self, bottom, top):
        label, cell = bottom[0].data, self.options["cell"]
        n, _, height, width = label.shape
        cells = self.random.rand(n, 1, -(-height // cell), -(-width // cell))
        ignored = (cells >= self.options["keep"]).repeat(cell, 2).repeat(cell, 3)
        top[0].data[...] = np.where(ignored[:, :, :height, :width], IGNORE, label)


class PresenceLayer(_Layer):
    """Label maps (N, 1, H, W) → (N, classes, 1, 1), 1 for each class that is in the image: labels
    of images instead of pixels."""

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].data.shape[0], self.options["classes"], 1, 1)

    def forward(self, bottom, top):
        for label, present in zip(bottom[0].data, top[0].data):
            for number in range(len(present)):
                present[number] = (label == number).any()


class JitterLayer(_Layer):
    """Images and label maps moved by up to `by` pixels along each axis, both alike; what comes in
    at the edge is the mean colour, 0, and ignored."""

    def forward(self, bottom, top):
        by = self.options["by"]
        for blob, fill in ((0, 0), (1, IGNORE)):
            top[blob].data[...] = fill
        height, width = bottom[0].data.shape[2:]
        for i in range(len(bottom[0].data)):
            down, right = (int(v) for v in self.random.randint(-by, by + 1, 2))
            source = (
                slice(max(0, -down), height - max(0, down)),
                slice(max(0, -right), width - max(0, right)),
            )
            target = (
                slice(max(0, down), height - max(0, -down)),
                slice(max(0, right), width - max(0, -right)),
            )
            for blob in (0, 1):
                top[blob].data[i][(slice(None),) + target] = bottom[blob].data[i][
                    (slice(None),) + source
                ]


class MaskLayer(_Layer):
    """Images (N, 3, H, W) and label maps → images without their foreground or background.

    `foreground`: its classes; `hide`: "foreground", "background", or "both", which leaves its
    shape alone. What is hidden is the mean colour, 0; with "both" the foreground is `VALUE`. The
    borders between regions, ignored in the labels, are always hidden.
    """

    VALUE = 64

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        image, label, hide = bottom[0].data, bottom[1].data, self.options["hide"]
        front = np.isin(label, self.options["foreground"])
        border = label == IGNORE
        if hide == "both":
            top[0].data[...] = np.where(front, np.float32(self.VALUE), np.float32(0))
        else:
            shown = front if hide == "background" else ~front
            top[0].data[...] = np.where(shown & ~border, image, np.float32(0))
