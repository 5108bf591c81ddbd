"""Compiles caffe.proto into the descriptor that caffe_pb2.py loads.

Run it after every change of caffe.proto (needs grpcio-tools, a development dependency)::

    python src/caffe/proto/build.py

The result is checked in, so that neither installing nor importing needs a compiler.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

FOLDER = Path(__file__).resolve().parent
PROTO = FOLDER / "caffe.proto"
DESCRIPTOR_FILE = FOLDER / "caffe_descriptor.bin"


def compile_proto(proto: Path = PROTO) -> bytes:
    """Returns the serialised FileDescriptorProto of ``proto``.

    JSON names are left out: they follow from the field names and nothing here uses them.

    Raises:
        RuntimeError: the compiler rejects the file (its messages are on stderr).
    """
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.bin"
        arguments = ["protoc", f"-I{proto.parent}", f"--descriptor_set_out={out}", proto.name]
        status = protoc.main(arguments)
        if status != 0:
            raise RuntimeError(f"protoc rejects {proto} (exit status {status})")
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    (file,) = files.file
    for message in file.message_type:
        for field in message.field:
            field.ClearField("json_name")
    return file.SerializeToString(deterministic=True)


def main() -> None:
    """Rewrites the checked-in descriptor."""
    DESCRIPTOR_FILE.write_bytes(compile_proto())
    print(f"wrote {DESCRIPTOR_FILE}")


if __name__ == "__main__":
    main()
