"""The prototxts a run really uses: the experiment's, with the user's folders, split and steps."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from caffe.proto import caffe_pb2
from fcn import catalog
from fcn.errors import StartError
from fcn.prototxt import read_net, read_solver, write_prototxt

if TYPE_CHECKING:
    from google.protobuf.message import Message

    import caffe
    from fcn.catalog.experiment import Experiment


def experiment(name: str) -> Experiment:
    """`catalog.experiment`; StartError too where the folder of a net of one's own is damaged."""
    try:
        return catalog.experiment(name)
    except ValueError as error:
        raise StartError(str(error)) from error


def folders_of(experiment: Experiment, given: Sequence[str] | None) -> dict[str, str]:
    """{key of param_str: folder} from `--data`: a folder for each key, in the catalog's order."""
    keys = experiment.dataset.folders
    if not given:
        return {}
    if len(given) != len(keys):
        raise LookupError(
            "--data needs {} for {} ({}), in this order; got {}".format(
                len(keys), experiment.name, ", ".join(keys), len(given)
            )
        )
    return dict(zip(keys, given))


def net(experiment: Experiment, phase: str, folder: str, changes: Mapping[str, Any]) -> str:
    """The path of a net whose data layer has `changes` in its param_str.

    Keys that the layer does not have are left alone (each layer takes its own folder). Without any
    change it is the net as checked in, else a copy in `folder`.
    """
    path = catalog.net_path(experiment.name, phase)
    if not changes:
        return path
    param = read_net(path)
    for layer in param.layer:
        if layer.type == "Python":
            options = ast.literal_eval(layer.python_param.param_str)
            options.update({k: v for k, v in changes.items() if k in options})
            layer.python_param.param_str = repr(options)
    return _write(folder, phase, param)


def solver(
    experiment: Experiment,
    folder: str,
    prefix: str,
    changes: Mapping[str, Any],
    steps: int,
    seed: int,
    workers: int | None = None,
    base_lr: float | None = None,
) -> str:
    """The path of the run's solver: it neither displays, tests nor snapshots by itself.

    workers: of the train net's data layer, None for those that it says itself. prefix: of the
    snapshots, when told to take one. A "poly" rate reaches zero at `steps`. base_lr: None for the
    experiment's own.
    """
    param = read_solver(catalog.solver_path(experiment.name))
    more = {"workers": workers} if workers else {}
    param.train_net = net(experiment, "train", folder, dict(changes, **more))
    param.test_net[0] = net(experiment, "val", folder, changes)
    param.snapshot_prefix = prefix
    param.random_seed = seed
    if base_lr is not None:
        param.base_lr = base_lr
    param.display = 0
    param.ClearField("snapshot")
    if param.lr_policy == "poly":
        param.max_iter = steps
    return _write(folder, "solver", param)


def _write(folder: str, name: str, message: Message) -> str:
    os.makedirs(folder, exist_ok=True)
    return write_prototxt(os.path.join(folder, name + ".prototxt"), message)


def loss_is_normalized(net_path: str) -> bool:
    """Whether the net's loss is already a mean over the labelled pixels of its batch."""
    for layer in read_net(net_path).layer:
        if layer.type == "SoftmaxWithLoss":
            loss = layer.loss_param
            if loss.HasField("normalization") or not loss.HasField("normalize"):
                return loss.normalization == caffe_pb2.LossParameter.VALID
            return loss.normalize
    return True


def images(net: caffe.Net) -> list[str]:
    """The ids of what a net's data layer serves, in order: the file names without their endings."""
    for layer in net.layers:
        if hasattr(layer, "entries"):
            return [os.path.splitext(os.path.basename(files[0]))[0] for files in layer.entries]
    raise LookupError("the net has no data layer that lists its images (`entries`)")
