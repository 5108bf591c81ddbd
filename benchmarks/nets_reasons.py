"""Why the engine is behind a peer where it is: (net, job) -> a few words for the table.

nets_speed.py prints a reason only where the ratio is below 1.
"""

_SMALL = "a pass is 0.1 ms in oneDNN and as much again in Python"
REASONS = {
    ("lenet", "forward"): _SMALL,
}
