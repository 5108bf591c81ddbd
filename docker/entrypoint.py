"""The images' entry point: `docker run fcn COMMAND …`, on the GPU where there is one.

Says on stderr which device will be used. Where a GPU works, infer, solve and score get `--gpu 0`
unless a --gpu is given; solve and score keep their files in the mounted folder, not in the
container. Runs on Python 3.9 as well, for the image of BVLC Caffe.
"""

import glob
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
USAGE = """docker run [--gpus all] --rm -v "$PWD:/data" IMAGE COMMAND …

  infer IMAGE…             label pictures:      infer photo.jpg
  solve EXPERIMENT …       train:               solve camvid-fcn8s --data camvid
  score EXPERIMENT …       score:               score camvid-fcn8s --weights out/x.caffemodel
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


def has_option(arguments, name):
    return any(item.split("=")[0] == name for item in arguments)


def command_line(arguments, gpu):
    """The command to execute, for these arguments. gpu: whether GPU 0 can be used."""
    name, rest = arguments[0], list(arguments[1:])
    if name not in ("infer", "solve", "score"):
        return [name, *rest]
    script = os.path.join(ROOT, name + ".py")
    if name == "solve":
        script = experiment(rest)
        rest = rest[1:]
    if gpu and not has_option(rest, "--gpu"):
        rest += ["--gpu", "0"]
    if name != "infer" and not has_option(rest, "--out"):
        rest += ["--out", "out"]
    return [sys.executable, script, *rest]


def experiment(arguments):
    """The solve.py of the experiment that the first argument names."""
    scripts = {
        os.path.basename(os.path.dirname(path)): path
        for path in glob.glob(os.path.join(ROOT, "nets", "*", "solve.py"))
    }
    if not arguments or arguments[0] not in scripts:
        received = f"; received '{arguments[0]}'" if arguments else ""
        sys.exit(f"solve: expected an experiment, one of {', '.join(sorted(scripts))}{received}")
    return scripts[arguments[0]]


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("help", "--help", "-h"):
        print(USAGE, end="")
        return
    problem = None
    if arguments[0] in ("infer", "solve", "score", "caffe"):
        problem = gpu_problem()
        print(
            f"running on the CPU: {problem}" if problem else "running on GPU 0",
            file=sys.stderr,
            flush=True,
        )
    command = command_line(arguments, gpu=problem is None)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
