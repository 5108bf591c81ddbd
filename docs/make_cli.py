"""Write docs/cli.md: what every command says of itself.

python docs/make_cli.py            write the page
python docs/make_cli.py --check    write nothing; fail if the page is stale
"""

import os
import re
import runpy
import sys
import textwrap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
from docs import generated_page  # noqa: E402

HEAD = """# Commands

This page holds the `--help` of every command. `python docs/make_cli.py` writes it.
"""

#: (title, its commands as a user types them, without the option for help).
SECTIONS = (
    (
        "Train, score, label",
        ("train.py", "nets/toy-fcn8s/solve.py", "score.py", "report.py", "infer.py", "page.py"),
    ),
    (
        "Nets and weights",
        (
            "nets/make.py",
            "nets/explain.py",
            "nets/weights.py",
            "nets/convolutionize.py",
            "nets/classifiers.py",
        ),
    ),
    (
        "Data",
        tuple(
            f"data/{name}.py"
            for name in (
                "voc",
                "pascalcontext",
                "nyud",
                "siftflow",
                "camvid",
                "membrane",
                "toy",
                "folder",
                "check",
            )
        ),
    ),
    (
        "The engine",
        (
            "caffe",
            "caffe classify",
            "caffe compute_image_mean",
            "caffe convert_cifar_data",
            "caffe convert_imageset",
            "caffe convert_mnist_data",
            "caffe convert_mnist_siamese_data",
            "caffe detect",
            "caffe draw",
            "caffe draw_net",
            "caffe export",
            "caffe extract_features",
            "caffe extract_seconds",
            "caffe parse_log",
            "caffe parse_log.sh",
            "caffe plot_training_log",
            "caffe resize_and_crop_images",
            "caffe shim",
            "caffe summarize",
            "caffe upgrade_net_proto_binary",
            "caffe upgrade_net_proto_text",
            "caffe upgrade_solver_proto_text",
        ),
    ),
)


def help_of(command):
    """What a command prints when asked for help, run in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.dup2(write, 1)
        os.dup2(write, 2)
        status = 1
        try:
            _run(command)
        except SystemExit as end:
            status = 0
            if isinstance(end.code, str):
                print(end.code)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as output:
        text = output.read()
    if os.waitpid(child, 0)[1]:
        raise RuntimeError(f"{command} --help failed:\n{text}")
    # The old tools log how they are used, with time and process.
    text = re.sub(r"(?m)^[EI]\d{4} [^\]]*\] ", "", text)
    return textwrap.dedent("\n".join(line.rstrip() for line in text.strip("\n").splitlines()))


def _run(command):
    os.environ["COLUMNS"] = "100"
    if command.startswith("caffe"):
        from caffe.cli import main

        sys.exit(main([*command.split()[1:], "-help"]))
    script = os.path.join(ROOT, *command.split("/"))
    sys.argv = [command, "--help"]
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name="__main__")
    sys.exit()


def page():
    """The text of docs/cli.md."""
    # Once, before the processes are forked: they need not import it again.
    import caffe  # noqa: F401

    parts = [HEAD]
    for title, commands in SECTIONS:
        parts.append(f"## {title}\n")
        for command in commands:
            shown = command if command.startswith("caffe") else "python " + command
            parts.append(f"### `{shown}`\n\n```\n{help_of(command)}\n```\n")
    return "\n".join(parts)


def main(argv=None):
    return generated_page.main("cli", page, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
