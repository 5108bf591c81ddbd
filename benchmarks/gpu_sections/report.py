"""The sections' results as JSON, as markdown and as the table that comes last."""

import json
import os

__all__ = ["all_hold", "line", "merged", "table", "write"]

WIDTH = 170  # of a line of the table
ROOM = 10_500  # characters of the table, below what a caller may see of the output


def merged(name, title, parts):
    """One section's parts (see Job.found) as one."""
    checks = [check for part in parts for check in part["checks"]]
    facts = {}
    for part in parts:
        for key, value in part["facts"].items():
            facts[key] = _sum(facts[key], value) if key in facts else value
    statuses = [part["status"] for part in parts]
    failed = sum(check["verdict"] == "FAILS" for check in checks)
    whole = all(part["finished"] and part["status"] == "ended" for part in parts)
    if all(status == "not run" for status in statuses):
        verdict = "not run"
    elif "running" in statuses:
        verdict = "running"
    elif not whole:
        broken = [s for s, p in zip(statuses, parts) if s != "ended" or not p["finished"]]
        verdict = f"FAILS: {broken[0]}"
    elif failed:
        verdict = f"FAILS: {failed} of {len(checks)}"
    elif not any(check["verdict"] == "holds" for check in checks):
        verdict = "FAILS: nothing was checked"
    else:
        verdict = "holds"
    return {
        "name": name,
        "title": title,
        "verdict": verdict,
        "seconds": _wall(parts),
        "processor": round(sum(part.get("processor", 0) for part in parts), 1),
        "checks": checks,
        "facts": facts,
        "parts": statuses,
        "logs": [part["log"] for part in parts if "log" in part],
    }


def _wall(parts):
    """Seconds from the first part's start to the last one's end."""
    ran = [part for part in parts if part.get("began")]
    if not ran:
        return 0.0
    first = min(part["began"] for part in ran)
    return round(max(part["began"] + part["seconds"] for part in ran) - first, 1)


def _sum(a, b):
    """Facts of two parts: numbers add up, lists join, dictionaries merge."""
    if isinstance(a, dict) and isinstance(b, dict):
        return {**a, **b}
    return a + b


def all_hold(found):
    return all(section["verdict"] == "holds" for section in found["sections"])


def line(section):
    counted = sum(check["verdict"] == "holds" for check in section["checks"])
    return (
        f"{section['name']:<16} {section['seconds']:>6.1f} s ({section['processor']:>5.1f} s of "
        f"processor)  {counted:>3} hold  "
        f"{section['verdict']}"
    )


def table(found):
    """What is printed last: every measurement and miss, and one line a section."""
    details = []
    for section in found["sections"]:
        details.append(f"-- {section['name']}: {section['title']}")
        shown = [check for check in section["checks"] if check["verdict"] != "holds"]
        held = [check for check in section["checks"] if check["verdict"] == "holds"]
        for check in shown + held:
            text = " ".join(f"{check['verdict']} {check['text']}".split())
            details.append(f"   {check['name']}: {text}"[:WIDTH])
        for log in section["logs"]:
            details += ["   | " + text[:WIDTH] for text in log.strip().splitlines()[-6:]]
    summary = [
        "",
        f"gpu_check on {found['device']}{', quick' if found['quick'] else ''}: "
        f"{found['seconds']:.0f} s of {found['limit']:.0f} s",
    ]
    summary += [line(section) for section in found["sections"]]
    summary.append(
        "every section holds" if all_hold(found) else "NOT every section holds: see above"
    )
    if found["device"] != "gpu":
        summary.append("a rehearsal: nothing here is about a GPU's numerics or times")
    tail = "\n".join(summary)
    room = ROOM - len(tail)
    body = "\n".join(details)
    if len(body) > room:
        body = _fitting(details, room)
    return body + "\n" + tail


def _fitting(details, room):
    """The lines that matter most: those that hold go first, from the longest section on."""
    kept = [text for text in details if ": holds " not in text]
    left_out = len(details) - len(kept)
    body = "\n".join(kept)
    while len(body) > room and kept:
        kept = [text[: max(60, len(text) * 3 // 4)] for text in kept]
        if all(len(text) <= 60 for text in kept):
            left_out += len(kept) - len(kept) * 9 // 10
            kept = kept[: len(kept) * 9 // 10]
        body = "\n".join(kept)
    return f"({left_out} lines are in gpu_check.md alone)\n{body}"


def write(folder, found):
    """DIR/gpu_check.json and DIR/gpu_check.md, each whole or as it was."""
    texts = {"gpu_check.json": json.dumps(found, indent=1), "gpu_check.md": markdown(found)}
    for name, text in texts.items():
        path = os.path.join(folder, name)
        with open(path + ".part", "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(path + ".part", path)


def markdown(found):
    environment = next((s["facts"] for s in found["sections"] if s["name"] == "environment"), {})
    card = environment.get("card", found["device"])
    lines = [f"# gpu_check on {card}", ""]
    if found["device"] != "gpu":
        lines += ["A rehearsal without a GPU: nothing here is about its numerics or times.", ""]
    lines += [
        f"`python benchmarks/gpu_check.py`, {found['seconds']:.0f} s"
        + (", narrow nets (--quick)" if found["quick"] else ""),
        "",
        "| section | seconds | verdict |",
        "|---|---:|---|",
    ]
    for section in found["sections"]:
        lines.append(f"| {section['name']} | {section['seconds']:.0f} | {section['verdict']} |")
    for section in found["sections"]:
        lines += ["", f"## {section['title']}", "", "| what | verdict | figures |", "|---|---|---|"]
        for check in section["checks"]:
            cells = [check["name"], check["verdict"], check["text"]]
            cells = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
            lines.append("| " + " | ".join(cells) + " |")
        for log in section["logs"]:
            lines += ["", "```", log.strip(), "```"]
    return "\n".join(lines) + "\n"
