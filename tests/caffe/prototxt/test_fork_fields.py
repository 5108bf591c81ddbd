"""Fields of forks that change what is computed: refused, and the message says whose they are."""

import pytest

from caffe.errors import PrototxtError
from caffe.proto import caffe_pb2
from caffe.prototxt import fork_fields, parse_text


def test_the_table_names_no_field_that_is_here_and_none_twice():
    seen = set()
    for row in fork_fields.CHANGES:
        known = set(getattr(caffe_pb2, row.message).DESCRIPTOR.fields_by_name)
        assert not known & set(row.names), row
        for name in row.names:
            assert (row.message, name) not in seen, (row.message, name)
            seen.add((row.message, name))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("transform_param { rotate90n: true }", "PSPNet's fork.*Instead: pictures can be"),
        ("transform_param { img_rand_resize_lower: 256 }", "NVIDIA Caffe"),
        ("batch_norm_param { scale_bias: true }", "NVIDIA Caffe.*Scale layer with bias_term"),
        ("image_data_param { label_size: 3 }", "HDF5Data reads several labels"),
        ("pooling_param { kernel_depth: 2 }", "C3D"),
        ("reshape_param { num: 0 channels: 3 }", r"shape \{ dim: … \}"),
    ],
)
def test_the_fork_is_named_with_what_comes_near(text, told):
    with pytest.raises(PrototxtError, match=f"It is a field of .*{told}"):
        parse_text(f'layer {{ type: "X" {text} }}', caffe_pb2.NetParameter(), "n.prototxt")


def test_a_solvers_field_too():
    with pytest.raises(PrototxtError, match="larc.*It is a field of NVIDIA Caffe"):
        parse_text("larc: true", caffe_pb2.SolverParameter(), "s.prototxt")
