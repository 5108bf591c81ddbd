"""Layers that find or follow indices: ONNX Runtime against the engine on random parameters."""

from exporting import FREE, IMAGE, each, prove

CASES = {
    "ArgMax": [
        ("argmax_param { axis: 1 }", [IMAGE], FREE),
        ("argmax_param { axis: -1 top_k: 3 }", [IMAGE], FREE),
        ("argmax_param { axis: 1 top_k: 2 out_max_val: true }", [IMAGE], FREE),
        ("argmax_param { axis: 2 out_max_val: true }", [IMAGE], FREE),
        ("", [IMAGE], FREE),
        ("argmax_param { top_k: 4 }", [IMAGE], FREE),
        ("argmax_param { top_k: 3 out_max_val: true }", [IMAGE], FREE),
        ("argmax_param { top_k: 1 out_max_val: true }", [(3, 5)], ("batch",)),
        ("argmax_param { top_k: 2 }", [(3, 5, 2)], ("batch",)),
    ],
    "BatchReindex": [("", [(5, 2, 3), (7,)], ()), ("", [(3,), (4,)], ())],
    "Embed": [
        ("embed_param { input_dim: 11 num_output: 4 }", [(3, 5)], ("batch",)),
        ("embed_param { input_dim: 11 num_output: 4 bias_term: false }", [(6,)], ("batch",)),
    ],
    "Filter": [("", [IMAGE, (2,)], ()), ("top: 'a' top: 'b'", [(9, 3), (9, 2, 2), (9, 1)], ())],
}


@each(CASES)
def test_a_layer(tmp_path, kind, text, shapes, free):
    prove(tmp_path, kind, text, shapes, free)
