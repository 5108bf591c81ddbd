"""Run cases under whichever `caffe` is imported, BVLC Caffe or the engine: one script for both.

    python case_runner.py CASES.json OUT_DIR [FIRST]

A case is plain JSON (see cases/make.py): a net's prototxt and a list of steps. Each case's result
is written as OUT_DIR/<number>.npz as soon as it is done, because BVLC Caffe ends the process on a
failed check: whoever started this process sees which case is missing and goes on from the next.
"""

import gc
import json
import os
import sys
import tempfile

import numpy as np

os.environ.setdefault("GLOG_minloglevel", "2")

import arrays
import case_files

import caffe


def engine_name():
    """The program behind `import caffe`; recorded with every result."""
    return getattr(caffe, "__engine__", None) or "BVLC Caffe " + caffe.__version__


def net_text(case):
    """The case's net; for BVLC Caffe its equivalent, where that aborts on the net itself."""
    if not hasattr(caffe, "__engine__"):
        return case.get("oracle_net", case["net"])
    return case["net"]


def own_blobs(net):
    """Blobs in order, without the tops of Split layers that Caffe inserted itself."""
    automatic = set()
    for name, layer in net.layer_dict.items():
        if layer.type == "Split" and name.endswith("_split"):
            automatic.update(net.top_names[name])
    return [name for name in net.blobs if name not in automatic]


def input_tops(net):
    return set(net.inputs)


