"""The images' entry point: `docker run fcn COMMAND …`, on the GPU where there is one.

Says on stderr which device will be used. Where a GPU works, solve and score get `--gpu 0` unless a
--gpu is given, and infer takes it by itself. Results, fetched weights and prepared folders go to
the mounted folder, not into the container (FCN_HOME, see bootstrap.py). Runs on Python 3.9 as well,
for the image of BVLC Caffe.
"""

import difflib
import glob
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
USAGE = """docker run [--gpus all] --rm -v "$PWD:/data" IMAGE COMMAND …

  infer IMAGE…             label pictures:      infer photo.jpg
  train …                  your own data:       train --images photos --masks masks --out my-net
  report DIR…              show what was done:  report my-net
  folder …                 the steps of train:  folder --images photos --masks masks
  check DATASET            look for mistakes:   check data/folder/data/dataset.json
  make …                   a net for it:        make --backbone vgg16 --dataset … --out my-net
  weights NAME             fetch weights:       weights vgg16
  solve EXPERIMENT|DIR …   train:               solve my-net
  score EXPERIMENT|DIR …   score:               score my-net
  explain EXPERIMENT|DIR   sizes and offsets:   explain my-net
  caffe COMMAND …          the command line:    caffe train -solver solver.prototxt
  python …, bash …         whatever else

The current folder is /data inside: what is written there stays. --gpus all needs the NVIDIA
container toolkit on the host. `infer --help` and the others tell more.
"""


def gpu_problem():
    """Why no GPU can be used; None where GPU 0 can."""
    if not glob.glob("/dev/nvidia[0-9]*") and not os.path.exists("/dev/dxg"):
        return "no GPU is visible in this container (start it with --gpus all)"
    try:
        import torch
    except ImportError:
        return "BVLC Caffe of this image is built for the CPU"
    if not torch.cuda.is_available():
        return "the host's NVIDIA driver does not fit PyTorch " + torch.__version__
    try:
        torch.ones(1, device="cuda:0").add_(1).item()
    except RuntimeError as error:
        name = torch.cuda.get_device_name(0)
        return f"{name} is not served by PyTorch {torch.__version__} ({error})"
    return None


#: Commands that are scripts of the checkout.
SCRIPTS = {
    "infer": "infer.py",
    "train": "train.py",
    "report": "report.py",
    "score": "score.py",
    "check": "data/check.py",
    "folder": "data/folder.py",
    "make": "nets/make.py",
    "weights": "nets/weights.py",
    "explain": "nets/explain.py",
}

#: A net's own solve.py names the checkout that wrote it, which may be another one's.
SOLVE = """import sys
sys.path.insert(0, sys.argv[1])
import bootstrap
from fcn.training import loop
sys.exit(loop.main(sys.argv[2], sys.argv[3:]))
"""


def has_option(arguments, name):
    """Whether an option is given, before a `--` that ends them."""
    if "--" in arguments:
        arguments = arguments[: arguments.index("--")]
    return any(item.split("=")[0] == name for item in arguments)


def command_line(arguments, gpu):
    """The command to execute, for these arguments. gpu: whether GPU 0 can be used."""
    name, rest = arguments[0], list(arguments[1:])
    if name == "solve":
        script, rest = experiment(rest), rest[1:]
    elif name in SCRIPTS:
        script = [os.path.join(ROOT, SCRIPTS[name])]
    else:
        return [name, *rest]
    # In front: behind a `--` they would be no options.
    added = ["--gpu", "0"] * (gpu and name in ("solve", "score") and not has_option(rest, "--gpu"))
    return [sys.executable, *script, *added, *rest]


def experiment(arguments):
    """What Python runs to train the experiment, or the folder, that the first argument names."""
    name = arguments[0] if arguments else ""
    scripts = {
        os.path.basename(os.path.dirname(path)): path
        for path in glob.glob(os.path.join(ROOT, "nets", "*", "solve.py"))
    }
    if name in scripts:
        return [scripts[name]]
    if name and os.path.isfile(os.path.join(name, "experiment.json")):
        return ["-c", SOLVE, ROOT, os.path.abspath(name)]
    if name in ("-h", "--help"):
        print(
            "usage: solve EXPERIMENT|DIR [OPTIONS], the folder of a net that make wrote or one of "
            f"{', '.join(sorted(scripts))}; `solve EXPERIMENT --help` tells the options"
        )
        sys.exit()
    near = difflib.get_close_matches(name, scripts, 1)
    guess = f"; is {near[0]} meant?" if near else ""
    received = f"; received '{name}'{guess}" if name else ""
    sys.exit(
        "solve: expected the folder of a net that make wrote, or an experiment, one of "
        f"{', '.join(sorted(scripts))}{received}"
    )


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("help", "--help", "-h"):
        print(USAGE, end="")
        return
    problem = None
    if arguments[0] in ("infer", "train", "solve", "score", "caffe"):
        problem = gpu_problem()
        print(
            f"running on the CPU: {problem}" if problem else "running on GPU 0",
            file=sys.stderr,
            flush=True,
        )
    os.environ.setdefault("FCN_HOME", os.getcwd())
    command = command_line(arguments, gpu=problem is None)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        near = difflib.get_close_matches(arguments[0], [*SCRIPTS, "solve", "caffe"], 1)
        guess = f" Is {near[0]} meant?" if near and near[0] != arguments[0] else ""
        print(
            f"{arguments[0]}: neither a command of this image nor a program in it "
            f"({error.strerror}).{guess} `help` lists the commands.",
            file=sys.stderr,
        )
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main()
