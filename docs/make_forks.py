"""Write docs/forks.md: layers and fields of Caffe's forks, from the engine's own tables.

python docs/make_forks.py            write the page
python docs/make_forks.py --check    write nothing; fail if the page is stale
"""

import inspect
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
from docs import generated_page  # noqa: E402

HEAD = """# Forks

Most published Caffe models come from forks of BVLC Caffe, with layer types and fields of their own.
This page says which of them load and run here, and what of the rest is read. The tables are the
engine's: `python docs/make_forks.py` writes the page.

- A layer type in [Layers that run](#layers-that-run) is used like any other: in prototxts, in
  `caffe.layers` of NetSpec, in training where it has a gradient. A net with one does not run on
  BVLC Caffe. [Layers by type](#layers-by-type) has what each computes, its settings, and where the
  result differs from a fork's.
- A layer of a type in [Layers that do not run](#layers-that-do-not-run) is read without its
  settings, with one warning a type. A net in a phase that does without it runs.
- A field in [Fields that are translated](#fields-that-are-translated) is read as BVLC's field of
  the same meaning, or left out where it changes nothing that is computed, with one warning a field.
- Any other unknown field is an error, which names the fork where it is known.
- Solver files of Intel's, NVIDIA's and YOLO's forks: `warmup_iter` and `warmup_start_lr`,
  `rampup_interval`, `rampup_lr` and `min_lr`, and `lr_policy: "multifixed"` with `stagelr` and
  `stageiter` give the rates that they give there.
- Solvers of SSD tell the mean average precision of a DetectionEvaluate in their test nets, by
  `ap_version` and `show_per_class_result`; `caffe test` tells it too.
- caffemodel files: weights go by the names of layers, so files of any fork can be read. Numbers in
  half precision (NVIDIA Caffe) are read too.
- `caffe upgrade_net_proto_text` keeps the settings of all layers that run. In binary files fields
  are numbers, and forks gave one number different meanings: of them names, types, bottoms, tops
  and weights are read.

What OpenCV 4's Caffe importer computes as well is compared with it, on random nets and on whole
published ones: see tests/oracle/README.md.
"""


FAMILIES = """## Published families

Small prototxts in the words of published ones: their types, fields, spellings and order, with small
sizes. All of them are read; every net runs forward in the phases and stages that it has
(`tests/caffe/net/test_published_files.py`, `test_published_forms.py`), most of them backward too.

"""


def tables():
    """The engine's tables: extensions, forks, foreign fields, Python layers, messages."""
    from caffe.layer import class_of, extensions, python
    from caffe.proto import caffe_pb2
    from caffe.prototxt import foreign, fork_fields, forks

    return class_of, extensions, python, caffe_pb2, foreign, fork_fields, forks


def plain(text):
    """reStructuredText of a docstring as Markdown."""
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text)
    return text.replace("``", "`")


def cell(text):
    return " ".join(plain(str(text)).split()).replace("|", "\\|")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows]) + "\n"


def comments():
    """What caffe.proto says of each field, by message and field."""
    with open(os.path.join(ROOT, "src", "caffe", "proto", "caffe.proto"), encoding="utf-8") as f:
        lines = f.read().splitlines()
    found, message = {}, ""
    for line in lines:
        opened = re.match(r"message (\w+)", line)
        message = opened.group(1) if opened else message
        field = re.match(r"  \w+ [\w.]+ (\w+) = \d+[^;]*;\s*(?://\s*(.*))?$", line)
        if field:
            found[message, field.group(1)] = field.group(2) or ""
    return found


def kind_of(field):
    """Type of a field, and its default."""
    names = {1: "number", 2: "number", 3: "integer", 4: "integer", 5: "integer", 8: "true or false",
             9: "text", 12: "bytes", 13: "integer"}  # fmt: skip
    if field.message_type is not None:
        kind, default = field.message_type.name, ""
    elif field.enum_type is not None:
        values = field.enum_type.values_by_number
        kind = ", ".join(value.name for value in field.enum_type.values)
        default = values[field.default_value].name if field.has_default_value else ""
    else:
        kind = names[field.type]
        default = field.default_value if field.has_default_value else ""
        if isinstance(default, bool):
            default = str(default).lower()
        elif isinstance(default, float):
            default = f"{default:g}"
    repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == 3
    return ("several: " if repeated else "") + kind, default


def has_gradient(cls):
    """Whether the first bottom can receive one."""
    return cls.differentiable and cls.bottoms != 0 and cls.tops != 0 and 0 not in cls.no_gradient


def settings_of(cls, package):
    """The fields of LayerParameter that a class reads."""
    names = set()
    for base in cls.__mro__:
        if base.__module__.startswith(package) or base is cls:
            names |= set(re.findall(r"param\.(\w+_param)\b", inspect.getsource(base)))
    return names


