"""Write the prototxt of a published classifier.

python nets/classifiers.py                                       list them
python nets/classifiers.py vgg16 --form deploy --out vgg16.prototxt
python nets/classifiers.py alexnet --form deploy --v1            as in 2014, on the screen
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
os.environ.setdefault("GLOG_minloglevel", "2")
import bootstrap
from fcn.classifiers import catalog, old_forms
from fcn.classifiers.parts import FORMS
from fcn.prototxt import to_text


def text(net):
    """The net as prototxt, its inputs before its layers, as one writes it."""
    head, body = type(net)(), type(net)()
    head.CopyFrom(net)
    for field in ("layer", "layers"):
        getattr(body, field).extend(getattr(net, field))
        head.ClearField(field)
    return to_text(head) + to_text(body)


def build(name, form, syntax=None):
    """The NetParameter of a classifier; syntax: None, "input" or "v1" (see old_forms.py)."""
    net = catalog.classifier(name).build(form)
    return {None: lambda n: n, "input": old_forms.old_input, "v1": old_forms.v1}[syntax](net)


def table():
    """The catalog as text."""
    lines = ["{:<14} {:>12} {:>15}  {}".format("name", "parameters", "input", "caffemodel")]
    for row in catalog.CLASSIFIERS.values():
        size = "×".join(str(n) for n in row.input[1:]) if row.input else "words"
        lines.append(f"{row.name:<14} {row.parameters:>12,} {size:>15}  {row.file or ''}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", help="a classifier; without one, they are listed")
    parser.add_argument("--form", choices=FORMS, default="deploy", help="default: %(default)s")
    old = parser.add_mutually_exclusive_group()
    old.add_argument(
        "--v1", dest="syntax", action="store_const", const="v1", help="V1 `layers` and input_dim"
    )
    old.add_argument(
        "--old-input",
        dest="syntax",
        action="store_const",
        const="input",
        help="input_dim in place of Input layers",
    )
    parser.add_argument("--out", help="the file to write; default: the screen")
    args = parser.parse_args()
    if args.name is None:
        print(table())
        return 0
    try:
        made = text(build(args.name, args.form, args.syntax))
        if args.out is None:
            sys.stdout.write(made)
        else:
            with open(bootstrap.user_path(args.out), "w", encoding="ascii", newline="\n") as f:
                f.write(made)
    except (LookupError, ValueError, OSError) as error:
        message = error.args[0] if isinstance(error, LookupError) else error
        print(f"classifiers.py: {message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
