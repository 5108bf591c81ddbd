"""The nets that the page offers: each loaded when it is first used, all in one thread.

The engine keeps its device for each thread, and a net must not be used by two at once. So one
thread does all of it, one image after another.
"""

from __future__ import annotations

import argparse
import io
import os
import warnings
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from PIL import Image

import bootstrap
from fcn import catalog
from fcn.inference import labelling
from fcn.inference.loading import Loaded, heads_of, load
from fcn.inference.pictures import read_photo
from fcn.inference.published import read_classes
from fcn.weights import find
from segdata.images import open_image

__all__ = ["Nets", "Offer", "TooLarge", "offers"]

#: Loaded nets that are kept: FCN-8s takes half a gigabyte.
KEPT = 2


class TooLarge(ValueError):
    """An image of more pixels than are taken; the message says how many."""


class Offer(NamedTuple):
    """A net to choose: its name, the classes that it knows, what `load` takes, and which of its
    heads is shown. A net of several heads is offered once for each."""

    name: str
    knows: list[str]
    options: argparse.Namespace
    head: int = 0


def offers(options: argparse.Namespace, given: bool) -> list[Offer]:
    """The net of the command line if one is ``given``, then those whose weights are here."""
    names = [name for name in catalog.EXPERIMENTS if _has_weights(name)]
    best = [options.net] if options.net in names else []
    made = []
    if given:
        title = os.path.basename(os.path.normpath(options.net))
        made += _of_heads(title, options)
    for name in best + [name for name in names if name not in best]:
        plain = argparse.Namespace(**vars(options))
        plain.net, plain.weights, plain.classes, plain.onnx, plain.mean = (
            name,
            None,
            None,
            None,
            None,
        )
        if not (given and name == made[0].name):
            made += _of_heads(name, plain)
    return made


def _of_heads(name: str, options: argparse.Namespace) -> list[Offer]:
    """An Offer for each head, with its classes but the background."""
    if options.classes:
        heads = [("", read_classes(options.classes)[0])]
    else:
        found = heads_of(catalog.experiment(options.net).dataset)
        heads = [(head.prefix, head.names) for head in found]
    return [
        Offer(
            f"{name}, {prefix}" if prefix else name,
            [one for one in names if one != "background"],
            options,
            number,
        )
        for number, (prefix, names) in enumerate(heads)
    ]


def _has_weights(name: str) -> bool:
    experiment = catalog.experiment(name)
    if not experiment.dataset.photo or name.startswith("toy-"):
        return False
    places = [path for path, _ in find.trained_of(experiment)]
    homes = (bootstrap.ROOT, bootstrap.HOME)
    return any(os.path.isfile(os.path.join(home, path)) for path in places for home in homes)


class Nets:
    """Labels images with the nets on offer; what it does runs in `thread`."""

    def __init__(self, offered: list[Offer], pixels: int) -> None:
        """``pixels``: the most that an image may have."""
        self.offered = OrderedDict((offer.name, offer) for offer in offered)
        self.pixels = pixels
        self.thread = ThreadPoolExecutor(1, "net")
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()

    def label(self, name: str, content: bytes) -> tuple[Loaded, labelling.Labelled]:
        """Label an image file's bytes.

        Raises:
            LookupError: no such net, or it has no weights.
            TooLarge: too many pixels.
            RuntimeError: the file is no image (DataError), the net cannot take it.
        """
        if name not in self.offered:
            raise LookupError(f"no net '{name}'; there are {', '.join(self.offered)}")
        with warnings.catch_warnings():  # Pillow warns of what is still within the limit
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with open_image("the image", decode=False, file=io.BytesIO(content)) as image:
                width, height = image.size
            if width * height > self.pixels:
                raise TooLarge(
                    f"the image has {width}x{height} pixels, {width * height / 1e6:.1f} million; "
                    f"at most {self.pixels / 1e6:g} million are taken (--max-pixels)"
                )
            pixels = read_photo("the image", io.BytesIO(content))
        offer = self.offered[name]
        loaded = self._load(
            next(o.name for o in self.offered.values() if o.options is offer.options)
        )
        done = labelling.label([pixels], loaded, offer.options)[0]
        if offer.head:
            loaded = loaded._replace(name=name, heads=[loaded.heads[offer.head]])
            one = done.labels[offer.head], done.found[offer.head]
            done = done._replace(labels=[one[0]], found=[one[1]], nothing=False)
        return loaded, done

    def _load(self, name: str) -> Loaded:
        if name not in self._loaded:
            while len(self._loaded) >= KEPT:
                self._loaded.popitem(last=False)
            self._loaded[name] = load(self.offered[name].options)
        self._loaded.move_to_end(name)
        return self._loaded[name]

    def close(self) -> None:
        self.thread.shutdown(wait=True)


def result(loaded: Loaded, done: labelling.Labelled) -> dict[str, Any]:
    """What the browser is told of a labelled image, but the label map."""
    head = loaded.heads[0]
    return {
        "net": loaded.name,
        "width": done.pixels.shape[1],
        "height": done.pixels.shape[0],
        "labelled_at": [done.size[1], done.size[0]],
        "device": loaded.device,
        "mostly_background": done.nothing,
        "note": done.note,
        "background": 0 if head.names[0] == "background" else -1,
        "classes": [
            {
                "number": found.number,
                "name": found.name,
                "share": round(float(found.share), 6),
                "colour": [int(value) for value in head.palette[found.number]],
            }
            for found in done.found[0]
        ],
    }
