"""A net with its weights, on a device, and what its classes are called: what labels images."""

import argparse
import os
from typing import Any, NamedTuple, Optional

import bootstrap
from data import DATASETS, dataset, names_of
from fcn import catalog, device
from fcn.inference.exported import ExportedModel
from fcn.inference.mirrored import Mirrored
from fcn.inference.model import Model, photo_input
from fcn.inference.published import PublishedModel, one_file, read_classes
from fcn.inference.scaling import ENLARGED
from fcn.palette import with_colours
from fcn.weights import find

__all__ = ["Head", "Loaded", "heads_of", "known", "load", "read_palette"]

#: How many classes are named before the work begins.
MOST_NAMES = 25


class Head(NamedTuple):
    """Of a model's outputs one. ``prefix``: what its results' names begin with, "" for the first;
    ``palette``: uint8 (256, 3)."""

    prefix: str
    names: tuple[str, ...]
    palette: Any


class Loaded(NamedTuple):
    """What labels images. ``training``: (height, width) of the training pictures, or with
    ``fixed`` of the only images that the model takes; ``enlarges``: whether smaller images are
    labelled at that size too."""

    name: str
    weights: str
    device: str
    model: Any
    heads: list[Head]
    training: tuple[int, int]
    fixed: bool
    enlarges: bool = False


def heads_of(described: Any) -> list[Head]:
    """The Heads of a net on a dataset of fcn/catalog."""
    module = names_of(described)
    return [
        Head("" if i == 0 else output.label, getattr(module, output.names), module.PALETTE)
        for i, output in enumerate(described.outputs)
    ]


def known(loaded: Loaded) -> str:
    """Which classes the model knows, a line for each head; of many the first."""
    lines = []
    for prefix, names, _ in loaded.heads:
        shown = ", ".join(names[:MOST_NAMES])
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        head = f" ({prefix})" if prefix else ""
        lines.append(f"{loaded.name} knows {len(names)} classes{head}: {shown}{more}")
    return "\n".join(lines)


def load(options: argparse.Namespace) -> Loaded:
    """What the command line of infer.py asks for; what can fail does so before weights are read.

    ``options.gpu`` becomes the GPU that is used. Raises LookupError, RuntimeError, OSError and
    ValueError, whose messages are for the user.
    """
    palette = read_palette(options.palette)
    way = _exported if options.onnx else _published if options.classes else _experiment
    loaded = way(options)
    if options.mirror:
        loaded = loaded._replace(model=Mirrored(loaded.model, len(loaded.heads)))
    if palette is not None:
        loaded = loaded._replace(heads=[h._replace(palette=palette) for h in loaded.heads])
    return loaded


def read_palette(given: Optional[str]) -> Any:
    """Colours, uint8 (256, 3), of a dataset's name or a file with "R G B" a line; None of None.

    In a file a name may precede the colour, with a tab between, as in files of classes.
    """
    if given is None or given in DATASETS:
        return None if given is None else dataset(given).PALETTE
    path = bootstrap.user_path(given)
    if not os.path.isfile(path):
        raise LookupError(
            f"--palette {given}: no such file, and no dataset of that name; "
            f"datasets are {', '.join(DATASETS)}"
        )
    colours = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            values = line.rpartition("\t")[2].split()
            if not (len(values) == 3 and all(v.isdecimal() and int(v) < 256 for v in values)):
                raise ValueError(
                    f"'{path}', line {number}: expected 'R G B' from 0 to 255; received "
                    f"'{line.rstrip()}'"
                )
            colours.append([int(value) for value in values])
    if not 1 <= len(colours) <= 255:
        raise ValueError(f"'{path}': expected 1 to 255 colours, one a line; found {len(colours)}")
    return with_colours(colours)


def _folders(options: argparse.Namespace) -> None:
    """Have folders that can be written to, before the work and not behind it; out None: none."""
    sheet = getattr(options, "contact_sheet", None)
    for path in (options.out, os.path.dirname(sheet) if sheet else None):
        if path is None:
            continue
        try:
            os.makedirs(path, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise NotADirectoryError(
                f"results cannot go to '{path}': there is a file of that name; expected a folder"
            ) from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(
                f"results cannot go to '{path}': that folder cannot be written into; name another "
                "by --out"
            )


def _device(options: argparse.Namespace) -> str:
    if options.gpu is None and not options.cpu:
        options.gpu = device.first_gpu()
    return device.use(options.gpu)


def _experiment(options: argparse.Namespace) -> Loaded:
    experiment = catalog.experiment(options.net)
    photo_input(experiment)  # before anybody is sent to fetch weights that would not do
    _folders(options)
    name = _device(options)
    path = find.find(
        find.trained_of(experiment), options.weights, f"{experiment.name} has no weights here"
    )
    model = Model.from_catalog(experiment.name, path)
    described = experiment.dataset
    heads, size = heads_of(described), described.deploy_size
    enlarges = described.name in ENLARGED
    return Loaded(experiment.name, path, name, model, heads, size, False, enlarges)


def _exported(options: argparse.Namespace) -> Loaded:
    experiment = catalog.experiment(options.net)
    image = photo_input(experiment)
    if not os.path.isfile(options.onnx):
        raise LookupError(f"--onnx {options.onnx}: no such file; `caffe export` makes one")
    _folders(options)
    described = experiment.dataset
    heads = heads_of(described)
    blobs = ["score" + output.suffix for output in described.outputs]
    model = ExportedModel(options.onnx, image.mean, blobs, [o.classes for o in described.outputs])
    size = model.size or described.deploy_size
    name = "the CPU, by ONNX Runtime"
    fixed = model.size is not None
    enlarges = described.name in ENLARGED
    return Loaded(experiment.name, options.onnx, name, model, heads, size, fixed, enlarges)


def _published(options: argparse.Namespace) -> Loaded:
    folder = bootstrap.user_path(options.net)
    deploy = one_file(folder, "*.prototxt", "deploy.prototxt")
    path = options.weights or one_file(folder, "*.caffemodel")
    names, palette = read_classes(options.classes)
    _folders(options)
    name = _device(options)
    model = PublishedModel(deploy, path, options.mean or (0, 0, 0), len(names))
    heads = [Head("", names, palette)]
    return Loaded(os.path.basename(folder), path, name, model, heads, model.size, True)
