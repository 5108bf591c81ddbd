"""Time everyday nets on the CPU side by side: the engine and its peers, in one run.

    python benchmarks/nets_speed.py [--nets lenet,resnet50] [--programs engine,opencv,…]
        [--jobs forward,step,bf16] [--threads 1,2] [--rounds 5] [--limit S] [--quick] [--root DIR]
        [--write]

Nets: LeNet (1 and 64 items), cifar10-full, SqueezeNet 1.1, MobileNet v1 and v2, AlexNet, GoogLeNet,
ResNet-50, VGG-16, FCN-8s at 500x500, and this repository's rows. Forward: one batch in, scores out,
input copied inside the time. Step: forward, loss, backward and update of the same layers. Each with
every number of threads. The programs engine-bf16 and openvino-bf16, which may compute in bfloat16,
run where they are named, in a job and a table of their own. torch-compiled (torch.compile, forward)
takes a minute or two a net to compile, unless an earlier run on this machine did, and only runs the
nets of COMPILED.

Each program runs in a process of its own, which makes some passes before anything is timed: the
engine makes its programs in them. Within a round they take turns, every second round the other way
round, so a disturbance hits all of them. The table has each program's best pass and the median over
rounds of the best of a round. The ratio is that of the round's fastest peer to the engine in the
same round: the median of the rounds, and the least and the greatest. Scores must agree before
anything is timed. BVLC Caffe runs in the oracle's root (tests/oracle/build.py) where it is built; a
program that is not installed is left out and named. Where a ratio is below 1 the table has the
reason, from nets_reasons.py, which knows the kinds of native kernels apart.

--limit is for the whole run, the making of the nets included. Nets, jobs and numbers of threads
that take least come first; each has an equal share of what is left, or what it needs for a pass of
each program, so that with little time it is the last that are left out. The engine loads first,
then the fastest peers, each in half of what is left at most. Who cannot load and make a pass is
left out, and the table says so; a program that fails or hangs is ended and named, and the run goes
on. --write writes the file anew
after each line of the table, so a run that is cut off leaves what it has. --quick takes 2 short
rounds and a limit of 460 seconds.
"""

import argparse
import datetime
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
sys.path[:0] = [CHECKOUT, HERE, os.path.join(CHECKOUT, "tests", "oracle")]

import nets_children as children  # noqa: E402
import numpy as np  # noqa: E402
from nets_made import NETS  # noqa: E402
from nets_table import BF16, JOBS, TITLES, Row, jobs_of, programs_for, report  # noqa: E402
from root import default_root  # noqa: E402

from fcn.inference import memory  # noqa: E402

TRAINS = ("engine", "torch-last", "torch", "bvlc")
COMPILED = ("lenet", "squeezenet1.1", "mobilenet2", "resnet50")  # by torch.compile
TOLERANCES = {"forward": 1e-3, "bf16": 0.1}  # of the largest score
NO_TIME = "no time"
WARM_SECONDS = (
    14.0  # the engine makes programs after up to 6 passes of large nets, 20 of small ones
)
LOADING = 1.5  # seconds in which a program loads a net, about
PEERS = 3  # times the engine's seconds: what the others take, about
ENDING = 5.0  # seconds for ending the programs and writing the table
LARGE = 0.15  # seconds of the engine's pass: of such nets a process keeps gigabytes
NEED = {"forward": 3, "bf16": 3, "step": 7}  # gigabytes a program, of a large net


def measure(row, made, options, share):
    """Fill a Row: load its programs, let them agree, time them in turns."""
    end = time.monotonic() + share
    first = _load(row, made, options, end)
    if row.job != "step":
        first = {name: first[name] for name in _agreeing(row, made, first)}
    row.seconds = {name: [] for name in first}
    if row.engine not in first:
        row.left_out.setdefault(row.engine, "did not run")
        return
    cost = dict(first)  # seconds of a turn
    for number in range(options.rounds):
        turns = list(first)
        _fit(turns, cost, end - time.monotonic(), number, row.engine)
        if number and len(turns) == 1 < len(first):
            break  # no ratio comes of the engine alone
        for name in turns if number % 2 == 0 else reversed(turns):
            start = time.monotonic()
            child = made[name, row.threads]
            answer = child.ask(10 + 5 * first[name], do="time", seconds=options.seconds)
            cost[name] = time.monotonic() - start
            if "error" in answer:
                row.left_out[name] = answer["error"]
                row.seconds.pop(name)
                first.pop(name)
            else:
                row.seconds[name].append(min(answer["seconds"]))
        if row.engine not in first:
            break


