"""Records the messages and enums of BVLC Caffe's own caffe_pb2 as a table of plain values.

Run with the Python of BVLC Caffe, in this folder::

    python3 make_fields.py         writes fields.json

The engine's classes are put through the same function in test_caffe_pb2.py.
"""

import json


def table(file_descriptor):
    """{message: {field: [number, type, label, type name, default, packed]}, "enum X": {…}}."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto()
    file_descriptor.CopyToProto(file)
    out = {"enum " + enum.name: _values(enum) for enum in file.enum_type}
    for message in file.message_type:
        out[message.name] = {field.name: _facts(field) for field in message.field}
        for enum in message.enum_type:
            out["enum " + message.name + "." + enum.name] = _values(enum)
    return out


def _values(enum):
    return {value.name: value.number for value in enum.value}


def _facts(field):
    kinds = type(field)
    default = field.default_value if field.HasField("default_value") else None
    if default is not None and field.type in (kinds.TYPE_FLOAT, kinds.TYPE_DOUBLE):
        default = float(f"{float(default):.6g}")  # some runtimes give the float32 in full
    return [
        field.number,
        kinds.Type.Name(field.type)[5:].lower(),
        kinds.Label.Name(field.label)[6:].lower(),
        field.type_name,
        default,
        field.options.packed,
    ]


def main():
    import caffe
    from caffe.proto import caffe_pb2

    if hasattr(caffe, "__engine__"):
        raise SystemExit("this is not BVLC Caffe")
    rows = ['"engine": ' + json.dumps("BVLC Caffe " + caffe.__version__)]
    for name, fields in sorted(table(caffe_pb2.DESCRIPTOR).items()):
        lines = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(fields.items())]
        rows.append(json.dumps(name) + ": {\n" + ",\n".join(lines) + "\n }")
    with open("fields.json", "w") as f:
        f.write("{\n " + ",\n ".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
