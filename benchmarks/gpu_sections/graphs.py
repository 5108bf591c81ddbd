"""CUDA graphs change times, not results: the same run with and without them must agree."""

import contextlib
import tempfile
import warnings

import numpy as np

import caffe
from gpu_sections import fcn8s
from gpu_sections.machine import Machine, has, share

TOLERANCE = 1e-5  # of each array's largest value, in deterministic mode
SEED = 3
BIG, SMALL, THIRD = (48, 64), (40, 56), (32, 72)


def run(record):
    machine = Machine(record.options.device)
    machine.enter()
    if not has(record, "set_graphs"):
        return
    if has(record, "set_deterministic"):
        caffe.set_deterministic(True)
    with tempfile.TemporaryDirectory() as folder, replays(machine) as counted:
        quick = record.options.quick
        scenarios = Scenarios(quick, folder)
        names = [name for name in vars(Scenarios) if name.startswith("case_")]
        for name in names[::3] if quick else names:
            title = name[len("case_") :].replace("_", " ")
            with record.step(title):
                compare(record, title, getattr(scenarios, name), counted)
        with record.step("precision in between"):
            precision_between(record, scenarios)
        refused = sorted(set(record.facts.get("without a graph", [])))
        record.check("layers that want a graph get one", not refused, "; ".join(refused))


@contextlib.contextmanager
def replays(machine):
    """Count the replays of CUDA graphs in a list of one number."""
    counted, cls = [0], machine.graph_class()
    if cls is None:
        yield counted
        return
    original = cls.replay

    def replay(graph):
        counted[0] += 1
        return original(graph)

    cls.replay = replay
    try:
        yield counted
    finally:
        cls.replay = original


def compare(record, title, scenario, counted):
    """Run a scenario, a generator of arrays, with graphs and without."""
    found, used = {}, {}
    for on in (False, True):
        caffe.set_graphs(on)
        caffe.set_random_seed(SEED)
        before = counted[0]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found[on] = [np.array(array) for array in scenario()]
        used[on] = counted[0] - before
    caffe.set_graphs(True)
    refused = {str(w.message) for w in caught if "CUDA graph" in str(w.message)}
    record.fact("without a graph", record.facts.get("without a graph", []) + sorted(refused))
    same = sum(np.array_equal(a, b) for a, b in zip(found[False], found[True]))
    worst = max(share(a, b) for a, b in zip(found[False], found[True]))
    whole = len(found[False]) == len(found[True]) and any(a.any() for a in found[True])
    text = (
        f"{same} of {len(found[True])} arrays equal bit for bit, worst {worst:.2g} of the maximum; "
        f"{used[True]} replays"
    )
    record.check(title, whole and worst <= TOLERANCE and not used[False], text)
    replayed = record.facts.get("replays", 0) + used[True]
    record.fact("replays", replayed)
    if title == "inputs written between passes" and record.options.device in ("gpu", "pretend"):
        record.check("graphs are used at all", used[True] > 0, f"{used[True]} replays")


