"""Random inference nets under random observers: the fused net gives what the plain one gives.

    python tests/fuzz/fused_nets.py [--count 500] [--seed 1] [--steps 8] [--seconds S]

A net is a random chain of convolutions, each with any of BatchNorm, Scale, Bias, a sum and an
activation after it, in place or with tops of their own, with pooling, branches and upsampling that
is cropped between.  Two copies of it go through the same random acts (forward, parts of it,
reading and writing blobs and weights, arrays that are kept, callbacks, new shapes, not-a-numbers),
one of them computed with CAFFE_KERNELS=plain, the other with its stretches compiled early.  After
every act random blobs are compared, to float32 rounding.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

import caffe
from caffe.errors import ShapeError
from caffe.net import compiled_step, upsample_step
from caffe.net.compiled_step import KINDS
from caffe.net.native_program import NativeProgram
from caffe.net.onednn_program import OneDnnProgram
from caffe.net.stretch_program import StretchProgram

TOLERANCE = 3e-5  # of the largest value of a blob
FILL = 'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.3 }'


class Maker:
    """Writes the prototxt of one random net."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.count, self.lines = rng, 0, []
        self.far = rng.random() < 0.3  # whether the image is padded far, as FCN's
        self.shape = rng.choice([1, 1, 2, 3]), rng.choice([1, 3, 4]), *rng.sample(range(5, 15), 2)

    def layer(self, kind, bottoms, in_place=False, settings=""):
        self.count += 1
        top = bottoms[0] if in_place else f"{kind.lower()}{self.count}"
        named = "".join(f'bottom: "{b}" ' for b in bottoms)
        self.lines.append(
            f'layer {{ name: "l{self.count}" type: "{kind}" {named}top: "{top}" {settings} }}'
        )
        return top

    def maybe(self, share=0.5):
        return self.rng.random() < share

    def convolution(self, bottom, channels, outputs, same=False):
        """A convolution; ``same``: of stride 1 and the bottom's size."""
        rng = self.rng
        kernel = rng.choice([1, 3, 3, 5])
        group = rng.choice([g for g in (1, 1, 1, 2, channels) if channels % g == outputs % g == 0])
        dilation = 1 if kernel == 1 else rng.choice([1, 1, 2])
        pad = dilation * (kernel // 2)
        if not same and self.maybe(0.3):
            pad = rng.randrange(pad, pad + 3)
        if self.far and bottom == "data":
            pad = rng.randrange(5, 30)
        stride = 1 if same else rng.choice([1, 1, 2])
        bias = "true" if self.maybe() else "false"
        return self.layer(
            "Convolution",
            [bottom],
            settings=f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {pad} "
            f"stride: {stride} dilation: {dilation} group: {group} bias_term: {bias} {FILL} }}",
        )

    def unit(self, bottom, channels, outputs, same=False, other=None):
        """A convolution and what may follow it."""
        top = self.convolution(bottom, channels, outputs, same)
        if self.maybe(0.6):
            top = self.layer("BatchNorm", [top], self.maybe())
        if self.maybe(0.6):
            gaussian = 'filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 }'
            bias = str(self.maybe()).lower()
            top = self.layer(
                "Scale", [top], self.maybe(), f"scale_param {{ bias_term: {bias} {gaussian} }}"
            )
        if self.maybe(0.2):
            filler = 'bias_param { filler { type: "gaussian" std: 1 } }'
            top = self.layer("Bias", [top], self.maybe(), filler)
        if other is not None:
            top = self.layer("Eltwise", self.rng.sample([top, other], 2))
        kind = self.rng.choice(["ReLU", "ReLU", "slope", "PReLU", "Clip", "ReLU6", "TanH", None])
        if kind == "slope":
            return self.layer("ReLU", [top], self.maybe(), "relu_param { negative_slope: 0.2 }")
        if kind == "Clip":
            return self.layer("Clip", [top], self.maybe(), "clip_param { min: -0.5 max: 1 }")
        return top if kind is None else self.layer(kind, [top], self.maybe(0.7))

    def upsampling(self, bottom, channels):
        """A Deconvolution with one kernel a channel, cut to the size of its bottom."""
        rng = self.rng
        kernel, stride = rng.randrange(1, 6), rng.choice([1, 2, 3])
        pad = rng.randrange((kernel + 1) // 2)
        offset = rng.randrange(kernel - 2 * pad)
        filler = rng.choice(["bilinear", "bilinear", "msra"])
        top = self.layer(
            "Deconvolution",
            [bottom],
            settings=f"convolution_param {{ num_output: {channels} group: {channels} bias_term: "
            f"false kernel_size: {kernel} stride: {stride} pad: {pad} "
            f'weight_filler {{ type: "{filler}" }} }}',
        )
        return self.layer("Crop", [top, bottom], settings=f"crop_param {{ offset: {offset} }}")

    def net(self):
        rng, channels = self.rng, self.shape[1]
        dims = " ".join(f"dim: {d}" for d in self.shape)
        self.lines.append(
            f'layer {{ name: "data" type: "Input" top: "data" '
            f"input_param {{ shape {{ {dims} }} }} }}"
        )
        top = "data"
        for i in range(rng.randrange(2, 5)):
            outputs = rng.choice([1, 4, 6, 8, 16])
            forms = ["chain", "chain", "sum", "branches", "pool", "upsampling"]
            form = rng.choice(forms) if i else "chain"
            if form == "chain":
                top = self.unit(top, channels, outputs)
            elif form == "sum":
                first = self.unit(top, channels, outputs, same=True)
                top = self.unit(top, channels, outputs, same=True, other=first)
            elif form == "branches":
                parts = [self.unit(top, channels, outputs, same=True) for _ in range(2)]
                top = self.layer("Concat", parts)
                outputs *= 2
            elif form == "upsampling":
                top, outputs = self.upsampling(top, channels), channels
            else:
                pool = rng.choice(["MAX", "AVE"])
                top = self.layer(
                    "Pooling", [top], settings=f"pooling_param {{ pool: {pool} kernel_size: 2 }}"
                )
                outputs = channels
            channels = outputs
        return "\n".join(self.lines)


class Pair:
    """The same net twice, and the acts on both."""

    def __init__(self, rng: random.Random, text: str, folder: str) -> None:
        self.rng, self.numbers = rng, np.random.RandomState(rng.randrange(1 << 30))
        path = os.path.join(folder, "net.prototxt")
        Path(path).write_text(text)
        self.fused, self.plain = (caffe.Net(path, caffe.TEST) for _ in range(2))
        for name, blobs in self.fused.params.items():
            for i, blob in enumerate(blobs):
                kind = self.fused.layer_dict[name].type
                value = blob.data
                if kind == "BatchNorm":
                    value = (
                        self.numbers.rand(*value.shape) + 0.5
                        if i
                        else self.numbers.randn(*value.shape)
                    )
                    value = value if i < 2 else np.float32([1.5])
                self.plain.params[name][i].data[...] = value
                blob.data[...] = value
        self.kept = []
        self.image(1)

    def both(self, act):
        """``act(net)`` on each; their results are equal."""
        found = act(self.fused)
        os.environ["CAFFE_KERNELS"] = "plain"
        try:
            expected = act(self.plain)
        finally:
            del os.environ["CAFFE_KERNELS"]
        self.compare(found, expected, act.__name__)

    compared = 0  # blobs, of all nets

    def compare(self, found, expected, what):
        if found is None:
            return
        Pair.compared += 1
        with np.errstate(invalid="ignore", over="ignore"):
            # MAX pooling makes -3.4e38 of not-a-numbers; what then overflows depends on the order.
            found, expected = (np.clip(a, -1e30, 1e30) for a in (found, expected))
            # What a ReLU leaves may be a remnant of sums of size 1, which are what rounding is of.
            largest = np.nanmax(np.abs(expected[np.isfinite(expected)]), initial=0.3)
            close = np.allclose(found, expected, 0, TOLERANCE * largest, equal_nan=True)
        if found.shape != expected.shape or not close:
            raise AssertionError(f"{what}: {np.abs(found - expected).max()} of {largest}")

    def image(self, spread):
        values = self.numbers.randn(*self.fused.blobs["data"].data.shape) * spread

        def write_image(net):
            net.blobs["data"].data[...] = values

        self.both(write_image)

    def comparable(self):
        """The blobs up to the first that holds numbers close to the largest there are, as MAX
        pooling makes them of not-a-numbers: what is summed of these depends on the order."""
        names = list(self.plain.blobs)
        for i, name in enumerate(names):
            values = np.abs(self.plain.blobs[name].data)
            if (np.isfinite(values) & (values > 1e30)).any():
                return names[: i + 1]
        return names

    def check(self):
        names = self.comparable()
        for name in self.rng.sample(names, min(3, len(names))):

            def read(net, name=name):
                return net.blobs[name].data.copy()

            read.__name__ = f"read {name}"
            self.both(read)
        for array, expected in self.kept if len(names) == len(self.plain.blobs) else ():
            self.compare(array, expected, "a kept array")

    # The acts -------------------------------------------------------------------------------------

    def forward(self):
        self.both(lambda net: net.forward() and None)

    def new_image(self):
        self.image(1)
        self.forward()

    def image_without_pass(self):
        self.image(2)

    def part(self):
        first, last = sorted(self.rng.choices(list(self.fused._layer_names), k=2), key=self.place)
        self.both(lambda net: net.forward(start=first, end=last) and None)

    def place(self, name):
        return list(self.fused._layer_names).index(name)

    def weights(self):
        name = self.rng.choice(list(self.fused.params))
        index = self.rng.randrange(len(self.fused.params[name]))

        def write_weights(net):
            net.params[name][index].data[...] *= 1.25

        self.both(write_weights)

    def write_blob(self):
        name = self.rng.choice(list(self.fused.blobs))

        def write_blob(net):
            net.blobs[name].data[...] += 0.5

        self.both(write_blob)

    def keep(self):
        name = self.rng.choice(list(self.fused.blobs))
        self.kept.append(tuple(n.blobs[name].data for n in (self.fused, self.plain)))

    def keep_weights(self):
        name = self.rng.choice(list(self.fused.params))
        self.kept.append(tuple(n.params[name][0].data for n in (self.fused, self.plain)))
        for array in self.kept[-1]:
            array *= 0.9
        self.forward()

    def let_go(self):
        self.kept.clear()

    def callback(self):
        seen = [], []
        name = self.rng.choice(list(self.fused.blobs))
        for net, values in zip((self.fused, self.plain), seen):
            net.after_forward(
                lambda i, net=net, values=values: values.append(net.blobs[name].data.copy())
            )
        self.forward()
        for net in (self.fused, self.plain):
            net._passes.callbacks["after_forward"].clear()
        for a, b in zip(*seen):
            self.compare(a, b, f"{name} in a callback")

    def reshape(self):
        n, c, h, w = self.fused.blobs["data"].data.shape
        shape = self.rng.choice([1, n + 1]), c, h + self.rng.choice([0, 3]), w
        self.kept.clear()  # those of blobs that grow keep the old memory, in both

        def reshape(net):
            net.blobs["data"].reshape(*shape)
            net.reshape()

        self.both(reshape)
        self.new_image()

    def broken_image(self):
        self.image(1)
        spoilt = self.rng.choice([np.nan, np.inf])

        def spoil(net):
            net.blobs["data"].data.flat[3] = spoilt

        self.both(spoil)
        self.forward()
        self.check()
        self.new_image()

    def broken_weight(self):
        name = self.rng.choice(list(self.fused.params))
        kept = self.fused.params[name][0].data.flat[0]
        for value in (np.nan, kept):

            def spoil(net, value=value):
                net.params[name][0].data.flat[0] = value

            self.both(spoil)
            self.forward()

    ACTS = (
        *[new_image] * 3,
        forward,
        image_without_pass,
        part,
        part,
        weights,
        write_blob,
        keep,
        keep_weights,
        let_go,
        callback,
        reshape,
        broken_image,
        broken_weight,
    )


def one(seed: int, steps: int) -> tuple[int, int]:
    """One net and its acts; the number of groups that run as one call and of upsamplings.  Raises
    AssertionError."""
    rng = random.Random(seed)
    patience = rng.choice([1, 1, 3])  # passes until stretches are compiled
    kinds = rng.choice([KINDS, *[(kind,) for kind in KINDS]])
    region = rng.choice([1, 1 << 20])  # upsampling by blocks, or by the general operator
    with (
        mock.patch.object(compiled_step, "KINDS", kinds),
        mock.patch.object(NativeProgram, "patience", patience),
        mock.patch.object(OneDnnProgram, "patience", patience),
        mock.patch.object(upsample_step, "LEAST_REGION", region),
    ):
        return _one(rng, seed, steps)


def _one(rng: random.Random, seed: int, steps: int) -> tuple[int, int]:
    text = Maker(rng).net()
    done = []
    caffe.set_random_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        try:
            pair = Pair(rng, text, folder)
        except ShapeError:  # a pooling that does not fit what strides have left
            return 0, 0
        pair.forward()
        try:
            for _ in range(steps):
                act = rng.choice(Pair.ACTS)
                done.append(act.__name__)
                act(pair)
                pair.check()
        except Exception as error:
            raise AssertionError(f"seed {seed}, after {done}: {error}\n{text}") from error
    plan = pair.fused._passes.plan
    return len(plan._fused), len(plan._upsamples) // 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500, help="nets; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the first net")
    parser.add_argument("--steps", type=int, default=8, help="acts on a net; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=1e9, help="end after so many")
    options = parser.parse_args()
    groups = cuts = nets = 0
    end = time.monotonic() + options.seconds
    make, programs = StretchProgram.make.__func__, collections.Counter()

    @classmethod
    def counted(kind, stretch):
        program = make(kind, stretch)
        programs[kind] += program is not None
        return program

    with mock.patch.object(StretchProgram, "make", counted):
        while nets < options.count and time.monotonic() < end:
            more = one(options.seed + nets, options.steps)
            groups, cuts, nets = groups + more[0], cuts + more[1], nets + 1
    print(
        f"{nets} nets with {groups} fused groups, {cuts} cropped upsamplings and "
        f"{programs[NativeProgram]} native programs and {programs[OneDnnProgram]} of oneDNN, "
        f"{options.steps} acts each, {Pair.compared} blobs compared: "
        "all equal"
    )


if __name__ == "__main__":
    sys.exit(main())
