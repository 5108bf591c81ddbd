"""What filling 16.8 million weights costs, here and in BVLC Caffe: processor seconds, in pairs.

    python benchmarks/fills.py [--repeat 3]

BVLC Caffe runs in the root of `make oracle-build`; without one only this engine is timed. The row
"from a file" builds a net that gets its weights at once: nothing is drawn for it without a seed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
ENTER = HERE.parents[1] / "tests" / "oracle" / "enter.py"
FILLERS = {"constant": "value: 1", "xavier": "", "gaussian": "std: 0.01", "msra": ""}
NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4096 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 4096 weight_filler { type: "%s" %s } } }
"""


def measure():
    """The least of three times, by filler, in this process's Caffe."""
    import caffe

    best = {}
    with tempfile.TemporaryDirectory() as folder:
        net, weights = os.path.join(folder, "n.prototxt"), os.path.join(folder, "n.caffemodel")
        for seeded in (True, False):
            for filler, settings in FILLERS.items():
                with open(net, "w") as stream:
                    stream.write(NET % (filler, settings))
                name = filler if seeded else filler + ", from a file"
                if seeded:
                    caffe.Net(net, caffe.TEST).save(weights)
                    caffe.set_random_seed(1)
                arguments = () if seeded else (weights,)
                for _ in range(3):
                    start = time.process_time()
                    built = caffe.Net(net, *arguments, caffe.TEST)
                    _ = built.params["fc"][0].data.size
                    best[name] = min(best.get(name, 1e9), time.process_time() - start)
                    del built
            if seeded and hasattr(caffe, "__engine__"):
                from caffe import rng

                rng._local.generator = rng.Generator()  # as in a process that set no seed
    for name, seconds in best.items():
        print(f"  {name:28s} {seconds:.3f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--repeat", type=int, default=3, help="pairs (default: %(default)s)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        measure()
        return
    for _ in range(args.repeat):
        for who, command in (("BVLC Caffe", [str(ENTER)]), ("this engine", [])):
            print(who, flush=True)
            words = [sys.executable, *command, str(HERE), "--here"]
            if subprocess.run(words, env={**os.environ, "GLOG_minloglevel": "2"}).returncode:
                print("  did not run", flush=True)


if __name__ == "__main__":
    main()
