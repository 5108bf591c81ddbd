"""Python layers that the cases use; written for pycaffe, so the same file serves both programs."""

import ast

import numpy as np

import caffe


class Affine(caffe.Layer):
    """y = scale·x + shift, with the two numbers from param_str; in TEST twice that."""

    def setup(self, bottom, top):
        given = ast.literal_eval(self.param_str)
        self.scale, self.shift = given["scale"], given["shift"]
        if self.phase == caffe.TEST:
            self.scale *= 2

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.scale * bottom[0].data + self.shift

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = self.scale * top[0].diff


class Weighted(Affine):
    """y = w·x + b with two parameter blobs of its own: w per channel, b a single number."""

    def setup(self, bottom, top):
        self.blobs.add_blob(bottom[0].shape[1])
        self.blobs.add_blob(1)

    def wide(self, bottom):
        return self.blobs[0].data.reshape([-1] + [1] * (len(bottom[0].shape) - 2))

    def forward(self, bottom, top):
        top[0].data[...] = self.wide(bottom) * bottom[0].data + self.blobs[1].data[0]

    def backward(self, top, propagate_down, bottom):
        g = top[0].diff
        others = tuple(axis for axis in range(g.ndim) if axis != 1)
        self.blobs[0].diff[...] += (g * bottom[0].data).sum(axis=others)
        self.blobs[1].diff[...] += g.sum()
        if propagate_down[0]:
            bottom[0].diff[...] = self.wide(bottom) * g


class Mixer(caffe.Layer):
    """Two bottoms, two tops: their sum and their product."""

    def setup(self, bottom, top):
        if len(bottom) != 2 or len(top) != 2:
            raise ValueError("Mixer wants two bottoms and two tops")

    def reshape(self, bottom, top):
        for i in range(2):
            top[i].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        a, b = bottom[0].data, bottom[1].data
        top[0].data[...] = a + b
        top[1].data[...] = a * b

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if propagate_down[i]:
                bottom[i].diff[...] = top[0].diff + top[1].diff * bottom[1 - i].data


class Penalty(caffe.Layer):
    """A loss: half the squared distance of the bottoms, per item."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        self.distance = np.zeros(bottom[0].data.shape, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.distance[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.distance**2) / bottom[0].num / 2

    def backward(self, top, propagate_down, bottom):
        for i, sign in enumerate((1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * top[0].diff[0] * self.distance / bottom[i].num
