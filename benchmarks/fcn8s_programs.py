"""One measured program of fcn8s_speed.py, as a process that answers requests on its standard input.

    python fcn8s_programs.py PROGRAM JOB WORK_DIR

PROGRAM: "engine" or "bvlc" (whichever `caffe` is imported; pycaffe API only), or "torch" and
"torch-last" (an ordinary nn.Module in NCHW or channels_last). JOB: "make", "forward", "step" or
"load". Each request is a line of JSON with the key "do"; each answer a line "ANSWER " and JSON.
"make" writes the nets, the solver, He-scaled weights (as caffemodel and as one .npy per blob) and
two images with labels into WORK_DIR, which all programs then use.
"""

import json
import os
import sys
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
SEED = 1337
CLASSES = 21
VOID = 255


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak_gigabytes():
    """Largest resident size of this process so far; VmHWM, as ru_maxrss survives exec."""
    with open("/proc/self/status") as stream:
        line = next(line for line in stream if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def inputs(work):
    """(images 2×3×H×W float32, labels 2×1×H×W float32)."""
    return tuple(np.load(os.path.join(work, name + ".npy")) for name in ("images", "labels"))


class Caffe:
    """The engine or BVLC Caffe."""

    def __init__(self, program, job, work):
        import caffe

        self.caffe, self.work, self.count = caffe, work, 0
        caffe.set_mode_cpu()
        self.version = getattr(caffe, "__engine__", "BVLC Caffe " + caffe.__version__)
        if hasattr(caffe, "__engine__") == (program == "bvlc"):
            raise RuntimeError(f"{program} expected, but `import caffe` gave {self.version}")
        if job == "forward":
            self.net = caffe.Net(
                self.path("deploy.prototxt"), self.path("weights.caffemodel"), caffe.TEST
            )
        elif job == "step":
            self.solver = caffe.SGDSolver(self.path("solver.prototxt"))
            self.net = self.solver.net
            self.net.copy_from(self.path("weights.caffemodel"))
        if job in ("forward", "step"):
            self.images, self.labels = inputs(work)
            self.net.blobs["data"].reshape(1, *self.images.shape[1:])

    def path(self, name):
        return os.path.join(self.work, name)

    def next_input(self, number):
        self.net.blobs["data"].data[...] = self.images[number % 2]
        if "label" in self.net.blobs:
            self.net.blobs["label"].data[...] = self.labels[number % 2]

    def scores(self):
        self.next_input(0)
        return self.net.forward()["score"]

    def forward(self):
        self.count += 1
        self.next_input(self.count)
        return seconds(self.net.forward)

    def step(self):
        self.count += 1
        self.next_input(self.count)
        return seconds(lambda: self.solver.step(1))

    def load(self):
        """Seconds of loading into a new net, again, and of building a net with its weights."""
        caffe, weights = self.caffe, self.path("weights.caffemodel")
        with open(weights, "rb") as stream:  # into the page cache
            while stream.read(1 << 24):
                pass
        found = self.load_into_net(caffe.Net(self.path("deploy.prototxt"), caffe.TEST), weights)
        found["net_weights"] = seconds(
            lambda: caffe.Net(self.path("deploy.prototxt"), weights, caffe.TEST)
        )
        return found

    def load_into_net(self, net, weights):
        found = {
            "copy_from": seconds(lambda: net.copy_from(weights)),
            "copy_again": seconds(lambda: net.copy_from(weights)),
        }
        for name in ("conv1_1", "fc6", "score_fr"):
            stored = np.load(self.path(name + "_0.npy"), mmap_mode="r")
            if not np.array_equal(net.params[name][0].data, stored):
                raise RuntimeError(f"copy_from did not load {name}")
        return found

    def make(self, height, width):
        sys.path.insert(0, os.path.join(CHECKOUT, "tests", "oracle"))
        from google.protobuf import text_format
        from whole_net_runner import fill, with_input

        proto = self.caffe.proto.caffe_pb2

        def write(name, message):
            with open(self.path(name), "w") as stream:
                stream.write(text_format.MessageToString(message))

        train, _ = with_input(
            os.path.join(CHECKOUT, "nets/voc-fcn8s/train.prototxt"), height, width
        )
        train.force_backward = False
        write("train.prototxt", train)
        with open(os.path.join(CHECKOUT, "solvers/voc-fcn8s.prototxt")) as stream:
            solver = text_format.Parse(stream.read(), proto.SolverParameter())
        for field in ("test_net", "test_iter", "test_interval", "display", "snapshot"):
            solver.ClearField(field)
        solver.snapshot_after_train = False
        solver.train_net = self.path("train.prototxt")
        write("solver.prototxt", solver)
        with open(os.path.join(CHECKOUT, "nets/voc-fcn8s/deploy.prototxt")) as stream:
            deploy = text_format.Parse(stream.read(), proto.NetParameter())
        deploy.layer[0].input_param.shape[0].dim[:] = [1, 3, height, width]
        write("deploy.prototxt", deploy)

        rng = np.random.RandomState(SEED)
        net = self.caffe.Net(self.path("deploy.prototxt"), self.caffe.TEST)
        fill(net, rng)
        net.save(self.path("weights.caffemodel"))
        for name, blobs in net.params.items():
            for number, blob in enumerate(blobs):
                np.save(self.path(f"{name}_{number}.npy"), blob.data)
        labels = rng.randint(0, CLASSES, (2, 1, height, width)).astype(np.float32)
        labels[rng.uniform(size=labels.shape) < 0.05] = VOID
        images = rng.uniform(-120, 135, (2, 3, height, width)).astype(np.float32)
        np.save(self.path("images.npy"), images)
        np.save(self.path("labels.npy"), labels)


class Torch:
    """FCN-8s as one would write it in PyTorch: nn.Module, eager, torch.optim.SGD."""

    def __init__(self, program, job, work):
        import torch

        self.torch, self.job, self.count = torch, job, 0
        threads = int(os.environ["OMP_NUM_THREADS"])
        torch.set_num_threads(threads)
        self.version = f"PyTorch {torch.__version__}"
        last = program == "torch-last"
        layout = torch.channels_last if last else torch.contiguous_format
        self.model = fcn8s(work).to(memory_format=layout).train(job == "step")
        images, labels = inputs(work)
        self.images = [torch.from_numpy(i[None]).to(memory_format=layout) for i in images]
        self.labels = torch.from_numpy(labels).long()
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        lr, decay = 1e-14, 5e-4
        self.optimizer = torch.optim.SGD(
            [
                {"params": [p for n, p in named if n.endswith("weight")], "weight_decay": decay},
                {"params": [p for n, p in named if n.endswith("bias")], "lr": 2 * lr},
            ],
            lr=lr,
            momentum=0.99,
        )

    def scores(self):
        with self.torch.no_grad():
            return self.model(self.images[0]).contiguous().numpy()

    def forward(self):
        self.count += 1
        with self.torch.no_grad():
            return seconds(lambda: self.model(self.images[self.count % 2]))

    def step(self):
        self.count += 1
        image, label = self.images[self.count % 2], self.labels[self.count % 2]

        def one_step():
            self.optimizer.zero_grad()
            loss = self.torch.nn.functional.cross_entropy(
                self.model(image), label, ignore_index=VOID, reduction="sum"
            )
            loss.backward()
            self.optimizer.step()

        return seconds(one_step)


def fcn8s(work):
    """The nn.Module, with the weights of WORK_DIR and frozen upsampling as in the prototxt."""
    from torch import from_numpy, nn

    class FCN8s(nn.Module):
        def __init__(self):
            super().__init__()
            channels = 3
            for stage, (count, width) in enumerate(
                ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1
            ):
                for number in range(1, count + 1):
                    pad = 100 if stage == number == 1 else 1
                    self.add_module(
                        f"conv{stage}_{number}", nn.Conv2d(channels, width, 3, padding=pad)
                    )
                    channels = width
            self.fc6, self.fc7 = nn.Conv2d(512, 4096, 7), nn.Conv2d(4096, 4096, 1)
            self.score_fr = nn.Conv2d(4096, CLASSES, 1)
            self.score_pool4 = nn.Conv2d(512, CLASSES, 1)
            self.score_pool3 = nn.Conv2d(256, CLASSES, 1)
            for name, stride in (("upscore2", 2), ("upscore_pool4", 2), ("upscore8", 8)):
                up = nn.ConvTranspose2d(CLASSES, CLASSES, 2 * stride, stride, bias=False)
                self.add_module(name, up.requires_grad_(False))
            self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5)
            self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)

        def forward(self, x):
            height, width = x.shape[2:]
            pools = []
            for stage, count in enumerate((2, 2, 3, 3, 3), 1):
                for number in range(1, count + 1):
                    x = self.relu(getattr(self, f"conv{stage}_{number}")(x))
                x = self.pool(x)
                pools.append(x)
            x = self.drop(self.relu(self.fc6(x)))
            x = self.upscore2(self.score_fr(self.drop(self.relu(self.fc7(x)))))
            x = self.upscore_pool4(x + crop(self.score_pool4(pools[3]), 5, *x.shape[2:]))
            x = self.upscore8(x + crop(self.score_pool3(pools[2]), 9, *x.shape[2:]))
            return crop(x, 31, height, width)

    def crop(x, offset, height, width):
        return x[:, :, offset : offset + height, offset : offset + width]

    model = FCN8s()
    for name, parameter in model.named_parameters():
        layer, kind = name.split(".")
        stored = np.load(os.path.join(work, f"{layer}_{int(kind == 'bias')}.npy"))
        parameter.data.copy_(from_numpy(stored.reshape(parameter.shape)))
    return model


def answer(program, request, work, name):
    if request["do"] == "make":
        program.make(request["height"], request["width"])
        return {}
    if request["do"] == "scores":
        path = os.path.join(work, f"scores-{name}.npy")
        np.save(path, program.scores())
        return {"path": path, "version": program.version}
    if request["do"] == "peak":
        return {"gigabytes": peak_gigabytes()}
    if request["do"] == "load":
        return program.load()
    return {"seconds": getattr(program, request["do"])()}


def main():
    name, job, work = sys.argv[1:]
    program = (Torch if name.startswith("torch") else Caffe)(name, job, work)
    for line in sys.stdin:
        print("ANSWER " + json.dumps(answer(program, json.loads(line), work, name)), flush=True)


if __name__ == "__main__":
    main()
