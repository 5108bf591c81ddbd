"""The tables of nets_speed.py: one for each job and number of threads."""

import statistics
import textwrap

from fcn8s_speed import machine
from nets_reasons import REASONS

TITLES = {
    "engine": "engine",
    "onnx": "ONNX Runtime",
    "openvino": "OpenVINO",
    "torch-last": "PyTorch, channels_last",
    "torch": "PyTorch",
    "opencv": "OpenCV",
    "bvlc": "BVLC Caffe",
    "torch-compiled": "PyTorch, compiled",
    "engine-bf16": "engine, bf16",
    "openvino-bf16": "OpenVINO, bf16",
}
#: The programs that may compute in bfloat16: the engine and its peers in a job of their own.
BF16 = ("engine-bf16", "openvino-bf16")
JOBS = {"forward": "Forward", "step": "Training step", "bf16": "Forward, bfloat16 allowed"}
WIDTH = 120  # of lines of prose
#: (net, job, peers, how many times less than the fastest of them the engine must need), beside 1.0
#: everywhere and 1.3 for six nets
TARGETS = (
    ("fcn8s", "forward", ("onnx", "openvino"), 2.5),
    ("fcn8s", "step", ("torch", "torch-last"), 1.5),
)


class Row:
    """A line of a table: a net, a job and a number of threads.

    Attributes:
        seconds: {program: the best of each round}.
        left_out: {program: why it has no time}.
        begun: whether it was measured at all; `problem` says why not, where that is known.
        kind: of the engine's native kernels, "" without them.
    """

    def __init__(self, net, job, threads):
        self.net, self.job, self.threads = net, job, threads
        self.seconds, self.left_out, self.begun, self.problem = {}, {}, False, ""
        self.kind = ""

    @property
    def engine(self):
        """The engine's name among the programs of the job."""
        return "engine-bf16" if self.job == "bf16" else "engine"

    def __str__(self):
        return f"{self.net} {self.job}, {self.threads} thread{'s' * (self.threads > 1)}"

    def ratios(self, peers=None):
        """The fastest peer's time over the engine's, round by round; of these peers, or of all."""
        mine = self.seconds.get(self.engine, [])
        own = self.engine
        others = [t for n, t in self.seconds.items() if n != own and (not peers or n in peers)]
        found = []
        for number, own in enumerate(mine):
            there = [times[number] for times in others if number < len(times)]
            if there:
                found.append(min(there) / own)
        return found

    def best_peer(self):
        """The peer with the fastest pass, None where there is none."""
        peers = {n: min(t) for n, t in self.seconds.items() if n != self.engine and t}
        return min(peers, key=peers.get) if peers else None


def programs_for(job, programs):
    """Those of the programs that run in this job: what is less exact is no peer of float32."""
    return [name for name in programs if (name in BF16) == (job == "bf16")]


def jobs_of(options):
    """The jobs in which any of the programs runs."""
    return [job for job in options.jobs if programs_for(job, options.programs)]


def table(rows, programs):
    """Markdown lines of the rows of one job: best and median of every program, the ratio, and the
    reason where that is below 1."""
    names = [n for n in programs if any(row.seconds.get(n) or n in row.left_out for row in rows)]
    head = ["ms", *(TITLES[n] for n in names), "best peer over engine", "why not 1"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [_cell(row, name) for name in names]
        ratios, reason, shown = row.ratios(), "", ""
        if ratios:
            middle = statistics.median(ratios)
            shown = f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
            shown += TITLES[row.best_peer()]
            if middle < 1:
                known = REASONS.get(row.kind, {})
                reason = known.get((row.net, row.job), "not looked into")
        lines.append("| " + " | ".join([row.net, *cells, shown, reason]) + " |")
    return lines


def _cell(row, name):
    times = row.seconds.get(name)
    if times:
        return f"{min(times) * 1e3:.2f} ({statistics.median(times) * 1e3:.2f})"
    why = row.left_out.get(name, "")
    return why if why in ("", "no time") else "failed"


def summary(rows):
    """Sentences on what was wanted: ratios of 1 and 1.3, and the targets of FCN-8s."""
    middles = [statistics.median(row.ratios()) for row in rows if row.ratios()]
    at_least = [sum(m >= limit for m in middles) for limit in (1, 1.3)]
    found = []
    if middles:
        found.append(
            f"of {len(middles)} nets {at_least[0]} have a ratio of 1.0 or more, {at_least[1]} of "
            "1.3 or more"
        )
    for net, job, peers, least in TARGETS:
        for row in rows:
            ratios = row.ratios(peers) if (row.net, row.job) == (net, job) else []
            if ratios:
                names = " and ".join(TITLES[n] for n in peers if row.seconds.get(n))
                found.append(
                    f"{net}: the fastest of {names} takes {statistics.median(ratios):.2f} times "
                    f"the engine's time; wanted: {least}"
                )
    return found


def report(rows, notes, options, load_average, ended):
    """The result as a page; ``ended``: why rows are missing, where some are."""
    paragraphs = [
        f"{options.date}. Milliseconds: best pass of up to {options.rounds} rounds; in brackets "
        "the median of the rounds' best. The ratio: the fastest peer of a round over the engine in "
        "it, the median of the rounds, and the least and the greatest; above 1 the engine is "
        'faster. "no time": what the program needs for a pass did not fit into its share of the '
        "run.",
    ]
    kind = "" if "bf16" in jobs_of(options) else ", float32"
    lines = [f"# Everyday nets on the CPU{kind}", "", *_wrapped(paragraphs[0])]
    order = {net: number for number, net in enumerate(options.nets)}
    for job in jobs_of(options):
        for threads in options.threads:
            own = [r for r in rows if (r.job, r.threads) == (job, threads) and r.begun]
            own.sort(key=lambda row: order[row.net])
            title = f"{JOBS[job]}, {threads} thread{'s' * (threads > 1)}"
            lines += ["", f"## {title}", "", *(table(own, options.programs) if own else ["none"])]
            told = summary(own)
            lines += [""] * bool(told) + [line for t in told for line in _wrapped("- " + t)]
    lines += ["", f"- machine: {machine()}; load average {load_average:.1f} before the run"]
    lines += [f"- {TITLES[n]}: {options.versions[n]}" for n in TITLES if n in options.versions]
    told = list(notes)
    for row in rows:
        told += [f"{row}: {TITLES[n]}: {w}" for n, w in row.left_out.items() if w != "no time"]
    told += [f"{row}: {row.problem}" for row in rows if row.problem]
    missing = [str(row) for row in rows if not row.begun and not row.problem]
    if missing:
        told.append(f"not measured ({ended}): {'; '.join(missing)}")
    if "torch-compiled" in options.programs:
        told.append(
            "torch.compile takes minutes a net, so it runs some nets' forward pass only; its work "
            "of earlier runs on this machine is used again"
        )
    for note in told:
        lines += _wrapped("- " + note)
    command = " ".join(["python benchmarks/nets_speed.py", *options.command])
    lines += ["- command:", f"  `{command}`"]
    return "\n".join(lines) + "\n"


def _wrapped(text):
    indent = "  " if text.startswith("- ") else ""
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
