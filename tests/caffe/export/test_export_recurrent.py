"""LSTM, RNN and their unit: ONNX Runtime against the engine on random parameters."""

from exporting import each, prove

CASES = {
    "LSTM": [
        ("recurrent_param { num_output: 5 }", [(20, 3, 6), (20, 3)], ("batch",)),
        ("recurrent_param { num_output: 5 }", [(1, 3, 6), (1, 3)], ("batch",)),
        (
            "top: 'a' top: 'h' top: 'c' recurrent_param { num_output: 5 expose_hidden: true }",
            [(20, 3, 6), (20, 3), (1, 3, 5), (1, 3, 5)],
            ("batch",),
        ),
        ("recurrent_param { num_output: 5 }", [(4, 3, 6), (4, 3)], ("batch",)),
        ("recurrent_param { num_output: 5 }", [(4, 3, 2, 3), (4, 3), (3, 2, 2)], ("batch",)),
        (
            "top: 'a' top: 'h' top: 'c' recurrent_param { num_output: 5 expose_hidden: true }",
            [(4, 3, 6), (4, 3), (1, 3, 5), (1, 3, 5)],
            ("batch",),
        ),
    ],
    "LSTMUnit": [("top: 'c' top: 'h'", [(1, 3, 5), (1, 3, 20), (1, 3)], ())],
    "Lstm": [
        ("lstm_param { num_output: 5 }", [(20, 3, 6)], ("batch",)),
        ("lstm_param { num_output: 5 batch_size: 2 }", [(8, 6)], ()),
    ],
    "RNN": [
        ("recurrent_param { num_output: 5 }", [(20, 3, 6), (20, 3)], ("batch",)),
        ("recurrent_param { num_output: 5 }", [(4, 3, 6), (4, 3)], ("batch",)),
        (
            "top: 'o' top: 'h' recurrent_param { num_output: 5 expose_hidden: true }",
            [(4, 3, 6), (4, 3), (3, 2), (1, 3, 5)],
            ("batch",),
        ),
    ],
}


@each(CASES)
def test_a_layer(tmp_path, kind, text, shapes, free):
    prove(tmp_path, kind, text, shapes, free)
