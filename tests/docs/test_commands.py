"""The command lines of README.md and docs/: each names a command and options that there are, and
the cheap ones run, on a small generated data set, in a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ["README.md"] + [
    f"docs/{name}"
    for name in sorted(os.listdir(os.path.join(ROOT, "docs")))
    if name.endswith(".md") and name not in ("api.md", "cli.md", "parity.md")
]

#: What is documented → what is run for it, in this order. None of it needs a network.
RUN = (
    ("data/toy.py", "python data/toy.py --train 4 --val 2 --size 64x48"),
    ("data/check.py NAME", "python data/check.py toy"),
    ("nets/NET/solve.py", "python nets/toy-fcn32s/solve.py --steps 2"),
    ("score.py NET", "python score.py toy-fcn32s"),
    ("infer.py photo.jpg", "python infer.py data/toy/JPEGImages/toy_val_0000.jpg"),
    (
        "data/folder.py --images DIR --masks DIR",
        "python data/folder.py --images data/toy/JPEGImages --masks data/toy/SegmentationClass "
        "--name mine",
    ),
    (
        "nets/make.py --backbone B --dataset",
        "python nets/make.py --backbone toy --dataset data/folder/mine/dataset.json --stride 8 "
        "--out my-net",
    ),
    (
        "train.py --images photos --masks masks",
        "python train.py --images data/toy/JPEGImages --masks data/toy/SegmentationClass "
        "--start scratch --steps 2 --cpu --out own",
    ),
    ("report.py my-net", "python report.py own"),
    ("nets/explain.py voc-fcn8s --size 500x334", None),
    ("nets/weights.py", "python nets/weights.py"),
    ("nets/classifiers.py NAME", "python nets/classifiers.py lenet"),
    (
        "infer.py photos/ --out labelled --contact-sheet labelled/sheet.jpg",
        "python infer.py data/toy/JPEGImages --out labelled --contact-sheet labelled/sheet.jpg "
        "--size 64",
    ),
    ("page.py", "python page.py --help"),
    (
        "caffe draw --html net.html deploy.prototxt",
        "caffe draw --html net.html nets/toy-fcn8s/deploy.prototxt",
    ),
    ("caffe time -model", "caffe time -model nets/toy-fcn8s/deploy.prototxt -iterations 1"),
)

# The commands run in processes that are forked once the engine is loaded.
DRIVER = """
import os, runpy, shlex, sys, traceback
import caffe, caffe.cli, scipy.io
for line in sys.stdin.read().splitlines():
    print("$", line, flush=True)
    child = os.fork()
    if child == 0:
        words, status = shlex.split(line), 1
        try:
            if words[0] == "caffe":
                sys.exit(caffe.cli.main(words[1:]))
            sys.argv = words[1:]
            sys.path[0] = os.path.dirname(os.path.abspath(words[1]))
            runpy.run_path(words[1], run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status if isinstance(status, int) else 1)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"failed: {line}")
"""


def text_of(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as f:
        return f.read()


def commands(page):
    """The command lines of a page, in blocks and within sentences."""
    text = text_of(page)
    found = re.findall(r"`(python [^`\n]*|caffe [a-z_]+ [^`\n]*)`", text)
    found += re.findall(r"^(?: {4,}|\$ )?(python \S+\.py[^\n]*|caffe [a-z_]+ -[^\n]*)$", text, re.M)
    return [re.sub(r"\s+#.*", "", line).strip() for line in found]


def help_texts():
    """{command: its help} of docs/cli.md, which a test of its own keeps fresh."""
    page = text_of("docs/cli.md")
    return dict(re.findall(r"^### `(.*?)`\n\n```\n(.*?)\n```$", page, re.M | re.S))


def test_every_command_and_option_exists():
    known, seen = help_texts(), 0
    for page in PAGES:
        for line in commands(page):
            words = line.split()
            if words[0] == "caffe":
                name = f"caffe {words[1]}" if f"caffe {words[1]}" in known else "caffe"
                options = [word for word in words[2:] if re.match(r"-[a-z]", word)]
            else:
                script = words[1]
                if script.startswith("-"):
                    continue
                name = f"python {script}"
                if re.match(r"(nets/)?\S*/solve\.py$", script):
                    name = "python nets/toy-fcn8s/solve.py"
                elif not re.search(r"[A-Z…]", script):
                    assert os.path.isfile(os.path.join(ROOT, script)), f"{page}: {line}"
                options = re.findall(r"--[a-z0-9-]+", line)
            if name not in known:
                continue  # studies, benchmarks, the oracle's scripts
            for option in options:
                option = option.split("=")[0]
                assert option in known[name], f"{page}: {line}: {name} has no {option}"
                seen += 1
    assert seen > 40


def test_every_file_that_a_page_names_exists():
    folders = "benchmarks data docs examples fcn layers nets papers solvers src tests".split()
    seen = 0
    for page in [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"]:
        for path in re.findall(r"[\w./-]+\.(?:py|md|json|txt|prototxt)\b", text_of(page)):
            if path.split("/")[0] in folders and "/" in path and not re.search("[A-Z]{2,}", path):
                if path.startswith(("data/", "nets/")) and not path.endswith(".py"):
                    continue  # a dataset's own files, weights
                places = (ROOT, os.path.join(ROOT, "src", "caffe"))  # design.md: the engine's
                assert any(os.path.exists(os.path.join(place, path)) for place in places), (
                    f"{page} names {path}"
                )
                seen += 1
    assert seen > 60


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the commands need, so that what they write stays out of the checkout."""
    folder = tmp_path_factory.mktemp("docs") / "checkout"
    folder.mkdir()
    for name in ("fcn", "layers"):
        shutil.copytree(os.path.join(ROOT, name), folder / name)
    for name in (
        "data",
        "data/preparing",
        "nets",
        "nets/toy-fcn32s",
        "nets/toy-fcn8s",
        "nets/voc-fcn8s",
        "solvers",
    ):
        (folder / name).mkdir()
        for entry in os.listdir(os.path.join(ROOT, name)):
            if entry.endswith((".py", ".prototxt")):
                shutil.copy(os.path.join(ROOT, name, entry), folder / name)
    for name in ("bootstrap", "infer", "page", "report", "score", "surgery", "train"):
        shutil.copy(os.path.join(ROOT, name + ".py"), folder)
    shipped = "nets/voc-fcn4s-lite0"
    shutil.copytree(os.path.join(ROOT, shipped), folder / shipped)
    return folder


def test_cheap_commands_run(checkout):
    documented = "\n".join(text_of(page) for page in PAGES)
    lines = []
    for shown, line in RUN:
        assert shown in documented, f"no page shows '{shown}' any more: change RUN"
        lines.append(line or f"python {shown}")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DRIVER],
        input="\n".join(lines),
        cwd=str(checkout),
        env=dict(os.environ, OMP_NUM_THREADS="1", GLOG_minloglevel="2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count("$ ") == len(RUN)
    for made in (
        "out/toy-fcn32s.caffemodel",
        "out/scores.jsonl",
        "toy_val_0000_overlay.jpg",
        "labelled/sheet.jpg",
        "net.html",
        "my-net/deploy.prototxt",
        "own/report.html",
    ):
        assert (checkout / made).is_file(), f"{made} was not written:\n{done.stdout[-3000:]}"
