"""The graph while it is written: names, constants, sizes."""

from caffe.export.graph import Free, Graph, Value


def test_sizes_are_folded_where_they_are_numbers():
    g = Graph()
    assert g.plus(2, 3) == 5 and g.times(2, 3) == 6 and g.divide(7, 2) == 3
    assert g.minus(7, 2) == 5 and g.larger(7, 2) == 7
    assert g.nodes == []


def test_constants_that_are_asked_for_twice_are_there_once():
    g = Graph()
    assert g.number(0.5) == g.number(0.5) and g.ints([1, 2]) == g.ints((1, 2))
    with g.layer("a"):
        one, two = g.constant([1.5], "w"), g.constant([1.5], "w")
    assert (one, two) == ("a/w", "a/w_2")
    assert [v.dtype.name for v in g.constants.values()] == ["float32", "int64"] + ["float32"] * 2


def test_a_layers_last_node_has_its_name():
    g = Graph()
    with g.layer("a"):
        g.node("Exp", g.node("Neg", "x"))
    assert [node.name for node in g.nodes] == ["a/Neg", "a"]
    g.rename({"x": "data"})
    assert g.nodes[0].inputs == ["data"]


def test_free_sizes_are_computed_when_the_graph_runs():
    g = Graph()
    value = Value("x", (2, 3, 4), frozenset({1}))
    assert g.sizes(value) == [2, Free("x", 1), 4]
    assert g.plus(0, Free("x", 1)) == Free("x", 1) == g.times(1, Free("x", 1))
    half = g.divide(Free("x", 1), 2)
    assert g.divide(Free("x", 1), 2) == half and [n.op for n in g.nodes] == [
        "Shape",
        "Gather",
        "Div",
    ]
    g.reshape(value, [2, g.times(Free("x", 1), 4)])
    assert g.nodes[-1].op == "Reshape"
    assert g.constants[g.nodes[-1].inputs[1]].tolist() == [2, -1]
