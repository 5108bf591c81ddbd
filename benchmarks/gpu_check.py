"""Check and measure the engine on a GPU, in one command and under five minutes.

    python benchmarks/gpu_check.py [--out DIR] [--limit SECONDS] [--only SECTION,…]
    python benchmarks/gpu_check.py --device pretend --quick      rehearse it without a GPU

Each section runs in a process of its own, because a CUDA fault spoils everything after it in its
process. A table comes last; DIR/gpu_check.json and .md hold all of it, and are written anew after
each section, DIR/gpu_check.log what the sections printed. The exit status is 0 only if every
section that was asked for ran and holds. See docs/gpu.md.
"""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
for folder in (os.path.join(CHECKOUT, "tests"), os.path.join(CHECKOUT, "src"), CHECKOUT, HERE):
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
os.environ["GLOG_minloglevel"] = "2"
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asking for a GPU must not start CUDA

from gpu_sections import SECTIONS  # noqa: E402
from gpu_sections.schedule import Schedule, run_part  # noqa: E402


def parse(arguments=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument(
        "--device",
        choices=("gpu", "pretend", "mirror", "cpu"),
        default="gpu",
        help="gpu is what counts; the others rehearse (default: %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="narrow nets, few cases, few passes")
    parser.add_argument("--only", metavar="SECTION,…", help="of: " + ", ".join(SECTIONS))
    parser.add_argument(
        "--limit",
        type=float,
        default=280,
        metavar="SECONDS",
        help="for everything; what does not fit is not run (default: %(default)g)",
    )
    parser.add_argument("--out", default="gpu-check", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--processes", type=int, metavar="N", help="at a time (default: by the number of cores)"
    )
    # One part of a section, in this process: how a child that cannot be forked is started.
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else list(SECTIONS)
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}; sections: {', '.join(SECTIONS)}")
    options.names = [name for name in SECTIONS if name in names]
    options.out = os.path.abspath(options.out)
    return options


def main(arguments=None):
    options = parse(arguments)
    os.chdir(CHECKOUT)  # the paths in prototxts are relative to it
    if options.child:
        run_part(options, int(os.environ.get("OMP_NUM_THREADS", "1")), *options.child)
        return 0
    os.makedirs(options.out, exist_ok=True)
    return Schedule(options).run()


if __name__ == "__main__":
    sys.exit(main())
