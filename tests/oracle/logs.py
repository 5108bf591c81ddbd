"""Log lines of two programs, made comparable: the prefix goes, and what no two runs share."""

import difflib
import re

PREFIX = re.compile(r"^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ ([\w.]+):\d+\] ?")
NUMBER = re.compile(r"(?<![\w.])-?\d+\.?\d*(?:e[+-]?\d+)?(?![\w])")
# Durations differ from run to run, and BVLC Caffe's first rate is an uninitialised number.
TIMES = (
    (re.compile(r"\(\S+ iter/s, \S+s/(\d+) iters\)"), r"(# iter/s, #s/\1 iters)"),
    (re.compile(r": \S+ ms\."), ": # ms."),
)
RELATIVE, ABSOLUTE = 2e-4, 2e-6


def normalise(log, skip=()):
    """Lines as "I solver.cpp] text"; those whose text matches one of `skip` are left out."""
    lines = []
    for line in log.splitlines():
        line = PREFIX.sub(r"\1 \2] ", line).rstrip()
        for pattern, instead in TIMES:
            line = pattern.sub(instead, line)
        if line and not any(re.search(pattern, line) for pattern in skip):
            lines.append(line)
    return lines


def agree(a, b):
    """Equal text, and numbers equal but for rounding."""
    if a == b:
        return True
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    pairs = zip(NUMBER.findall(a), NUMBER.findall(b))
    return all(abs(float(x) - float(y)) <= ABSOLUTE + RELATIVE * abs(float(y)) for x, y in pairs)


def differences(ours, theirs, most=16):
    """What differs, as text, a few lines of it; empty where the two logs agree line by line."""
    if len(ours) == len(theirs) and all(map(agree, ours, theirs)):
        return []
    shapes = [[NUMBER.sub("#", line) for line in lines] for lines in (ours, theirs)]
    matcher = difflib.SequenceMatcher(None, *shapes, autojunk=False)
    found = []
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        if kind == "equal":
            pairs = [(i + k, j + k) for k in range(i_end - i)]
            wrong = [(a, b) for a, b in pairs if not agree(ours[a], theirs[b])]
            found += [f"line {a + 1} engine {ours[a]}\n  BVLC {theirs[b]}" for a, b in wrong]
        else:
            found += [f"line {k + 1} only engine: {ours[k]}" for k in range(i, i_end)]
            found += [f"line {k + 1} only BVLC: {theirs[k]}" for k in range(j, j_end)]
    return found[:most]
