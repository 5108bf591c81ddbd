"""One measured program of nets_speed.py, as a process that answers requests on its standard input.

    python nets_programs.py PROGRAM WORK_DIR THREADS

PROGRAM: "engine" or "bvlc" (whichever `caffe` is imported; pycaffe API only), "opencv", "onnx",
"openvino", "engine-bf16" and "openvino-bf16" (which may compute in bfloat16), "torch" or
"torch-last" (eager, in NCHW or channels_last), "torch-compiled" (the latter by torch.compile,
forward only; it needs a C++ compiler). A request is a line of JSON: {"do": "start"}, {"do": "load",
"net": NET, "job": "forward", "bf16" or "step", "warm": S}, {"do": "scores"}, {"do": "time",
"seconds": S}, {"do": "unload"} or {"do": "peak"}; an answer a line "ANSWER " and JSON.
"""

import gc
import json
import os
import sys
import time

import numpy as np

# Before anything is timed. The engine makes a program of a net after 3 to 20 passes.
WARM_PASSES, ENGINES_WARM_PASSES = 6, 30


class Program:
    """A program with at most one net.  `run(number)` is one pass, its input's copy included."""

    warm_passes, kind = WARM_PASSES, ""  # of the engine's native kernels

    def __init__(self, work, threads):
        self.work, self.threads, self.count, self.scores = work, threads, 0, None

    def load(self, net, job):
        self.folder = os.path.join(self.work, net)
        prefix = "train_" if job == "step" else ""
        self.inputs = np.load(self.path(prefix + "inputs.npy"))
        self.labels = np.load(self.path("labels.npy"))
        self.open(job)

    def warm(self, seconds):
        """Passes until each program is as fast as it gets, as far as the time suffices."""
        end = time.perf_counter() + seconds
        for number in range(self.warm_passes):
            if time.perf_counter() >= end:
                break
            self.run(number % 2)

    def unload(self):
        """Let go of the net, for the memory."""
        for name in ("net", "solver", "step", "session", "model", "inputs", "labels", "scores"):
            setattr(self, name, None)
        gc.collect()

    def path(self, name):
        return os.path.join(self.folder, name)

    def time(self, seconds):
        """The seconds of passes until so many have gone by; of short passes the first is not
        counted: the caches then hold another program's numbers."""
        start = time.perf_counter()
        self.run(0)
        first = time.perf_counter() - start
        if first > seconds:
            return [first]
        found, end = [], time.perf_counter() + seconds
        while not found or time.perf_counter() < end:
            self.count += 1
            start = time.perf_counter()
            self.run(self.count % 2)
            found.append(time.perf_counter() - start)
        return found


class Caffe(Program):
    """The engine or BVLC Caffe."""

    def __init__(self, work, threads):
        super().__init__(work, threads)
        import caffe

        self.caffe = caffe
        caffe.set_mode_cpu()
        self.version = getattr(caffe, "__engine__", "BVLC Caffe " + caffe.__version__)
        if hasattr(caffe, "__engine__"):
            from caffe import native

            self.warm_passes, self.kind = ENGINES_WARM_PASSES, native.kind()
            self.version += f", native kernels: {self.kind or 'none'}"

    def open(self, job):
        self.net = self.solver = None
        caffe, weights = self.caffe, self.path("weights.caffemodel")
        if job == "step":
            self.solver = caffe.SGDSolver(self.path("solver.prototxt"))
            self.net = self.solver.net
            self.net.copy_from(weights)
        else:
            self.net = caffe.Net(self.path("deploy.prototxt"), weights, caffe.TEST)
        self.source = self.net.inputs[0]

    def run(self, number):
        self.net.blobs[self.source].data[...] = self.inputs[number]
        if self.solver:
            self.net.blobs["label"].data[...] = self.labels[number].reshape(
                self.net.blobs["label"].data.shape
            )
            self.solver.step(1)
            return None
        return next(iter(self.net.forward().values()))


class CaffeBf16(Caffe):
    """The engine, which may compute in bfloat16."""

    def __init__(self, work, threads):
        super().__init__(work, threads)
        self.caffe.set_precision("bf16")


