"""The nets of a solver: one to train, any number to test, as its description asks for them."""

from __future__ import annotations

from typing import Any

from caffe import glog
from caffe.errors import SolverError
from caffe.net import Net
from caffe.proto import caffe_pb2
from caffe.prototxt import read_net

__all__ = ["build_test_nets", "build_train_net"]

# The fields that can name the train net.
_TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


def _build(description: Any, phase: caffe_pb2.Phase, state: Any, param: Any) -> Net:
    """A net from a file name or a NetParameter; ``state`` outranks what the net itself says."""
    if isinstance(description, str):
        source = description
        net_param = read_net(description)
    else:
        source = "<net_param>"
        net_param = caffe_pb2.NetParameter()
        net_param.CopyFrom(description)
    merged = caffe_pb2.NetState(phase=phase)
    merged.MergeFrom(net_param.state)
    if state is not None:
        merged.MergeFrom(state)
    net_param.state.CopyFrom(merged)
    net = Net.from_param(net_param, source=source)
    for entry in param.weights:
        for path in entry.split(","):
            if path.strip():
                glog.info("solver", f"Finetuning from {path.strip()}")
                net.copy_from(path.strip())
    return net


def build_train_net(param: Any, source: str) -> Net:
    """The net that is trained.

    Raises:
        SolverError: not exactly one of net, net_param, train_net and train_net_param is set.
    """
    fields = [name for name in _TRAIN_FIELDS if param.HasField(name)]
    if len(fields) != 1:
        raise SolverError(
            f"{source}: SolverParameter must specify a train net using exactly one of these "
            f"fields: {', '.join(_TRAIN_FIELDS)}; received {', '.join(fields) or 'none'}"
        )
    field = fields[0]
    how = f"specified in {field}." if field.endswith("_param") else f"from {field} file: "
    description = getattr(param, field)
    path = description if isinstance(description, str) else ""
    glog.info("solver", f"Creating training net {how}{path}")
    state = param.train_state if param.HasField("train_state") else None
    return _build(description, caffe_pb2.TRAIN, state, param)


def build_test_nets(param: Any, source: str) -> list[Net]:
    """The test nets: test_net_param, test_net, then the generic net for what test_iter is left.

    Raises:
        SolverError: the counts of nets, test_iter and test_state contradict each other.
    """
    # (field, description) of each net
    descriptions: list[tuple[str, Any]] = [
        (name, item) for name in ("test_net_param", "test_net") for item in getattr(param, name)
    ]
    generic = [(n, getattr(param, n)) for n in ("net_param", "net") if param.HasField(n)]
    named = len(descriptions)
    asked = len(param.test_iter)
    if asked < named or (asked > named and not generic):
        raise SolverError(
            f"{source}: test_iter must be specified for each test network: {named} test nets are "
            f"named, test_iter is given {asked} times"
        )
    descriptions += generic[:1] * (asked - named)
    if param.test_state and len(param.test_state) != len(descriptions):
        raise SolverError(
            f"{source}: test_state must be unspecified or specified once per test net: expected "
            f"{len(descriptions)}, received {len(param.test_state)}"
        )
    if descriptions and param.test_interval <= 0:
        raise SolverError(
            f"{source}: a solver with test nets needs test_interval > 0, received "
            f"{param.test_interval}"
        )
    nets = []
    for k, (name, description) in enumerate(descriptions):
        what = f"{name} file: {description}" if isinstance(description, str) else name
        glog.info("solver", f"Creating test net (#{k}) specified by {what}")
        state = param.test_state[k] if param.test_state else None
        net = _build(description, caffe_pb2.TEST, state, param)
        net.set_debug_info(param.debug_info)  # the train net's follows the display, in step()
        nets.append(net)
    return nets
