"""gpu_counts.py counts a step of FCN-8s, and docs/gpu.md shows what it counts."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def test_the_table_is_the_documented_one():
    script = os.path.join(ROOT, "benchmarks", "gpu_counts.py")
    done = subprocess.run(
        [sys.executable, script, "--lines", "H2D"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    header, _, *rows = (line for line in done.stdout.splitlines() if line.startswith("|"))
    columns = [cell.strip() for cell in header.split("|")[2:-1]]
    found = {}
    for row in rows:
        name, *cells = (cell.strip() for cell in row.split("|")[1:-1])
        found[name] = dict(zip(columns, cells))
    assert "step: H2D 2 x device.py" in done.stdout  # the image and its labels
    with open(os.path.join(ROOT, "docs", "gpu.md"), encoding="utf-8") as file:
        for line in file:
            name, *cells = (cell.strip() for cell in line.split("|")[1:-1] or [""])
            if name in found and len(cells) == 8:
                counts = found.pop(name)
                shown = [counts[c] for c in ("launch", "sync", "view", "alloc", "H2D", "D2H")]
                assert [cells[1], *cells[3:]] == shown, name
    assert not found, f"docs/gpu.md does not show {', '.join(found)}"