def of_forks(message, known, text):
    """The fields of a message that BVLC Caffe does not have: of BVLC's own messages those that the
    text, a docstring, names."""
    if message.name in known:
        return list(message.fields)
    return [f for f in message.fields if f.number > 20000 and re.search(rf"\b{f.name}\b", text)]


def settings(cls, package, layer_parameter, words, known):
    """Tables of a type's settings: one for each message, those within included."""
    waiting = [
        (name, layer_parameter.fields_by_name[name].message_type)
        for name in sorted(settings_of(cls, package))
        if name in layer_parameter.fields_by_name
    ]
    parts, done = [], set()
    while waiting:
        name, message = waiting.pop(0)
        fields = of_forks(message, known, inspect.getdoc(cls))
        if message.name in done or not fields:
            continue
        done.add(message.name)
        rows = [(f"`{f.name}`", *kind_of(f), words.get((message.name, f.name), "")) for f in fields]
        parts.append(f"`{name}`:\n\n" + table(("field", "type", "default", ""), rows))
        waiting += [(f.name, f.message_type) for f in fields if f.message_type is not None]
    return "\n".join(parts)


def page():
    """The text of docs/forks.md."""
    class_of, extensions, python, caffe_pb2, foreign, fork_fields, forks = tables()
    layer_parameter = caffe_pb2.LayerParameter.DESCRIPTOR
    words = comments()
    bvlc = {"FillerParameter", "LossParameter"}
    known = {name for name in _reached(layer_parameter) if name not in bvlc}
    types = sorted(extensions.PUBLISHED_IN.items(), key=lambda item: item[0].lower())
    parts = [HEAD, "## Layers that run\n"]
    rows = [
        (
            f"[{name}](#{name.lower()})",
            does,
            origin,
            "yes" if has_gradient(class_of(name)) else "no",
        )
        for name, (origin, does) in types
    ]
    parts.append(table(("type", "what it does", "published in", "gradient"), rows))
    rows = [(f"`{module}`", f"`{layer}`") for module, layer in sorted(python.BUILT_IN)]
    parts.append(
        "Python layers that run without their module, unless it can be imported:\n\n"
        + table(("module", "layer"), rows)
    )
    parts.append("## Layers that do not run\n")
    rows = [
        (f"`{name}`", fork, forks.WHY[name])
        for fork, names in forks.TYPES.items()
        for name in names
    ]
    parts.append(table(("type", "fork", "why"), rows))
    parts.append("## Fields that are translated\n")
    rows = [
        (", ".join(f"`{n}`" for n in row.names), row.inside or "net or solver", row.origin,
         row.meaning, row.became)
        for row in foreign.FIELDS
    ]  # fmt: skip
    parts.append(table(("field", "in", "fork", "what it says there", "what it is read as"), rows))
    parts.append("Refused, because they change what is computed; the message names the fork:\n")
    rows = [
        (", ".join(f"`{name}`" for name in row.names), f"`{row.message}`", row.fork, row.instead)
        for row in fork_fields.CHANGES
    ]
    parts.append(table(("field", "in", "fork", "instead"), rows))
    parts.append(families())
    parts.append("## Layers by type\n")
    for name, (origin, _) in types:
        cls = class_of(name)
        text = plain(inspect.getdoc(cls))
        parts.append(f"### {name}\n\nPublished in {origin}.\n\n{text}\n")
        found = settings(cls, extensions.__name__, layer_parameter, words, known)
        if found:
            parts.append(found)
    return "\n".join(parts)


def families():
    """The section that counts the prototxts of tests/published and tests/published_nets.py."""
    sys.path.insert(0, os.path.join(ROOT, "tests"))
    import published_files

    counts = {folder: [0, 0, 0] for folder in published_files.FAMILIES}
    for name in published_files.files():
        with open(published_files.FOLDER / name, encoding="utf-8") as file:
            old = re.search(r"^layers", file.read(), re.M) is not None
        counts[name.partition("/")[0]][2 if published_files.is_solver(name) else int(old)] += 1
    for folder, _, text in published_files.texts():
        counts[folder][int(re.search(r"^layers", text, re.M) is not None)] += 1
    rows = [(published_files.FAMILIES[folder], *found) for folder, found in counts.items()]
    total = ("all", *(sum(column) for column in zip(*counts.values())))
    head = ("family", "nets", "nets with `layers` of 2013 and 2014", "solvers")
    return FAMILIES + table(head, [*rows, total])


def _reached(layer_parameter):
    """The messages that only extensions use."""

    def walk(message, names):
        if message.name not in names:
            names.add(message.name)
            for field in message.fields:
                if field.message_type is not None:
                    walk(field.message_type, names)
        return names

    bvlc, ours = set(), set()
    for field in layer_parameter.fields:
        if field.message_type is not None:
            if field.number > 20000:
                walk(field.message_type, ours)
            else:
                bvlc.add(field.message_type.name)
    return ours - bvlc


def main(argv=None):
    return generated_page.main("forks", page, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
