"""The message classes: equal to BVLC's in every field, up to date, without clashes."""

import ast
import copy
import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from caffe.proto import build, caffe_pb2

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("make_fields", HERE / "make_fields.py")
make_fields = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_fields)
GOLDEN = json.loads((HERE / "fields.json").read_text())
ENGINE = GOLDEN.pop("engine")
TABLE = make_fields.table(caffe_pb2.DESCRIPTOR)

# What the engine has beyond BVLC Caffe: messages of its own, and fields from this number on.
FIRST = 20001


def of_bvlc(table):
    """A message's or an enum's table without the extensions."""
    return {k: v for k, v in table.items() if (v if isinstance(v, int) else v[0]) < FIRST}


def test_golden_was_made_by_bvlc_caffe():
    assert ENGINE.startswith("BVLC Caffe")
    assert len(GOLDEN["LayerParameter"]) == 60


def test_no_message_or_enum_is_missing():
    assert set(GOLDEN) <= set(TABLE)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_fields_are_those_of_bvlc_caffe(name):
    assert of_bvlc(TABLE[name]) == GOLDEN[name]


def test_extensions_use_numbers_of_their_own():
    added = {name: set(TABLE[name]) - set(GOLDEN[name]) for name in GOLDEN}
    assert {name for name in added if added[name]} <= {
        "DropoutParameter",
        "ImageDataParameter",
        "LayerParameter",
        "SolverParameter",
        "TransformationParameter",
        "LossParameter",
        "V1LayerParameter",
        "enum LossParameter.NormalizationMode",
        "enum V1LayerParameter.LayerType",
    }
    # A fork's layer with a lower number would be read as the wrong message.
    fields = added["LayerParameter"]
    assert {"upsample_param", "bn_param"} <= fields
    assert all(TABLE["LayerParameter"][field][0] >= FIRST for field in fields)


def test_descriptor_file_is_compiled_from_the_present_proto():
    pytest.importorskip("grpc_tools", reason="grpcio-tools compiles caffe.proto")
    assert build.DESCRIPTOR_FILE.read_bytes() == build.compile_proto(), (
        "caffe.proto has changed: run python src/caffe/proto/build.py"
    )


def stub_of(body):
    """What a stub declares: the fields of each message, the values of each enum, by full name."""
    found = {}

    def visit(node, prefix):
        name = prefix + node.name
        found[name] = {
            item.target.id
            for item in node.body
            if isinstance(item, ast.AnnAssign) and not item.target.id.endswith("_FIELD_NUMBER")
        }
        for item in node.body:
            if isinstance(item, ast.ClassDef):
                visit(item, name + ".")

    for node in body:
        if isinstance(node, ast.ClassDef):
            visit(node, "")
    return found


def declared(descriptor):
    """The same of the messages themselves."""
    found = {}

    def visit_enum(enum, prefix):
        found[prefix + enum.name] = {value.name for value in enum.values}
        return found[prefix + enum.name]

    def visit(message, prefix):
        name = prefix + message.name
        names = {field.name for field in message.fields}
        for enum in message.enum_types:  # their values are the message's attributes too
            names |= visit_enum(enum, name + ".")
        for inner in message.nested_types:
            visit(inner, name + ".")
        found[name] = names

    for message in descriptor.message_types_by_name.values():
        visit(message, "")
    for enum in descriptor.enum_types_by_name.values():
        visit_enum(enum, "")
    return found


def test_stub_declares_every_message_field_and_enum():
    """By content: compilers of different versions write the same types in different words."""
    stub = stub_of(ast.parse(build.STUB_FILE.read_text("utf-8")).body)
    assert stub == declared(caffe_pb2.DESCRIPTOR), (
        "caffe.proto has changed: run python src/caffe/proto/build.py"
    )


def test_module_offers_what_a_generated_one_does():
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert caffe_pb2.Phase.Name(1) == "TEST"
    assert caffe_pb2.Phase.Value("TRAIN") == 0
    assert caffe_pb2.PoolingParameter.AVE == 1
    assert caffe_pb2.V1LayerParameter.LayerType.Name(4) == "CONVOLUTION"
    assert caffe_pb2._LAYERPARAMETER is caffe_pb2.LayerParameter.DESCRIPTOR
    assert caffe_pb2._POOLINGPARAMETER_POOLMETHOD.values_by_name["MAX"].number == 0
    assert caffe_pb2.DESCRIPTOR.package == "caffe"
    for name in GOLDEN:
        assert hasattr(caffe_pb2, name.removeprefix("enum ").split(".")[0])


def test_messages_can_be_copied_and_pickled():
    net = caffe_pb2.NetParameter(name="n")
    net.layer.add(name="a").convolution_param.kernel_size.append(3)
    assert pickle.loads(pickle.dumps(net)) == net
    assert copy.deepcopy(net) == net


def test_packed_and_unpacked_numbers_are_both_read():
    # field 5 (data), one float 1.0: packed is tag 0x2a with a length, unpacked tag 0x2d without
    packed = caffe_pb2.BlobProto.FromString(b"\x2a\x04\x00\x00\x80\x3f")
    unpacked = caffe_pb2.BlobProto.FromString(b"\x2d\x00\x00\x80\x3f")
    assert packed == unpacked
    assert packed.SerializeToString() == b"\x2a\x04\x00\x00\x80\x3f"


@pytest.mark.slow
def test_another_caffe_proto_in_the_process_does_not_clash():
    code = """
from google.protobuf import descriptor_pb2, descriptor_pool
other = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
other.message_type.add(name="NetParameter")
descriptor_pool.Default().Add(other)
descriptor_pool.Default().FindMessageTypeByName("caffe.NetParameter")
from caffe.proto import caffe_pb2
print(len(caffe_pb2.NetParameter.DESCRIPTOR.fields))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["9"]
