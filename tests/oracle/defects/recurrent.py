"""Defects of the recurrent layers."""

from defects.make import Defect

DEFECTS = [
    Defect(
        "LSTM has PyTorch's order of gates, i, f, g, o",
        "layer/lstm.py",
        "i, f, o = torch.sigmoid(gates[:, : 3 * h]).split(h, 1)",
        "gates = gates[:, [*range(2 * h), *range(3 * h, 4 * h), *range(2 * h, 3 * h)]]\n"
        "    i, f, o = torch.sigmoid(gates[:, : 3 * h]).split(h, 1)",
        ["LSTM"],
    ),
    Defect(
        "LSTMUnit ignores cont",
        "layer/lstm.py",
        "torch.where(cont == 0, 0.0, cont * f)",
        "f",
        ["LSTMUnit"],
    ),
    Defect(
        "LSTMUnit has the mathematical slope of f",
        "layer/lstm.py",
        "dc * c_prev * f * (1 - f),",
        "dc * c_prev * f * (1 - torch.sigmoid(gates.chunk(4, 1)[1])),",
        ["LSTMUnit"],
    ),
    Defect(
        "LSTM's h is not reset where a stream begins",
        "layer/lstm.py",
        "conted.append(h * inputs.cont[t])",
        "conted.append(h.clone())",
        ["LSTM"],
    ),
    Defect(
        "LSTM starts every pass from zero",
        "layer/_recurrent.py",
        "blob.data_tensor().copy_(value.view(1, self.streams, self.hidden))",
        "blob.data_tensor().zero_()",
        ["LSTM"],
        [
            (
                "layer/lstm.py",
                "if self.steps == 1:\n            y =",
                "if self.steps == 0:\n            y =",
            )
        ],
    ),
    Defect(
        "LSTM's one time step is a copy of its state",
        "layer/lstm.py",
        "blob.share_data(self.state[0])",
        "pass",
        ["LSTM"],
        [
            (
                "layer/lstm.py",
                "y = self.state[0].data_tensor()",
                "y = self.state[0].data_tensor().clone()",
            )
        ],
    ),
    Defect(
        "LSTM's other time steps draw no random numbers",
        "layer/lstm.py",
        "range(self.steps - 1):\n            self.draw",
        "range(0):\n            self.draw",
        ["solver 20 steps of an LSTM"],
    ),
    Defect(
        "LSTM forgets its state when N changes",
        "layer/_recurrent.py",
        "blob.set_dims((1, self.streams, self.hidden))",
        "if blob.dims[1] != self.streams:\n"
        "                blob.set_dims((1, self.streams, self.hidden))\n"
        "                blob.data[...] = 0",
        ["LSTM"],
    ),
    Defect(
        "LSTM lets a gradient out of the final states",
        "layer/lstm.py",
        "dc = dh = torch.zeros_like(kept.first)",
        "dc = dh = torch.zeros_like(kept.first)\n"
        "        if self.exposed:\n"
        "            dh, dc = top_diffs[1][0], top_diffs[2][0]",
        ["LSTM"],
    ),
    Defect(
        "RNN draws only for W_hh in the other time steps",
        "layer/rnn.py",
        "            for blob in blobs:\n                self.draw(*blob)",
        "            for blob in blobs[:1]:\n                self.draw(*blob)",
        ["solver 20 steps of an RNN"],
    ),
    Defect(
        "RNN has h for its output",
        "layer/rnn.py",
        "rows.tanh_().view",
        "stacked.clone().view",
        ["RNN"],
    ),
    Defect(
        "RNN's gradient passes where a stream begins",
        "layer/rnn.py",
        "dh = (diff[t] @ weight) * kept.cont[t]",
        "dh = diff[t] @ weight",
        ["RNN"],
    ),
    Defect(
        "x_static enters the first step only",
        "layer/_recurrent.py",
        "y.add_(inputs.static @ params[2].t())",
        "y[:1].add_(inputs.static @ params[2].t()) if len(y) == 1 else "
        "torch.cat([y[:1] + inputs.static @ params[2].t(), y[1:]])",
        ["RNN"],
    ),
]
