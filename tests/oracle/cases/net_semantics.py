"""Random small nets that turn on how nets are wired, not on what a layer computes.

Parameters with one name, loss weights and readers of losses, propagate_down and lr_mult in nets
that branch, join and work in place. Which diffs are written, and which stay zero, is the result.
"""

from cases.make import case, feed, inputs, layer, net

SHAPE = [2, 3]


class ClassifierDraft:
    """A net in the making: every blob is 2 x 3; `fresh` are those that nobody has read."""

    def __init__(self, choice):
        self.choice = choice
        self.layers, self.params = [], []
        self.blobs, self.fresh = ["x"], ["x"]

    def read(self):
        """A blob to build on, rather one that nobody has read."""
        choice = self.choice
        blob = choice.pick(self.fresh if self.fresh and choice.yes(0.7) else self.blobs)
        if blob in self.fresh:
            self.fresh.remove(blob)
        return blob

    def add(self, kind, bottoms, top=None, **fields):
        name = f"l{len(self.layers)}"
        top = top or name
        self.layers.append(layer(kind, bottoms, [top], name=name, **fields))
        if top not in self.blobs:
            self.blobs.append(top)
            self.fresh.append(top)
        return top

    def product(self, param=None, **fields):
        """An InnerProduct without bias: its blob is 3 x 3."""
        self.params.append(f"l{len(self.layers)}")
        return self.add(
            "InnerProduct",
            [self.read()],
            param=param or [],
            inner_product_param={
                "num_output": 3,
                "bias_term": False,
                "weight_filler": {"type": "xavier"},
            },
            **fields,
        )

    def step(self):
        """One layer more, of a random kind."""
        choice = self.choice
        kind = choice.pick(["product", "product", "power", "join", "in place"])
        if kind == "product":
            return self.product()
        if kind == "power":
            return self.add(
                "Power", [self.read()], power_param={"scale": choice.real(0.5, 2), "shift": 0.5}
            )
        if kind == "join":
            return self.add("Eltwise", [self.read(), self.read()])
        made = [blob for blob in self.fresh if blob != "x"]
        if not made:
            return self.product()
        blob = choice.pick(made)
        return self.add("TanH", [blob], top=blob)

    def loss(self, bottom, **fields):
        """A EuclideanLoss against t."""
        return self.add("EuclideanLoss", [bottom, "t"], **fields)

    def case(self, kind, number, repeat=2, **fields):
        """The case: random inputs and weights, a forward and two backward passes."""
        choice = self.choice
        steps = feed({"x": choice.normal(SHAPE), "t": choice.normal(SHAPE)})
        steps += [
            {"op": "params", "layer": name, "array": choice.normal(scale=0.7)}
            for name in self.params
        ]
        steps += [{"op": "forward"}] + [{"op": "backward"}] * repeat
        zero_ok = {
            "diff/" + blob: "the rules may let nothing flow here" for blob in self.blobs + ["t"]
        }
        zero_ok.update(
            (f"param_diff/{name}/0", "the rules may let nothing flow here") for name in self.params
        )
        text = net(inputs({"x": SHAPE, "t": SHAPE}), *self.layers, **fields)
        return case(kind, number, text, steps, zero_ok=zero_ok)


def sharing(number, choice):
    """Parameters of one name, in chains and branches; strict and permissive; one that is fixed."""
    draft = ClassifierDraft(choice)
    names = [choice.pick(["w", "w", "v"]) for _ in range(choice.int(2, 4))]
    fixed = choice.pick(names) if number % 4 == 0 else None
    for name in names:
        param = {"name": name}
        if choice.yes(0.4):
            param["share_mode"] = choice.pick(["STRICT", "PERMISSIVE"])
        if name == fixed and choice.yes(0.7):
            param["lr_mult"] = 0
        draft.product(param=[param])
        if choice.yes(0.4):
            draft.step()
    for blob in [blob for blob in draft.fresh if blob != "x"]:
        draft.loss(blob, **({"loss_weight": choice.real(0.5, 3)} if choice.yes() else {}))
    return draft.case("net sharing", number, force_backward=choice.yes(0.5))


def losses(number, choice):
    """Weights of losses and of other tops, and layers that read them."""
    draft = ClassifierDraft(choice)
    draft.product()
    for _ in range(choice.int(1, 4)):
        draft.step()
    for blob in [blob for blob in draft.fresh if blob != "x"]:
        weight = {"loss_weight": choice.real(0.5, 3)} if choice.yes() else {}
        made = (
            draft.loss(blob, **weight)
            if choice.yes(0.7)
            else draft.add("Power", [blob], power_param={"scale": 2}, **weight)
        )
        for _ in range(choice.int(0, 2)):
            draft.add(
                "Power",
                [made],
                power_param={"scale": choice.real(0.5, 2)},
                **({"loss_weight": choice.real(0.5, 3)} if choice.yes(0.3) else {}),
            )
    return draft.case("net losses", number, force_backward=choice.yes(0.3))


def backward(number, choice):
    """What runs backward: lr_mult 0, propagate_down, branches under no loss, force_backward."""
    draft = ClassifierDraft(choice)
    for _ in range(choice.int(2, 5)):
        if choice.yes(0.6):
            fields = {"propagate_down": choice.yes()} if choice.yes() else {}
            draft.product(
                param=[{"lr_mult": choice.pick([0, 1])}] if choice.yes() else None, **fields
            )
        else:
            draft.step()
    ends = [blob for blob in draft.fresh if blob != "x"]
    for i, blob in enumerate(ends):
        if i == 0 or choice.yes(0.6):
            draft.loss(blob)
    return draft.case("net backward", number, force_backward=number % 4 == 0)


TYPES = {"net sharing": sharing, "net losses": losses, "net backward": backward}
