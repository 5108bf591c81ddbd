"""A trunk that learnt which classes are in an image: in place of one trained on ILSVRC.

The trunk of toy-fcn32s ends in an average over the image and one inner product; the loss is a
sigmoid's cross-entropy with the presence of each class.
"""

import os

from papers import _training, edits

__all__ = ["classifier", "trunks"]

STEPS = 200

HEAD = """
layer {{ name: "average" type: "Pooling" bottom: "{top}" top: "average"
  pooling_param {{ pool: AVE global_pooling: true }} }}
layer {{ name: "classify" type: "Convolution" bottom: "average" top: "classify"
  convolution_param {{ num_output: {classes} kernel_size: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "classify" bottom: "present"
  top: "loss" }}
"""


def classifier(classes):
    """A change of FCN-32s, in training, to a net that says which classes are in the image."""

    def change(net, phase, seed):
        if phase != "train":
            return
        first = [layer.name for layer in net.layer].index("score_fr")
        top = net.layer[first].bottom[0]
        del net.layer[first:]
        edits.insert(net, HEAD.format(top=top, classes=classes), len(net.layer) - 1)
        edits.python_layer(
            net, "present", "PresenceLayer", 'bottom: "label" top: "present"', classes=classes
        )

    return change


def trunks(small, args):
    """start of a Variant: the caffemodel of a trunk trained with the run's seed, made once."""
    variant = _training.Variant(
        "classifier",
        _training.row("toy-fcn32s", small),
        STEPS,
        0.05,
        classifier(small.dataset.classes),
    )
    made = {}

    def start(seed):
        if seed not in made:
            run = _training.train(variant, seed, small, args, scored=False)
            made[seed] = run.weights
            print(
                f"classifier, seed {seed}: loss {sum(run.losses[-20:]) / 20:.4f} in "
                f"{os.path.basename(run.weights)}",
                flush=True,
            )
        return made[seed]

    return start
