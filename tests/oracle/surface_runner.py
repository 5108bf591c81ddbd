"""What a program's pycaffe consists of: every public name with its kind and its arguments.

    python surface_runner.py OUT

Writes JSON: module or class → name → [kind, [[argument, its kind, its default], …] or null].
Functions and classes made in C++ tell no arguments: null.
"""

import inspect
import json
import sys

import caffe
import caffe.coord_map
import caffe.draw

MODULES = (
    "caffe",
    "caffe._caffe",
    "caffe.classifier",
    "caffe.coord_map",
    "caffe.detector",
    "caffe.draw",
    "caffe.io",
    "caffe.net_spec",
    "caffe.pycaffe",
)
CLASSES = (
    "caffe.Net",
    "caffe.Classifier",
    "caffe.Detector",
    "caffe.Layer",
    "caffe.NCCL",
    "caffe.NetSpec",
    "caffe.SGDSolver",
    "caffe.NesterovSolver",
    "caffe.AdaGradSolver",
    "caffe.RMSPropSolver",
    "caffe.AdaDeltaSolver",
    "caffe.AdamSolver",
    "caffe.Timer",
    "caffe._caffe.Blob",
    "caffe._caffe.BlobVec",
    "caffe._caffe.BoolVec",
    "caffe._caffe.DtypeVec",
    "caffe._caffe.IntVec",
    "caffe._caffe.LayerParameter",
    "caffe._caffe.LayerVec",
    "caffe._caffe.NetVec",
    "caffe._caffe.RawBlobVec",
    "caffe._caffe.Solver",
    "caffe._caffe.SolverParameter",
    "caffe._caffe.StringVec",
    "caffe.io.Transformer",
    "caffe.net_spec.Function",
    "caffe.net_spec.Layers",
    "caffe.net_spec.NetSpec",
    "caffe.net_spec.Parameters",
    "caffe.net_spec.Top",
)
# Programs use these in spite of the underscore.
PRIVATE = (
    "_backward",
    "_batch",
    "_blob_loss_weights",
    "_blob_names",
    "_blobs",
    "_bottom_ids",
    "_caffe",
    "_forward",
    "_inputs",
    "_layer_names",
    "_outputs",
    "_top_ids",
)


def find(dotted):
    found = caffe
    for part in dotted.split(".")[1:]:
        found = getattr(found, part)
    return found


def kind(value):
    """Of what kind a name is, in words that hold for C++ and Python."""
    if inspect.ismodule(value):
        return "module"
    if isinstance(value, type):
        return "class"
    return "function" if callable(value) else "value"  # a property is a value


def arguments(value):
    if isinstance(value, type) and value.__init__ is object.__init__:
        return []
    if not (inspect.isfunction(value) or inspect.isfunction(getattr(value, "__init__", None))):
        return None
    parameters = inspect.signature(value).parameters.values()
    return [
        [p.name, p.kind.name, "" if p.default is p.empty else repr(p.default)] for p in parameters
    ]


def is_own(value):
    """False for what a module merely imported from elsewhere (np, OrderedDict, division)."""
    if value is caffe:
        return False
    if inspect.ismodule(value):
        return value.__name__.startswith("caffe")
    origin = getattr(value, "__module__", None) or getattr(type(value), "__module__", "")
    return origin.split(".")[0] in ("caffe", "Boost", "builtins")


def members(dotted):
    owner = find(dotted)
    found = {}
    for name in dir(owner):
        if name.startswith("_") and name not in PRIVATE:
            continue
        value = getattr(owner, name)
        if inspect.ismodule(owner) and not is_own(value):
            continue
        found[name] = [kind(value), arguments(value)]
    if hasattr(owner, "DESCRIPTOR"):  # the fields of a message are no attributes of its class
        found.update({field: ["value", None] for field in owner.DESCRIPTOR.fields_by_name})
    return found


def main():
    surface = {name: members(name) for name in MODULES + CLASSES}
    engine = getattr(caffe, "__engine__", "BVLC Caffe " + caffe.__version__)
    with open(sys.argv[1], "w") as stream:
        json.dump({"engine": engine, "surface": surface}, stream)


if __name__ == "__main__":
    main()