def _load(row, made, options, end):
    """{program: seconds of its first pass} of those that could load the net and run once."""
    first, warm = {}, WARM_SECONDS
    waiting = _programs_of(row, made, options)
    while waiting:
        name = waiting.pop(0)
        # Half of what is left is for the rounds, or less where they need less, or a turn at least.
        left, turn = end - time.monotonic(), sum(first.values())
        rounds = options.rounds * (turn + len(first) * options.seconds)
        own = left - max(turn, min(rounds, left / 2))
        if waiting:  # who needs less than half leaves more to those after it
            own /= 2
        if own <= 0:
            row.left_out[name] = NO_TIME
            continue
        if NETS[row.net].seconds >= LARGE and available_gigabytes() < NEED[row.job]:
            row.left_out[name] = f"less than {NEED[row.job]} GB of memory were left for it"
            continue
        request = {"net": row.net, "job": row.job, "warm": min(warm, own / 3)}
        answer = made[name, row.threads].ask(own, do="load", **request)
        if answer.get("late"):
            row.left_out[name] = NO_TIME
        elif "error" in answer:
            row.left_out[name] = answer["error"]
        elif name != row.engine and answer["first"] > end - time.monotonic() - sum(first.values()):
            row.left_out[name] = NO_TIME
        else:
            options.versions[name] = answer["version"]
            if name == row.engine:
                row.kind = answer.get("kind", "")
            first[name] = answer["first"]
    return first


def available_gigabytes():
    """What programs may take without the system ending one."""
    free = memory.available()
    return float("inf") if free is None else free / 1e9


def _programs_of(row, made, options):
    """The programs that a row is for."""
    names = programs_for(row.job, options.programs)
    names = [n for n in names if (n, row.threads) in made]
    if row.job == "step":
        names = [name for name in names if name in TRAINS]
    return [name for name in names if name != "torch-compiled" or row.net in COMPILED]


def _agreeing(row, made, names):
    """The programs whose scores agree with the engine's, the first; the others are left out."""
    expected, same = None, []
    for name in names:
        answer = made[name, row.threads].ask(60, do="scores")
        if "error" in answer:
            row.left_out[name] = answer["error"]
            continue
        scores = np.load(answer["path"]).ravel()
        if expected is None:
            expected, largest = scores, float(np.abs(scores).max())
        if not largest > 0 or scores.size != expected.size:
            row.left_out[name] = "its scores are all zero, not a number or of another shape"
            continue
        share = float(np.abs(scores - expected).max()) / largest
        if share <= TOLERANCES[row.job]:
            same.append(name)
        else:
            row.left_out[name] = f"its scores differ by {share:.2g} of the largest"
    return same


def _fit(turns, cost, seconds, number, engine):
    """Take out of a further round whose turns do not fit, the longest first, the engine last."""
    while number and len(turns) > 1 and sum(cost[name] for name in turns) > seconds:
        turns.remove(max((n for n in turns if n != engine), key=cost.get))


def rows_of(options):
    """What is to be measured, what takes least first."""
    rows = [
        Row(net, job, threads)
        for net in options.nets
        for job in jobs_of(options)
        for threads in options.threads
    ]
    return sorted(rows, key=_estimate)


def _estimate(row):
    made = NETS[row.net]
    batches = 3 * made.train_batch / made.batch if row.job == "step" else 1
    return made.seconds * batches / row.threads


def share_of(row, programs, left, waiting):
    """The seconds that a row may take: an equal share of what is left to those that wait; more
    where so many programs could not load and make two passes in that, at the cost of the last."""
    need = programs * (LOADING + 2 * PEERS * _estimate(row))
    return max(left / waiting, min(left, need))