class OpenCV(Program):
    def __init__(self, work, threads):
        super().__init__(work, threads)
        import cv2

        cv2.setNumThreads(threads)
        self.cv2, self.version = cv2, "OpenCV " + cv2.__version__

    def open(self, job):
        self.net = self.cv2.dnn.readNetFromCaffe(
            self.path("deploy.prototxt"), self.path("weights.caffemodel")
        )

    def run(self, number):
        self.net.setInput(self.inputs[number])
        return self.net.forward()


class OnnxRuntime(Program):
    def __init__(self, work, threads):
        super().__init__(work, threads)
        import onnxruntime

        self.library, self.version = onnxruntime, "ONNX Runtime " + onnxruntime.__version__

    def open(self, job):
        options = self.library.SessionOptions()
        options.intra_op_num_threads = self.threads
        self.session = self.library.InferenceSession(
            self.path("net.onnx"), options, ["CPUExecutionProvider"]
        )
        self.source = self.session.get_inputs()[0].name

    def run(self, number):
        return self.session.run(None, {self.source: self.inputs[number]})[0]


class OpenVINO(Program):
    precision = "f32"

    def __init__(self, work, threads):
        super().__init__(work, threads)
        import openvino

        self.core, self.version = openvino.Core(), "OpenVINO " + openvino.__version__

    def open(self, job):
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = self.core.read_model(self.path("net.onnx"))
        model.reshape({model.inputs[0].any_name: list(self.inputs[0].shape)})
        self.model = self.core.compile_model(model, "CPU", settings)

    def run(self, number):
        return next(iter(self.model(self.inputs[number]).values()))


class OpenVINOBf16(OpenVINO):
    precision = "bf16"


class Torch(Program):
    last = False

    def __init__(self, work, threads):
        super().__init__(work, threads)
        import torch

        torch.set_num_threads(threads)
        self.torch, self.version = torch, "PyTorch " + torch.__version__

    def open(self, job):
        import nets_torch

        self.net = nets_torch.Net(self.folder).eval()
        if self.last:
            self.net = self.net.to(memory_format=self.torch.channels_last)
        self.step = nets_torch.Step(self.net) if job == "step" else None

    def run(self, number):
        x = self.torch.from_numpy(self.inputs[number])
        if self.last:
            x = x.contiguous(memory_format=self.torch.channels_last)
        if self.step:
            self.step(x, self.torch.from_numpy(self.labels[number]))
            return None
        with self.torch.inference_mode():
            return self.net(x).numpy()


class TorchLast(Torch):
    last = True


class TorchCompiled(TorchLast):
    def open(self, job):
        if job == "step":
            raise RuntimeError("is timed forward only")
        super().open(job)
        self.net.compile()


PROGRAMS = {
    "engine": Caffe,
    "bvlc": Caffe,
    "opencv": OpenCV,
    "onnx": OnnxRuntime,
    "openvino": OpenVINO,
    "torch": Torch,
    "torch-last": TorchLast,
    "torch-compiled": TorchCompiled,
    "engine-bf16": CaffeBf16,
    "openvino-bf16": OpenVINOBf16,
}


def peak_gigabytes():
    """Largest resident size of this process so far."""
    with open("/proc/self/status") as stream:
        line = next(line for line in stream if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def told(error):
    """The first line of what an exception says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def answer(program, request):
    if request["do"] == "load":
        try:
            program.load(request["net"], request["job"])
            start = time.perf_counter()
            scores = program.run(0)
            first = time.perf_counter() - start
        except Exception as error:
            return {"error": told(error)}
        program.scores = None if scores is None else np.array(scores)
        program.warm(request["warm"] - first)
        return {"version": program.version, "kind": program.kind, "first": first}
    if request["do"] == "scores":
        path = os.path.join(program.folder, f"scores-{sys.argv[1]}-{sys.argv[3]}.npy")
        np.save(path, program.scores)
        return {"path": path}
    if request["do"] == "start":
        return {"version": program.version}
    if request["do"] == "unload":
        program.unload()
        return {}
    if request["do"] == "peak":
        return {"gigabytes": peak_gigabytes()}
    return {"seconds": program.time(request["seconds"])}


def main():
    name, work, threads = sys.argv[1:]
    program = PROGRAMS[name](work, int(threads))
    for line in sys.stdin:
        print("ANSWER " + json.dumps(answer(program, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
