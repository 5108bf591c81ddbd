"""Which weights each experiment starts from, and where they may lie, best first."""

from __future__ import annotations

from collections import namedtuple

#: Weights to start from. places: the files, as (path, where it comes from), best first; "{out}" in
#: a path is the folder of results. suffix: of the layers of the net that take them, for nets with
#: several trunks.
Source = namedtuple("Source", "places suffix")


def ilsvrc(
    converted: str, published: str, file: str, name: str, command: str
) -> tuple[Source, ...]:
    """Classifiers trained on ILSVRC: inner products as published, or convolutions already."""
    return (
        Source(
            (
                (
                    f"ilsvrc-nets/{converted}.caffemodel",
                    f"made by python nets/convolutionize.py {command}",
                ),
                (f"ilsvrc-nets/{file}.caffemodel", f"{name} as {published} published it"),
            ),
            "",
        ),
    )


VGG16 = ilsvrc("vgg16-fcn", "its authors", "VGG_ILSVRC_16_layers", "VGG-16", "vgg16")
VGG19 = ilsvrc("vgg19-fcn", "its authors", "VGG_ILSVRC_19_layers", "VGG-19", "vgg19")
ALEXNET = ilsvrc("alexnet-fcn", "BVLC", "bvlc_reference_caffenet", "CaffeNet", "caffenet")


def convolutional(published: str, file: str, name: str) -> tuple[Source, ...]:
    """Classifiers that are convolutions but for their last layer, which nothing here reads."""
    return (
        Source(((f"ilsvrc-nets/{file}.caffemodel", f"{name} as {published} published it"),), ""),
    )


GOOGLENET = convolutional("BVLC", "bvlc_googlenet", "GoogLeNet")
RESNET50 = convolutional("its authors", "ResNet-50-model", "ResNet-50")
EFFICIENTNET = [
    (
        Source(
            (
                (
                    f"ilsvrc-nets/efficientnet-lite{variant}.caffemodel",
                    f"made by python nets/weights.py efficientnet-lite{variant}",
                ),
            ),
            "",
        ),
    )
    for variant in range(3)
]

#: What the authors of the published nets call their files; a user puts them next to the net.
PUBLISHED = {
    "voc-fcn32s": "fcn32s-heavy-pascal.caffemodel",
    "voc-fcn16s": "fcn16s-heavy-pascal.caffemodel",
    "voc-fcn8s": "fcn8s-heavy-pascal.caffemodel",
    "voc-fcn8s-atonce": "fcn8s-atonce-pascal.caffemodel",
    "voc-fcn-alexnet": "fcn-alexnet-pascal.caffemodel",
}
PUBLISHED.update(
    (name, name + "-heavy.caffemodel")
    for name in (
        "pascalcontext-fcn32s",
        "pascalcontext-fcn16s",
        "pascalcontext-fcn8s",
        "siftflow-fcn32s",
        "siftflow-fcn16s",
        "siftflow-fcn8s",
        "nyud-fcn32s-color",
        "nyud-fcn32s-hha",
        "nyud-fcn32s-color-hha",
    )
)


def stage(name: str, suffix: str = "", origin: str | None = None) -> tuple[Source, ...]:
    """The result of an earlier experiment, ours or else the published one, next to its net.

    origin: what to say of it where it is no row of the catalog.
    """
    places = [(f"{{out}}/{name}.caffemodel", origin or f"made by python nets/{name}/solve.py")]
    if name in PUBLISHED:
        places.append((f"nets/{name}/{PUBLISHED[name]}", f"the published {name}"))
    return (Source(tuple(places), suffix),)
