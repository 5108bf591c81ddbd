"""Compiles caffe.proto: the descriptor that caffe_pb2.py loads, and the types that checkers read.

Run it after every change of caffe.proto (needs grpcio-tools, a development dependency)::

    python src/caffe/proto/build.py

The results are checked in, so that neither installing nor importing needs a compiler.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

FOLDER = Path(__file__).resolve().parent
PROTO = FOLDER / "caffe.proto"
DESCRIPTOR_FILE = FOLDER / "caffe_descriptor.bin"
STUB_FILE = FOLDER / "caffe_pb2.pyi"


def _protoc(proto: Path, option: str, name: str) -> bytes:
    """The file ``name`` that protoc writes with ``option`` (which says where to: ``{}``)."""
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        status = protoc.main(["protoc", f"-I{proto.parent}", option.format(folder), proto.name])
        if status != 0:
            raise RuntimeError(f"protoc rejects {proto} (exit status {status})")
        return (Path(folder) / name).read_bytes()


def compile_proto(proto: Path = PROTO) -> bytes:
    """Returns the serialised FileDescriptorProto of ``proto``.

    JSON names are left out: they follow from the field names and nothing here uses them.

    Raises:
        RuntimeError: the compiler rejects the file (its messages are on stderr).
    """
    content = _protoc(proto, "--descriptor_set_out={}/set.bin", "set.bin")
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(content).file
    for message in file.message_type:
        for field in message.field:
            field.ClearField("json_name")
    return file.SerializeToString(deterministic=True)


def compile_stub(proto: Path = PROTO) -> str:
    """Returns the type stub of ``proto``'s messages and enums; raises RuntimeError likewise."""
    return _protoc(proto, "--pyi_out={}", f"{proto.stem}_pb2.pyi").decode()


def main() -> None:
    """Rewrites the checked-in files."""
    DESCRIPTOR_FILE.write_bytes(compile_proto())
    STUB_FILE.write_text(compile_stub(), "utf-8")
    print(f"wrote {DESCRIPTOR_FILE} and {STUB_FILE}")


if __name__ == "__main__":
    main()