class Run:
    """One case in progress: executes steps and collects arrays under readable keys."""

    def __init__(self, case, folder):
        self.results = {}
        self.solver = None
        case_files.write(case.get("files", ()), folder)
        if case.get("seed") is not None:
            caffe.set_random_seed(case["seed"])
        path = os.path.join(folder, "net.prototxt")
        with open(path, "w") as stream:
            stream.write(net_text(case))
        if "solver" in case:
            solver_path = os.path.join(folder, "solver.prototxt")
            with open(solver_path, "w") as stream:
                stream.write(f'net: "{path}"\n' + case["solver"])
            self.solver = caffe.get_solver(solver_path)
            self.net = self.solver.net
        else:
            phase = {"TRAIN": caffe.TRAIN, "TEST": caffe.TEST}[case["phase"]]
            self.net = caffe.Net(path, phase)
        self.own = own_blobs(self.net)

    def execute(self, steps):
        for number, step in enumerate(steps):
            self.prefix = "{}.{}/".format(number, step["op"])
            getattr(self, "do_" + step["op"])(step)
        return self.results

    def keep(self, key, value):
        self.results[self.prefix + key] = np.array(value, dtype=np.float32)

    def keep_params(self, kind):
        for layer, blobs in self.net.params.items():
            for index, blob in enumerate(blobs):
                self.keep(f"{kind}/{layer}/{index}", getattr(blob, kind_of(kind)))

    def do_seed(self, step):
        caffe.set_random_seed(step["value"])

    def do_data(self, step):
        blob = self.net.blobs[step["blob"]]
        array = arrays.make(step["array"], tuple(blob.shape))
        if tuple(blob.shape) != array.shape:
            blob.reshape(*array.shape)
        blob.data[...] = array

    def do_diff(self, step):
        blob = self.net.blobs[step["blob"]]
        blob.diff[...] = arrays.make(step["array"], tuple(blob.shape))

    def do_params(self, step):
        """Fill every parameter, or the named layer's, from one description."""
        for layer, blobs in self.net.params.items():
            if step.get("layer", layer) != layer:
                continue
            for index, blob in enumerate(blobs):
                if step.get("index", index) == index:
                    spec = dict(step["array"])
                    spec["seed"] = spec.get("seed", 0) + index
                    blob.data[...] = arrays.make(spec, tuple(blob.shape))

    def do_forward(self, step):
        # The Python method is what programs call; the loss comes from the integer range beneath it.
        loss = self.net._forward(0, len(self.net.layers) - 1)
        if loss:
            self.keep("loss", loss)
        inputs = input_tops(self.net)
        in_place = {
            t
            for n, tops in self.net.top_names.items()
            for t in tops
            if t in self.net.bottom_names[n]
        }
        for name in self.own:
            if name not in inputs or name in in_place:
                self.keep("data/" + name, self.net.blobs[name].data)

    def do_backward(self, step):
        self.net.backward()
        produced = set(self.net.outputs) - input_tops(self.net)
        for name in self.own:
            if name not in produced:
                self.keep("diff/" + name, self.net.blobs[name].diff)
        self.keep_params("param_diff")

    def do_rows(self, step):
        """All rows of some blobs over some passes, sorted: for orders that cannot be compared.

        A row is what the blobs hold of one item, so that items which fell apart show."""
        passes = []
        for _ in range(step["passes"]):
            self.net._forward(0, len(self.net.layers) - 1)
            columns = [self.net.blobs[name].data for name in step["blobs"]]
            passes.append(np.concatenate([c.reshape(len(c), -1) for c in columns], axis=1))
        rows = np.concatenate(passes)
        self.keep("rows", rows[np.lexsort(rows.T[::-1])])

    def do_set_input_arrays(self, step):
        self.arrays = [arrays.make(step["data"]), arrays.make(step["labels"])]
        self.net.set_input_arrays(*self.arrays)

    def do_edit_arrays(self, step):
        """Write into the arrays given to set_input_arrays; labels change sign."""
        self.arrays[0][...] = arrays.make(step["data"])
        self.arrays[1] *= -1

    def do_hdf5(self, step):
        """The datasets of a file that the net wrote. BVLC Caffe closes it with the net."""
        import h5py

        self.net = None
        gc.collect()
        with h5py.File(step["file"], "r") as file:
            for name in sorted(file):
                self.keep("hdf5/" + name, file[name][()])

    def do_clear(self, step):
        self.net.clear_param_diffs()

    def do_record(self, step):
        if step["what"] == "params":
            self.keep_params("param")
        elif step["what"] == "blobs":
            for name in self.own:
                self.keep("data/" + name, self.net.blobs[name].data)
        elif step["what"] == "lr":
            self.keep("lr", self.solver.lr)
        else:
            raise ValueError("cannot record {!r}".format(step["what"]))

    def do_step(self, step):
        self.solver.step(step["count"])
        if step.get("quiet"):
            return
        self.keep("iter", self.solver.iter)
        self.keep_params("param")

    def do_snapshot_restore(self, step):
        """Snapshot, change the weights, restore: the state must be what it was."""
        self.solver.snapshot()
        prefix = step["prefix"] + f"_iter_{self.solver.iter}.solverstate"
        for blobs in self.net.params.values():
            for blob in blobs:
                blob.data[...] = 0
        self.solver.restore(prefix)
        self.keep_params("param")


def kind_of(kind):
    return {"param": "data", "param_diff": "diff"}[kind]


def run_case(case):
    """Results of one case: key → float32 array (0-axis for scalars)."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)  # `files` are here, and solver cases write their snapshots here
        try:
            return Run(case, folder).execute(case["steps"])
        finally:
            os.chdir(before)


def write_result(path, results, status):
    header = json.dumps({"engine": engine_name(), "status": status})
    with open(path + ".part", "wb") as stream:
        np.savez(stream, __header__=np.array(header), **results)
    os.rename(path + ".part", path)


def main():
    cases_path, out = sys.argv[1:3]
    first = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    with open(cases_path) as stream:
        cases = json.load(stream)
    for number, case in list(enumerate(cases))[first:]:
        path = os.path.join(out, f"{number}.npz")
        try:
            results = run_case(case)
        except Exception as error:
            # The engine raises where BVLC Caffe aborts; either way the case has no result.
            write_result(path, {}, f"error: {type(error).__name__}: {error}")
        else:
            write_result(path, results, "ok")


if __name__ == "__main__":
    main()
