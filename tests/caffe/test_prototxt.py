"""Reading prototxts: what is accepted, and what the errors say."""

import pytest

from caffe.errors import PrototxtError
from caffe.proto import caffe_pb2
from caffe.prototxt import parse_text, read_net, read_solver


def net(text):
    return parse_text(text, caffe_pb2.NetParameter(), "n.prototxt")


def complaint(text, message=caffe_pb2.NetParameter):
    with pytest.raises(PrototxtError) as error:
        parse_text(text, message(), "n.prototxt")
    return str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        'layer { name: "a" top: "x" top: "y" }',
        "layer { name: 'a' top: 'x', top: 'y'; }  # the end",
        'layer: < name: "a" top: ["x", "y"] >',
        'layer{name:"" "a"top:"x"top:"\\x79"}',
        "# Übersetzung\nlayer {\r\n name: 'a'\r\n top: 'x'\r\n\ttop: 'y' }",
    ],
)
def test_every_way_of_writing_gives_the_same_net(text):
    expected = caffe_pb2.NetParameter()
    expected.layer.add(name="a", top=["x", "y"])
    assert net(text) == expected


def test_enums_by_name_and_by_number():
    assert net("state { phase: TRAIN }") == net("state { phase: 0 }")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        # unknown fields
        (
            'name: "n"\nlayer {\n  name: "conv1"\n  type: "Convolution"\n'
            "  convolution_param { num_ouput: 3 }\n}",
            [
                "n.prototxt:5:23: ",
                'Message type "caffe.ConvolutionParameter" has no field named "num_ouput"',
                'in layer "conv1" of type "Convolution"',
                'Did you mean "num_output"?',
            ],
        ),
        ("layer { Name: 'x' }", [":1:9:", 'named "Name" (in layer[0]). Did you mean "name"?']),
        (
            "layer { name: 'c' kernel_size: 3 }",
            [":1:19:", "It belongs inside convolution_param { kernel_size: … } or pooling_param {"],
        ),
        ("layer { lr_mult: 0 }", ["It belongs inside param { lr_mult: … }."]),
        ("base_lr: 1", [":1:1:", 'named "base_lr"', "a field of a solver; was a net file meant?"]),
        ("zzz: 1", ["Known fields: name, layers, input, input_dim, force_backward"]),
        ("layer {\n name: 'a'\nlayer { }", [":3:1:", '"layer" of line 1 is still open']),
        # enum values
        (
            "layer { name: 'p' pooling_param { pool: AVG } }",
            [":1:41:", '"pool" of PoolingParameter', "Known values: MAX, AVE, STOCHASTIC"],
        ),
        ("state {\n phase: TRIAN }", [":2:9:", '"phase"', "Did you mean TRAIN?"]),
        ("state { phase: 7 }", [":1:16:", "no value with number 7", "Known values: TRAIN, TEST"]),
        ("layers { type: Convolution }", ["V1LayerParameter", "Did you mean CONVOLUTION?"]),
        # values of the wrong kind or out of range
        ("layer { type: CONVOLUTION }", [":1:15:", "Expected string", '"type" of LayerParameter']),
        ("layer { lrn_param { local_size: 5.0 } }", [":1:33:", '"local_size" of LRNParameter']),
        ("layer { convolution_param { stride: [1, x] } }", [":1:41:", '"stride" of Convol']),
        ("layer { convolution_param { group: -1 } }", [":1:36:", "Value out of range: -1"]),
        ("force_backward: yes", [":1:17:", '"force_backward" of NetParameter']),
        ("debug_info: true debug_info: true", ["should not have multiple", '"debug_info"']),
        # syntax
        ("layer {\n name: 'a'", ['Expected "}"', '"layer" of line 1 is not closed']),
        ("layer { name: 'a' } }", [":1:21:"]),
        ("layer: 3", [":1:8:", 'Expected "{"', '"layer" of NetParameter']),
        ("name 'x'", [":1:6:", 'Expected ":"', '"name"']),
        ("name: 'x", [":1:7:", "missing ending quote"]),
        ("layer { [a.b] { } }", [":1:", "extensions"]),
        # characters
        ("name: \u201cx\u201d", [":1:7:", "U+201C"]),
        ("name: 'x'\n\u00a0layer { }", [":2:1:", "U+00A0", "no-break space"]),
        # required fields
        (
            "layer {\n name: 'a' }\nlayer {\n  clip_param { min: 1 } }",
            [":4:14:", "Message missing required fields: layer[1].clip_param.max", '"max"'],
        ),
    ],
)
def test_errors_say_where_what_and_what_instead(text, parts):
    message = complaint(text)
    for part in parts:
        assert part in message, message


def test_a_net_in_the_place_of_a_solver():
    message = complaint("layer { }", caffe_pb2.SolverParameter)
    assert "a field of a net; was a solver file meant?" in message


def test_errors_below_strings_and_comments_with_braces():
    message = complaint("# { { {\nname: '}}} #{'\nlayer { name: \"a{\" foo: 1 }")
    assert message.startswith("n.prototxt:3:")
    assert 'in layer "a{"' in message


def test_comments_need_no_valid_utf8_but_strings_do(tmp_path):
    path = tmp_path / "latin.prototxt"
    path.write_bytes(b"# caf\xe9\nname: 'x'")
    assert read_net(path).name == "x"
    path.write_bytes(b"name: 'caf\xe9'")
    with pytest.raises(PrototxtError, match=r"latin\.prototxt:1:7: .*not valid UTF-8"):
        read_net(path)


def test_byte_order_mark_is_skipped(tmp_path):
    path = tmp_path / "bom.prototxt"
    path.write_bytes(b"\xef\xbb\xbfname: 'x'")
    assert read_net(path).name == "x"


@pytest.mark.parametrize("read", [read_net, read_solver])
def test_missing_file(read, tmp_path):
    path = tmp_path / "none.prototxt"
    with pytest.raises(PrototxtError, match=r"Could not open file .*none\.prototxt: No such file"):
        read(path)
    with pytest.raises(RuntimeError, match="Could not open file"):
        read(tmp_path)


def test_a_caffemodel_in_the_place_of_a_prototxt(tmp_path):
    path = tmp_path / "weights.caffemodel"
    param = caffe_pb2.NetParameter(name="n")
    param.layer.add(name="a").blobs.add(data=[0.0])
    path.write_bytes(param.SerializeToString())
    with pytest.raises(PrototxtError, match="is binary, not text. A caffemodel belongs"):
        read_net(path)


def test_a_broken_solver_names_its_file(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text("net: 'a'\nbase_ir: 0.1\n")
    with pytest.raises(PrototxtError) as error:
        read_solver(path)
    assert f"{path}:2:1:" in str(error.value)
    assert 'Did you mean "base_lr"?' in str(error.value)


def test_nets_inside_a_solver_are_not_upgraded(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text('net_param { layers { name: "r" type: RELU } }')
    assert read_solver(path).net_param.layers[0].name == "r"
