"""What every experiment shares: its command line, and the record of its result.

    args = arguments(__doc__, dict(seeds=3))
    record = Record("dense_grid", "The dense grid", "CVPR paper §3.1", args)
    record.table(["size", "seconds"], [[224, 0.1], …])
    record.plot("dense_grid", [plots.Panel(…), …], "time against size")
    record.write()

writes <out>/<name>.json, which holds all numbers, <out>/<name>.md, made from it alone, and the
pictures. `python papers/publish.py` copies what is there into docs/papers.md.
"""

import argparse
import json
import math
import os
import platform
import sys
import time

if not __package__:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("GLOG_minloglevel", "2")

import bootstrap
from fcn import plots
from fcn.atomic import write_text
from fcn.scoring.results import engine

__all__ = ["Record", "arguments", "markdown", "mean_spread", "percent"]

OUT = os.path.join(bootstrap.ROOT, "out", "papers")


def arguments(doc, defaults=None, argv=None, camvid=False, voc=False, only=()):
    """The command line of an experiment: --out, --quick, --gpu, and --seeds, --camvid, --voc and
    --only if wanted.

    defaults: seeds: how many runs of each variant. camvid, voc: whether it reads CamVid, VOC. only:
    labels of runs that may be made alone.
    """
    defaults = defaults or {}
    parser = argparse.ArgumentParser(allow_abbrev=False, description=doc.split("\n\n")[0])
    parser.add_argument(
        "--out",
        type=bootstrap.user_path,
        default=OUT,
        metavar="DIR",
        help="where results go (default: out/papers in the repository)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few steps on a few small pictures: shows that it runs, no more",
    )
    parser.add_argument("--gpu", type=int, metavar="N", help="the GPU to use (default: the CPU)")
    if "seeds" in defaults:
        parser.add_argument(
            "--seeds",
            type=int,
            default=defaults["seeds"],
            metavar="N",
            help="runs of each variant (default: %(default)s)",
        )
    if camvid:
        parser.add_argument(
            "--camvid",
            type=bootstrap.user_path,
            metavar="DIR",
            default=os.path.join(bootstrap.ROOT, "data", "camvid"),
            help="CamVid as data/camvid.py lays it out (default: data/camvid)",
        )
    if voc:
        parser.add_argument(
            "--voc",
            type=bootstrap.user_path,
            metavar="DIR",
            default=os.path.join(bootstrap.ROOT, "data", "pascal", "VOC2012"),
            help="VOC as data/voc.py lays it out (default: data/pascal/VOC2012)",
        )
    if only:
        parser.add_argument(
            "--only",
            action="append",
            choices=only,
            metavar="RUN",
            help=f"make these runs alone; may be repeated: {'; '.join(only)}",
        )
    args = parser.parse_args(argv)
    if getattr(args, "seeds", 1) < 1:
        parser.error(f"expected --seeds of at least 1; received {args.seeds}")
    if camvid and not os.path.isfile(os.path.join(args.camvid, "train.txt")):
        parser.error(
            f"no CamVid in '{args.camvid}': python data/camvid.py says where it comes "
            "from; --camvid names another folder"
        )
    if voc and not os.path.isdir(os.path.join(args.voc, "ImageSets")):
        parser.error(
            f"no VOC in '{args.voc}': python data/voc.py says where it comes from; --voc names "
            "another folder"
        )
    os.makedirs(args.out, exist_ok=True)
    bootstrap.enter()
    return args


class Record:
    """The result of one experiment. name: of its script; paper: where the papers have it."""

    def __init__(self, name, title, paper, args):
        self.args, self._began = args, time.time()
        flags = [
            f"--{key} {value}"
            for key, value in sorted(vars(args).items())
            if key in ("gpu", "seeds") and value is not None
        ]
        flags += [f"--{key} {key.upper()}" for key in ("camvid", "voc") if hasattr(args, key)]
        flags += [f'--only "{label}"' for label in getattr(args, "only", None) or ()]
        self.fields = dict(
            name=name,
            title=title,
            paper=paper,
            quick=args.quick,
            engine=engine(),
            machine=_machine(),
            date=time.strftime("%Y-%m-%d", time.gmtime()),
            command=" ".join([f"python papers/{name}.py"] + flags + ["--quick"] * args.quick),
            tables=[],
            plots=[],
            raw={},
        )

    @property
    def raw(self):
        """Whatever numbers the tables are made of, kept in the JSON file: lists, dicts, numbers."""
        return self.fields["raw"]

    def table(self, columns, rows, caption=""):
        """A table; cells are text or numbers."""
        self.fields["tables"].append(
            dict(
                caption=caption,
                columns=list(columns),
                rows=[[_cell(value) for value in row] for row in rows],
            )
        )

    def plot(self, name, panels, alt):
        """A picture of `plots.Panel`s side by side, <out>/<name>.png. alt: what it shows."""
        plots.draw(os.path.join(self.args.out, name + ".png"), panels)
        self.fields["plots"].append(dict(file=name + ".png", alt=alt))

    def write(self, seconds=None):
        """Write the JSON and Markdown files, and print the latter.

        seconds: what it took, where runs were kept from earlier calls; None: since it began.
        """
        taken = time.time() - self._began if seconds is None else seconds
        self.fields["seconds"] = round(taken, 1)
        stem = os.path.join(self.args.out, self.fields["name"])
        text = json.dumps(self.fields, indent=1, sort_keys=True, allow_nan=False)
        write_text(stem + ".json", text + "\n")
        text = markdown(self.fields, "")
        write_text(stem + ".md", f"# {self.fields['title']}\n\n{text}")
        print(text, flush=True)


def markdown(fields, images):
    """The table, pictures and origin of a record. images: the folder of pictures as linked."""
    parts = []
    for table in fields["tables"]:
        if table["caption"]:
            parts.append(table["caption"] + ":")
        rows = [table["columns"], ["---"] + ["---:"] * (len(table["columns"]) - 1)]
        rows += table["rows"]
        parts.append("\n".join("| {} |".format(" | ".join(row)) for row in rows))
    for plot in fields["plots"]:
        link = f"{images}/{plot['file']}" if images else plot["file"]
        parts.append(f"![{plot['alt']}]({link})")
    parts.append(
        "`{command}` on {engine}, {date}, {seconds:.0f} s on {machine}{quick}.".format(
            **dict(fields, quick=", quick: the numbers mean nothing" if fields["quick"] else "")
        )
    )
    return "\n\n".join(parts) + "\n"


def _cell(value):
    return (
        value
        if isinstance(value, str)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _machine():
    name = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            name = next(
                (line.split(":")[1].strip() for line in f if line.startswith("model name")), name
            )
    except OSError:
        pass  # not Linux
    threads = os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    return "{}, {} thread{}".format(name, threads, "" if str(threads) == "1" else "s")


def mean_spread(values, digits=1, factor=1):
    """ "61.2 (60.8–61.7)": mean, and the least and greatest where there are several; what is not a
    number comes from runs that diverged, and is counted."""
    lost = sum(not math.isfinite(value) for value in values)
    if lost:
        text = f"{lost} of {len(values)} diverged"
        values = [value for value in values if math.isfinite(value)]
        return text + (": " + mean_spread(values, digits, factor) if values else "")
    values = [factor * value for value in values]
    text = f"{sum(values) / len(values):.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):.{digits}f}–{max(values):.{digits}f})"
    return text


def percent(values):
    """`mean_spread` of fractions, in percent."""
    return mean_spread(values, factor=100)
