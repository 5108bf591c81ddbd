"""Write docs/api.md: the public names of `caffe`, their signatures and docstrings.

python docs/make_api.py            write the page
python docs/make_api.py --check    write nothing; fail if the page is stale
"""

import inspect
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
from docs import generated_page  # noqa: E402

HEAD = """# Python

What `import caffe` gives, from its docstrings: `python docs/make_api.py` writes this page. Names
and numbers are those of pycaffe 1.0.
"""

#: (title, module, its names; None for its ``__all__``).
SECTIONS = (
    ("Nets", "caffe", ("Net",)),
    ("Blobs", "caffe.blob", ("Blob", "BlobVec")),
    ("Solvers", "caffe", ("SGDSolver", "get_solver")),
    (
        "Device, precision, random numbers",
        "caffe",
        (
            "set_mode_cpu",
            "set_mode_gpu",
            "set_device",
            "set_precision",
            "precision",
            "set_deterministic",
            "deterministic",
            "set_graphs",
            "graphs",
            "set_random_seed",
            "get_random_state",
            "set_random_state",
        ),
    ),
    ("Layers in Python", "caffe", ("Layer", "layer_type_list")),
    ("Writing nets", "caffe.net_spec", None),
    ("Where pixels lie", "caffe.coord_map", None),
    ("Images and arrays", "caffe.io", None),
    ("Classifier and Detector", "caffe", ("Classifier", "Detector")),
    ("Pictures of nets", "caffe.draw", ("draw_net", "draw_net_to_file", "get_pydot_graph")),
    ("A page of a net", "caffe.viewer", None),
    ("Several GPUs", "caffe", ("NCCL", "has_nccl", "set_multiprocess", "set_solver_count")),
    ("Time, log, errors", "caffe", ("Timer", "init_log", "log", "Error", "ZeroWeightsWarning")),
)


def page() -> str:
    """The text of docs/api.md."""
    import importlib

    parts = [HEAD]
    for title, name, names in SECTIONS:
        module = importlib.import_module(name)
        parts.append(f"## {title}\n")
        for each in names or module.__all__:
            parts += _described(f"{name}.{each}", getattr(module, each))
    return "\n".join(parts).rstrip("\n") + "\n"


def _described(name, value):
    if not (inspect.isclass(value) or callable(value)):
        return []
    parts = [f"### `{name}{_signature(value)}`\n", _text(value)]
    if inspect.isclass(value):
        for member, found in sorted(vars(value).items()):
            plain = found.__func__ if isinstance(found, (classmethod, staticmethod)) else found
            if member.startswith("_") or not (callable(plain) or isinstance(plain, property)):
                continue
            sign = "" if isinstance(plain, property) else _signature(plain)
            parts.append(f"#### `{value.__name__}.{member}{sign}`\n")
            parts.append(_text(plain))
    return parts


def _signature(value):
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return "()"
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    text = re.sub(r"'([^']*)'", r"\1", text)  # annotations are texts
    return re.sub(r"^\(self(, )?", "(", text)


def _text(value):
    """The docstring as Markdown: Google's sections in bold, examples as code."""
    text = inspect.getdoc(value) or ""
    text = re.sub(r"``(.+?)``", r"`\1`", text)
    text = re.sub(r":\w+:`~?([^`<]+?)`", r"`\1`", text)
    lines, code = [], False
    for line in text.splitlines():
        heading = re.fullmatch(r"(Args|Returns|Raises|Attributes|Example|Examples|Yields):", line)
        if heading:
            lines += [f"**{heading.group(1)}**", ""]
            continue
        begins = line.startswith(">>>")
        if begins and not code:
            lines.append("```pycon")
            code = True
        elif code and not line.strip():
            lines.append("```")
            code = False
        item = re.match(r" {4}(\S.*)", line)
        if item and not code:
            line = f"- {item.group(1)}" if not item.group(1).startswith("- ") else item.group(1)
        elif line.startswith("        ") and not code:
            line = "  " + line.strip()
        lines.append(line)
    return "\n".join(lines + ["```"] * code) + "\n"


def main(argv=None):
    return generated_page.main("api", page, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