class Scenarios:
    """Each case_… yields arrays; it starts from the same weights and inputs each time."""

    def __init__(self, quick, folder):
        self.folder, self.share, self.passes = folder, 32 if quick else 4, 8 if quick else 10
        self.weights = {}

    def net(self, phase=caffe.TEST, size=BIG, experiment="voc-fcn8s"):
        narrow = self.share if experiment.startswith("voc") else 1
        param = fcn8s.train_param(*size, narrow, experiment, force_backward=True)
        net = fcn8s.net_of(param, self.folder, phase)
        if experiment not in self.weights:
            self.weights[experiment] = fcn8s.random_weights(net)
        fcn8s.set_weights(net, self.weights[experiment])
        return net

    def solver(self, experiment="voc-fcn8s", batch=1, **fields):
        narrow = self.share if experiment.startswith("voc") else 1
        param = fcn8s.train_param(*BIG, narrow, experiment, batch)
        fields = dict({"base_lr": 1e-8}, **fields)
        solver = fcn8s.solver(param, self.folder, **fields)
        if experiment not in self.weights:
            self.weights[experiment] = fcn8s.random_weights(solver.net)
        fcn8s.set_weights(solver.net, self.weights[experiment])
        return solver

    def feed(self, net, number, size=BIG, batch=1):
        images, labels = fcn8s.pictures(*size, 1, classes=5, seed=number, batch=batch)
        net.blobs["data"].data[...] = images[0] / 32
        net.blobs["label"].data[...] = labels[0]

    def case_inputs_written_between_passes(self):
        net = self.net()
        for number in range(self.passes):
            self.feed(net, number)
            net.forward()
            yield net.blobs["score"].data
        for _ in range(3):  # the same input again
            net.forward()
            yield net.blobs["score"].data

    def case_forward_and_backward(self):
        net = self.net()
        for number in range(self.passes):
            self.feed(net, number)
            net.clear_param_diffs()
            net.forward()
            net.backward()
            yield net.blobs["data"].diff
            for layer in ("conv1_1", "conv4_2", "fc6", "score_pool3"):
                yield net.params[layer][0].diff

    def case_gradients_add_up(self):
        net = self.net()
        net.clear_param_diffs()
        for number in range(self.passes):
            self.feed(net, number)
            net.forward()
            net.backward()
            yield net.params["conv1_1"][0].diff
        net.backward()  # twice from one forward pass
        yield net.params["conv1_1"][0].diff

    def case_changing_sizes(self):
        net = self.net()
        for number, size in enumerate([BIG] * 5 + [SMALL] * 5 + [BIG] * 2 + [THIRD, SMALL, BIG]):
            net.blobs["data"].reshape(1, 3, *size)
            net.blobs["label"].reshape(1, 1, *size)
            self.feed(net, number, size)
            net.forward()
            net.backward()
            yield net.blobs["score"].data
            yield net.blobs["data"].diff

    def case_weights_written_between_passes(self):
        net = self.net()
        for number in range(self.passes):
            self.feed(net, 0)
            net.params["conv2_1"][0].data[...] *= 1.01
            if number % 3 == 2:
                net.params["score_fr"][1].data[...] += number
            net.forward()
            yield net.blobs["score"].data

    def case_weights_copied_from_a_file(self):
        net, other = self.net(), self.net()
        other.params["conv1_1"][0].data[...] *= 2
        path = self.folder + "/other.caffemodel"
        other.save(path)
        for number in range(self.passes):
            self.feed(net, number)
            if number == self.passes // 2:
                net.copy_from(path)
            net.forward()
            yield net.blobs["score"].data

    def case_dropout(self):
        net = self.net(caffe.TRAIN)
        for number in range(self.passes):
            self.feed(net, 0)
            net.clear_param_diffs()
            net.forward()
            net.backward()
            yield net.blobs["fc7"].data
            yield net.params["fc6"][1].diff
            if number == self.passes // 2:
                caffe.set_random_seed(SEED + 1)

    def case_callbacks(self):
        net = self.net()
        calls = []
        for number in range(self.passes):
            if number == self.passes // 2:
                net.after_forward(calls.append)
                net.before_backward(calls.append)
            self.feed(net, number)
            net.forward()
            net.backward()
            yield net.blobs["score"].data
        yield np.array(calls, np.float32)

    def case_ranges(self):
        net = self.net()
        for number in range(self.passes):
            self.feed(net, number)
            net.forward(end="pool3")
            net.forward(start="conv4_1")
            net.clear_param_diffs()
            net.backward(end="fc6")
            yield net.params["fc6"][0].diff
            net.backward(start="pool5")
            yield net.params["conv1_1"][0].diff
            net.forward(start="fc7", end="score_fr")
            yield net.blobs["score_fr"].data

    def case_blobs_written_in_the_middle(self):
        net = self.net()
        for number in range(self.passes):
            self.feed(net, number)
            net.forward()
            net.blobs["pool4"].data[...] *= 0.5
            net.forward(start="conv5_1")
            yield net.blobs["score"].data
            net.blobs["score"].diff[...] = number
            net.clear_param_diffs()
            net.backward(start="score")
            yield net.params["score_fr"][0].diff

    def case_arrays_that_stay_alive(self):
        net = self.net()
        alive = net.blobs["pool5"].data, net.params["conv1_1"][0].data
        for number in range(self.passes):
            self.feed(net, number)
            alive[1][...] *= 1.02
            net.forward()
            yield net.blobs["score"].data
            yield net.blobs["pool5"].data

    def case_several_nets_in_turns(self):
        first, second = self.net(), self.net(size=SMALL)
        for number in range(self.passes):
            for net, size in ((first, BIG), (second, SMALL)):
                self.feed(net, number, size)
                net.forward()
                yield net.blobs["score"].data
            if number == self.passes // 2:
                first = self.net()

    def case_training(self):
        yield from self.train(self.solver())

    def case_training_with_clipping_and_iter_size(self):
        yield from self.train(self.solver(iter_size=2, clip_gradients=10.0))

    def case_training_with_Adam_and_steps_of_the_rate(self):
        fields = {"kind": "Adam", "base_lr": 1e-4, "lr_policy": "step", "gamma": 0.5, "stepsize": 3}
        yield from self.train(self.solver(momentum=0.9, **fields))

    def case_training_with_BatchNorm(self):
        solver = self.solver("camvid-fcn8s", 2, base_lr=1e-3, momentum=0.9)
        yield from self.train(solver, batch=2)

    def train(self, solver, batch=1):
        names = list(solver.net.params)
        for number in range(self.passes):
            self.feed(solver.net, number, batch=batch)
            caffe.set_random_seed(number)
            solver.step(1)
            yield solver.net.blobs["loss"].data
            for name in (names[0], names[len(names) // 2], names[-1]):
                yield solver.net.params[name][0].data

    def case_a_test_net_of_trained_weights(self):
        solver, net = self.solver(base_lr=1e-6), self.net()
        net.share_with(solver.net)
        for number in range(self.passes):
            self.feed(solver.net, number)
            solver.step(1)
            self.feed(net, 0)
            net.forward()
            yield net.blobs["score"].data


def precision_between(record, scenarios):
    """Results of fp32 before and after passes in another precision."""
    if not has(record, "set_precision"):
        return
    caffe.set_graphs(True)
    net = scenarios.net()
    scenarios.feed(net, 0)
    found = []
    for precision in ("fp32", "bf16", "fp32", "tf32", "fp32"):
        caffe.set_precision(precision)
        for _ in range(8):
            net.forward()
        if precision == "fp32":
            found.append(net.blobs["score"].data.copy())
    worst = max(share(found[0], array) for array in found[1:])
    record.check("precision in between", worst <= TOLERANCE, f"worst {worst:.2g} of the maximum")