class Run:
    """All rows, one after the other; what comes of them is in `rows`."""

    def __init__(self, options):
        self.options, self.rows, self.notes = options, rows_of(options), []
        self.ended = f"{options.limit:.0f} seconds were over"
        self.load_average = os.getloadavg()[0]

    def all(self, end):
        """Measure every row that begins before `end`."""
        self.made, self.notes = children.programs(self.options)
        self.maker = children.maker(self.options)
        try:
            self.maker.start()
            for number, row in enumerate(self.rows):
                left = end - time.monotonic()
                if left > 0:
                    self._row(row, left, len(self.rows) - number)
        finally:
            self._free()
            self.maker.close(kill=True)

    def _row(self, row, left, waiting):
        folder = os.path.join(self.options.work, row.net)
        large = NETS[row.net].seconds >= LARGE
        if large:
            self._free()
        if not os.path.exists(os.path.join(folder, "layers.json")):  # which is written last
            answer = self.maker.ask(left, net=row.net)
            if "error" in answer:
                if not answer.get("late"):
                    row.problem = f"the net was not made: {answer['error']}"
                shutil.rmtree(folder, ignore_errors=True)
                return
            left -= answer["seconds"]
            if large:
                self.maker.close(kill=True)
        left -= self._start(row, left)
        row.begun = True
        count = len(_programs_of(row, self.made, self.options))
        measure(row, self.made, self.options, share_of(row, count, left, waiting))
        for child in self.made.values():
            if child.running and not large:
                child.ask(30, do="unload")
        if not any(r.net == row.net and not r.begun and not r.problem for r in self.rows):
            shutil.rmtree(folder, ignore_errors=True)
        shown = [f"{TITLES[n]} {min(t) * 1e3:.2f}" for n, t in row.seconds.items() if t]
        print(f"{row} [ms]: " + ", ".join(shown), flush=True)
        if self.options.write:
            self.write()

    def _start(self, row, left):
        """Start the row's programs that do not run; the seconds that took, which are not theirs."""
        begin = time.monotonic()
        names = _programs_of(row, self.made, self.options)
        new = [self.made[name, row.threads] for name in names]
        new = [child for child in new if not child.running]
        for child in new:
            child.start()
        for child in new:
            child.ask(max(1, min(60, begin + left - time.monotonic())), do="start")
        return time.monotonic() - begin

    def _free(self):
        """End all programs: together they would keep more memory than there is."""
        for child in self.made.values():
            child.close(kill=True)

    def text(self):
        return report(self.rows, self.notes, self.options, self.load_average, self.ended)

    def write(self):
        """The dated file in results/, whole or not at all."""
        kind = next((row.kind for row in self.rows if row.kind), "no-kernels")
        kind += "-bf16" * (jobs_of(self.options) == ["bf16"])
        path = os.path.join(HERE, "results", f"{self.options.date}-nets-speed-{kind}.md")
        with open(path + ".part", "w") as stream:
            stream.write(self.text())
        os.replace(path + ".part", path)
        return os.path.relpath(path, CHECKOUT)


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NETS), help="default: all")
    parser.add_argument(
        "--programs",
        default=",".join(n for n in TITLES if n not in BF16),
        help="default: %(default)s",
    )
    parser.add_argument("--jobs", default=",".join(JOBS), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--threads", default="1,2", help="default: %(default)s")
    parser.add_argument("--limit", type=float, help="seconds for the whole; default: none")
    parser.add_argument("--quick", action="store_true", help="2 short rounds, 460 seconds")
    parser.add_argument("--root", default=default_root(), help="oracle; default: %(default)s")
    parser.add_argument("--write", action="store_true", help="write a dated file to results/")
    options = parser.parse_args(argv)
    for field, known in (("nets", NETS), ("programs", TITLES), ("jobs", JOBS)):
        values = getattr(options, field).split(",")
        unknown = [value for value in values if value not in known]
        if unknown:
            parser.error(f"--{field}: unknown {unknown}, known: {', '.join(known)}")
        setattr(options, field, [name for name in known if name in values])
    try:
        options.threads = sorted({int(word) for word in options.threads.split(",")})
    except ValueError:
        parser.error(f"--threads: numbers with commas between, not '{options.threads}'")
    defaults = (2, 0.05, 460.0) if options.quick else (5, 0.15, 1e6)
    rounds, options.seconds, limit = defaults
    options.rounds = rounds if options.rounds is None else options.rounds
    options.limit = limit if options.limit is None else options.limit
    if options.rounds < 1 or options.threads[0] < 1 or options.limit <= 0:
        parser.error("--rounds, --threads and --limit: more than 0")
    options.date = datetime.date.today().isoformat()
    options.versions = {}
    # The root's place is this machine's own business, not the reader's.
    given = [shlex.quote(a) for a in (sys.argv[1:] if argv is None else argv) if a != "--write"]
    options.command = ["DIR" if i and given[i - 1] == "--root" else a for i, a in enumerate(given)]
    return options


def stop(_signal, _frame):
    raise KeyboardInterrupt


def main():
    options = parse_arguments()
    end = time.monotonic() + options.limit - ENDING
    signal.signal(signal.SIGTERM, stop)
    run, interrupted = Run(options), False
    with tempfile.TemporaryDirectory(prefix="nets-speed-") as options.work:
        try:
            run.all(end)
        except KeyboardInterrupt:
            interrupted, run.ended = True, "interrupted"
    print("\n" + run.text())
    if options.write and any(row.seconds for row in run.rows):
        print(f"written: {run.write()}")
    if interrupted:
        raise SystemExit(130)


if __name__ == "__main__":
    main()
